//! Amounts of a resource (`resource.Quantity`).

use serde::{Deserialize, Serialize};

/// An amount such as `500m`, `1Gi` or `1e3`. Compared by value, printed in canonical form.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quantity(String);
