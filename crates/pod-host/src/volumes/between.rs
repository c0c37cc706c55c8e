//! Points between a check and its use, at which a test changes what was checked: so its change always comes at the worst time. Builds that
//! are no tests have nothing of it.

/// Passes a point.
#[cfg(not(test))]
pub(crate) const fn between(_point: &str) {}

#[cfg(test)]
pub(crate) use hooked::{at, between};

#[cfg(test)]
mod hooked {
    use std::cell::RefCell;

    type Hook = (&'static str, Box<dyn FnOnce()>);

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Has `act` done when this thread passes that point for the first time.
    pub(crate) fn at(point: &'static str, act: impl FnOnce() + 'static) {
        HOOK.set(Some((point, Box::new(act))));
    }

    /// Passes a point.
    pub(crate) fn between(point: &str) {
        let due = HOOK.with_borrow_mut(|hook| hook.take_if(|(wanted, _)| *wanted == point));
        if let Some((_, act)) = due {
            act();
        }
    }
}
