//! End-to-end cases, by topic. Run by `hack/test`; one at a time.

mod first;
