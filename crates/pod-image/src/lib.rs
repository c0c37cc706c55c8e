//! pod-image
