//! Request numbers: the same number again gets the same answer and no second effect. Pure.

use pod_wire::supervisor::{Failure, ReplyBody};
use std::collections::{BTreeMap, BTreeSet};

/// So many answers are remembered.
const REMEMBERED: usize = 128;

/// Which request of which generation of the node daemon an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) generation: u64,
    pub(crate) request: u64,
}

/// Whose descriptors go with an answer. They are looked up when it is sent: what has ended by then has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Descriptors {
    /// Nobody's.
    None,
    /// The container's: pidfd, then terminal, then standard input, as far as it has them.
    Container(String),
    /// The terminal of that exec of that container.
    Exec(String, String),
}

/// An answer and whose descriptors go with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) result: Result<ReplyBody, Failure>,
    pub(crate) descriptors: Descriptors,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Admission {
    /// Do it.
    New(Asker),
    /// It is being done: the answer will go to this connection too.
    UnderWay,
    /// It was done: this was the answer.
    Known(Answer),
    /// It may have been done so long ago that the answer is forgotten.
    TooOld,
}

/// The requests of the newest generation of the node daemon.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    generation: u64,
    under_way: BTreeMap<u64, BTreeSet<u32>>,
    answered: BTreeMap<u64, Answer>,
    /// Answers up to this number may be forgotten.
    forgotten: Option<u64>,
}

impl Replays {
    /// The highest generation seen.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// A node daemon of that generation says hello. `false`: a newer one has been here.
    pub(crate) fn enter(&mut self, generation: u64) -> bool {
        if generation > self.generation {
            *self = Self {
                generation,
                ..Self::default()
            };
        }
        generation == self.generation
    }

    /// Takes a request from a connection.
    pub(crate) fn admit(&mut self, connection: u32, request: u64) -> Admission {
        if let Some(answer) = self.answered.get(&request) {
            return Admission::Known(answer.clone());
        }
        if let Some(waiting) = self.under_way.get_mut(&request) {
            waiting.insert(connection);
            return Admission::UnderWay;
        }
        if self.forgotten.is_some_and(|f| request <= f) {
            return Admission::TooOld;
        }
        self.under_way.insert(request, BTreeSet::from([connection]));
        Admission::New(Asker {
            generation: self.generation,
            request,
        })
    }

    /// Keeps an answer; says which connections wait for it. Of an older generation nobody does.
    pub(crate) fn answer(&mut self, asker: Asker, answer: &Answer) -> BTreeSet<u32> {
        if asker.generation != self.generation {
            return BTreeSet::new();
        }
        // The whole state is asked for anew: it has no effect, and would be stale.
        if !matches!(answer.result, Ok(ReplyBody::State(_))) {
            self.answered.insert(asker.request, answer.clone());
        }
        while self.answered.len() > REMEMBERED {
            let oldest = self.answered.pop_first().map(|(id, _)| id);
            self.forgotten = self.forgotten.max(oldest);
        }
        self.under_way.remove(&asker.request).unwrap_or_default()
    }

    /// A connection is gone.
    pub(crate) fn leave(&mut self, connection: u32) {
        for waiting in self.under_way.values_mut() {
            waiting.remove(&connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done() -> Answer {
        Answer {
            result: Ok(ReplyBody::Done),
            descriptors: Descriptors::None,
        }
    }

    fn admitted(replays: &mut Replays, connection: u32, request: u64) -> Asker {
        match replays.admit(connection, request) {
            Admission::New(asker) => asker,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_number_is_done_once_and_answered_to_all_who_asked() {
        let mut replays = Replays::default();
        assert!(replays.enter(3));
        let asker = admitted(&mut replays, 1, 7);
        assert_eq!(replays.admit(2, 7), Admission::UnderWay);
        replays.leave(1);
        assert_eq!(replays.answer(asker, &done()), BTreeSet::from([2]));
        assert_eq!(replays.admit(1, 7), Admission::Known(done()));
    }

    #[test]
    fn a_newer_generation_starts_afresh_and_locks_the_older_out() {
        let mut replays = Replays::default();
        replays.enter(1);
        let old = admitted(&mut replays, 1, 1);
        assert!(replays.enter(2) && !replays.enter(1));
        let new = admitted(&mut replays, 2, 1);
        assert!(replays.answer(old, &done()).is_empty());
        assert_eq!(replays.answer(new, &done()), BTreeSet::from([2]));
    }

    #[test]
    fn a_number_whose_answer_is_forgotten_is_refused_not_done_again() {
        let mut replays = Replays::default();
        for n in 1..=(REMEMBERED as u64 + 1) {
            let asker = admitted(&mut replays, 1, n);
            replays.answer(asker, &done());
        }
        assert_eq!(replays.admit(1, 1), Admission::TooOld);
        assert_eq!(replays.admit(1, 2), Admission::Known(done()));
    }

    #[test]
    fn the_state_is_told_anew_each_time() {
        let mut replays = Replays::default();
        let asker = admitted(&mut replays, 1, 1);
        let state = Answer {
            result: Ok(ReplyBody::State(vec![])),
            descriptors: Descriptors::None,
        };
        replays.answer(asker, &state);
        assert!(matches!(replays.admit(1, 1), Admission::New(_)));
    }
}
