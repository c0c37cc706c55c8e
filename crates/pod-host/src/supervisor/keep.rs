//! What the daemon holds of a process for a successor of its supervisor: while one of us holds it, it is not lost.

use pod_wire::supervisor::Descriptor;
use std::io;
use std::os::fd::OwnedFd;

/// Descriptors of one container or exec.
#[derive(Debug, Default)]
pub(crate) struct Keep(Vec<(Descriptor, OwnedFd)>);

impl Keep {
    /// Those that came with an answer, which names them. An answer of protocol version 1 does not: then only the first is known.
    pub(crate) fn new(named: &[Descriptor], fds: Vec<OwnedFd>, first: Descriptor) -> Self {
        let named = match named {
            [] => &[first],
            named => named,
        };
        Self(named.iter().copied().zip(fds).collect())
    }

    /// Takes one out.
    pub(crate) fn take(&mut self, kind: Descriptor) -> Option<OwnedFd> {
        let at = self.0.iter().position(|(k, _)| *k == kind)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A copy of one.
    pub(crate) fn copy(&self, kind: Descriptor) -> Option<OwnedFd> {
        let (_, fd) = self.0.iter().find(|(k, _)| *k == kind)?;
        fd.try_clone().ok()
    }

    /// Copies of all, each by the name that a successor knows it by.
    ///
    /// # Errors
    /// There is no descriptor for one: with a part of them a successor would lose the others.
    pub(crate) fn copies(&self, whose: &str) -> io::Result<Vec<(String, OwnedFd)>> {
        let named = self.0.iter();
        let named = named.map(|(kind, fd)| Ok((called(whose, *kind), fd.try_clone()?)));
        named.collect()
    }
}

/// The name of a descriptor for a successor. `whose`: a container, or `<container>/<exec>`.
pub(crate) fn called(whose: &str, kind: Descriptor) -> String {
    let kind = match kind {
        Descriptor::Terminal => "terminal",
        Descriptor::Process => "process",
        Descriptor::Stdin => "stdin",
        Descriptor::Stdout => "stdout",
        Descriptor::Stderr => "stderr",
    };
    format!("{whose}:{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn two() -> Vec<OwnedFd> {
        let (read, write) = std::io::pipe().unwrap();
        vec![read.into(), write.into()]
    }

    #[test]
    fn descriptors_go_by_the_names_that_came_with_them() {
        let names = [Descriptor::Process, Descriptor::Stdout];
        let mut keep = Keep::new(&names, two(), Descriptor::Process);
        let copies = keep.copies("c1").unwrap();
        let called: Vec<&str> = copies.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(called, ["c1:process", "c1:stdout"]);
        assert!(keep.copy(Descriptor::Stdin).is_none());
        assert!(keep.take(Descriptor::Process).is_some());
        assert!(keep.take(Descriptor::Process).is_none());
        let written = rustix::io::write(copies[1].1.as_fd(), b"x");
        assert_eq!(written, Ok(1));
        let mut old = Keep::new(&[], two(), Descriptor::Terminal);
        assert!(old.take(Descriptor::Terminal).is_some());
        assert!(old.copies("c1/e1").unwrap().is_empty());
    }
}
