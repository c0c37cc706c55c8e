//! Kinds about quantities, effective resources, QoS, cgroup values and names.

use super::Check;
use pod_model::quantity::{Format, Quantity};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The kinds of this area.
pub const KINDS: &[(&str, Check)] = &[
    ("quantity", quantity),
    ("quantityCmp", quantity_cmp),
    ("quantityRoundUp", quantity_round_up),
    ("quantityString", quantity_string),
];

/// `given[key]` as that type; absent is null.
fn get<T: DeserializeOwned>(given: &Value, key: &str) -> Result<T, String> {
    let value = given.get(key).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value).map_err(|e| format!("given.{key}: {e}"))
}

/// `Ok` if `got` is `expect`.
fn same(got: &Value, expect: &Value) -> Result<(), String> {
    if got == expect {
        Ok(())
    } else {
        Err(got.to_string())
    }
}

fn quantity(given: &Value, expect: &Value) -> Result<(), String> {
    let text: String = get(given, "text")?;
    let got = match text.parse::<Quantity>() {
        Ok(q) => json!({
            "ok": true,
            "canonical": q.to_string(),
            "format": q.format().as_str(),
            "sign": q.sign(),
            "value": q.value(),
            "milliValue": q.milli_value(),
        }),
        Err(e) => json!({ "ok": false, "error": e.to_string() }),
    };
    same(&got, expect)
}

fn quantity_cmp(given: &Value, expect: &Value) -> Result<(), String> {
    let (x, y): (Quantity, Quantity) = (get(given, "x")?, get(given, "y")?);
    same(&json!({ "cmp": x.cmp(&y) as i32 }), expect)
}

fn quantity_round_up(given: &Value, expect: &Value) -> Result<(), String> {
    let text: Quantity = get(given, "text")?;
    let (rounded, exact) = text.round_up(get(given, "scale")?);
    same(
        &json!({ "exact": exact, "canonical": rounded.to_string() }),
        expect,
    )
}

fn quantity_string(given: &Value, expect: &Value) -> Result<(), String> {
    let unscaled: String = get(given, "unscaled")?;
    let unscaled: i128 = unscaled.parse().map_err(|e| format!("unscaled: {e}"))?;
    let format = match get::<String>(given, "format")?.as_str() {
        "BinarySI" => Format::BinarySI,
        "DecimalExponent" => Format::DecimalExponent,
        _ => Format::DecimalSI,
    };
    let got = Quantity::from_scaled(unscaled, get(given, "scale")?, format);
    same(&json!({ "canonical": got.to_string() }), expect)
}
