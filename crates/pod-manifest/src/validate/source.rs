//! One source of a volume, as the checks of all kinds hand it around.

use super::error::Errors;
use crate::path::Path;

/// Checks one source; the path is that of the source.
pub(super) type Check<'a> = Box<dyn Fn(&Path, &mut Errors) + 'a>;

/// A source that is set.
pub(super) struct Source<'a> {
    /// Where upstream looks at it: lower comes first.
    pub(super) order: u8,
    /// Its name where it is one too many.
    pub(super) name: &'static str,
    /// Its name in the paths of its own errors, which upstream spells differently for a few.
    pub(super) own_path: &'static str,
    /// What must hold for it.
    pub(super) check: Check<'a>,
}

impl<'a> Source<'a> {
    pub(super) fn new(
        order: u8,
        name: &'static str,
        check: impl Fn(&Path, &mut Errors) + 'a,
    ) -> Self {
        Self {
            order,
            name,
            own_path: name,
            check: Box::new(check),
        }
    }

    pub(super) fn at(mut self, own_path: &'static str) -> Self {
        self.own_path = own_path;
        self
    }
}
