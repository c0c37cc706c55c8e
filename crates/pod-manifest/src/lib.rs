//! pod-manifest
