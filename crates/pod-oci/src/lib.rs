//! pod-oci
