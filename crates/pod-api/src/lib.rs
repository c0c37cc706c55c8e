//! pod-api
