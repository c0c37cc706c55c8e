//! Prints every field of a Pod and what podwright does with it, parted by tabs: path, `yes`, `idle` or `no`, note. `hack/docs` reads it.

use pod_manifest::{Support, fields};

fn main() {
    for row in fields() {
        let word = match row.support {
            Support::Honoured => "yes",
            Support::NoMeaningHere => "idle",
            Support::NotSupported => "no",
        };
        println!("{}\t{word}\t{}", row.path, row.note);
    }
}
