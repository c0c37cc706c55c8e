//! pod-plan
