//! pod-sys
