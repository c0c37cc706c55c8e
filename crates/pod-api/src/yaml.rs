//! Objects as YAML for `-o yaml`.

use serde_json::Value;

/// The value as YAML, its keys in the order that they have.
pub fn to_string(value: &Value) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string(value)
}
