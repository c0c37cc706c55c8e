//! The kinds of cases, by area. A check gets `given` and `expect` and answers with what it got where that differs.

mod configs;
mod facts;
mod manifest;
mod plan;
mod print;
mod resources;
mod status;

use serde_json::Value;
use std::collections::BTreeMap;

/// Runs one case: `Err` tells what came out instead of what was expected.
pub(crate) type Check = fn(given: &Value, expect: &Value) -> Result<(), String>;

/// Every kind that is built, by its name.
pub(crate) fn all() -> BTreeMap<&'static str, Check> {
    let areas: [&[(&'static str, Check)]; 6] = [
        configs::KINDS,
        manifest::KINDS,
        plan::KINDS,
        print::KINDS,
        resources::KINDS,
        status::KINDS,
    ];
    areas.into_iter().flatten().copied().collect()
}
