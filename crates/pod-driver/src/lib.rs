//! pod-driver
