//! pod-print
