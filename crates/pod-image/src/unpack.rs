//! Unpacks one layer into a folder in the form overlayfs takes: `.wh.` names become whiteout devices and opaque folders.
//!
//! Every name is resolved here, component by component, from descriptor to descriptor with no link followed by the kernel.
//! A symlink on the way to an entry is followed as the image's own processes would see it: from the image's root, through
//! the layers below as well (a layer on a merged-/usr base may write `bin/x`). So nothing outside the folder can be reached.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use crate::dirs::{self, os};
use crate::limits::{Limits, NAME_BYTES};
use crate::merged::{MAX_LINKS, Node, Stack, child, follow, names};
use crate::tape::{Entry, Kind, Tape, TapeError};
use crate::weakened::weakened;
use make::{Fault, Step, file_is, refuse, times};
use rustix::fs::{self, AtFlags, FileType, Timestamps};
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

mod make;
#[cfg(test)]
mod tests;

const WHITEOUT: &[u8] = b".wh.";
/// Bookkeeping of AUFS; only the opaque mark means something.
const BOOKKEEPING: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Components and links on the way to one entry, so that links of thousands of `..` cost nothing much.
const MAX_STEPS: usize = 1024;

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The stream is no readable tar.
    #[error("its tar stream is bad")]
    Tape(#[from] TapeError),
    /// An entry asks for what no image may do.
    #[error("entry {entry:?} {problem}")]
    Refused {
        /// Its name in the layer.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An entry could not be made.
    #[error("entry {entry:?}: cannot {step}")]
    Entry {
        /// Its name in the layer.
        entry: String,
        /// What was being done.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// A folder that entries are being put into.
struct Parent {
    /// As the archive names it.
    named: Vec<u8>,
    folder: OwnedFd,
    /// Kept, since every new entry changes it.
    times: Timestamps,
}

/// A layer that is being written.
pub(crate) struct LayerWriter<'a> {
    root: OwnedFd,
    below: &'a Stack,
    limits: &'a Limits,
    parent: Option<Parent>,
    /// Names that were looked up in folders, in this layer and in those below.
    lookups: Cell<u64>,
    entries: u64,
}

/// Unpacks a whole tar stream into the empty folder `root`; gives the stream back, read to its end.
pub(crate) fn unpack<R: Read>(
    stream: R,
    root: OwnedFd,
    below: &Stack,
    limits: &Limits,
) -> Result<R, UnpackError> {
    let mut tape = Tape::new(stream, limits, limits.layer_entries);
    LayerWriter::new(root, below, limits).write(&mut tape)?;
    Ok(tape.drain()?)
}

fn name_fault(path: &[u8], fault: Fault) -> UnpackError {
    let entry = path.get(..400).unwrap_or(path);
    let entry = String::from_utf8_lossy(entry).into_owned();
    match fault {
        Fault::Refused(problem) => UnpackError::Refused { entry, problem },
        Fault::Failed(step, source) => UnpackError::Entry {
            entry,
            step,
            source,
        },
        Fault::Tape(error) => UnpackError::Tape(error),
    }
}

impl<'a> LayerWriter<'a> {
    fn new(root: OwnedFd, below: &'a Stack, limits: &'a Limits) -> Self {
        Self {
            root,
            below,
            limits,
            parent: None,
            lookups: Cell::new(0),
            entries: 0,
        }
    }

    fn write<R: Read>(&mut self, tape: &mut Tape<R>) -> Result<(), UnpackError> {
        while let Some(entry) = tape.next()? {
            self.entries += 1;
            let done = self.apply(&entry, tape);
            done.map_err(|fault| name_fault(&entry.path, fault))?;
        }
        self.leave().map_err(|fault| name_fault(b".", fault))
    }

    /// Counts lookups, and refuses a layer that takes far more than its entries can need.
    fn look(&self, lookups: u64) -> Result<(), Fault> {
        let all = self.lookups.get().saturating_add(lookups);
        self.lookups.set(all);
        let more = self.limits.entry_lookups.saturating_mul(self.entries);
        let limit = self.limits.layer_lookups.saturating_add(more);
        if all > limit && !weakened("s26-lookups") {
            return refuse(format!(
                "makes this layer take more than {limit} lookups in folders: its paths are too deep over too many layers"
            ));
        }
        Ok(())
    }

    fn apply<R: Read>(&mut self, entry: &Entry, tape: &mut Tape<R>) -> Result<(), Fault> {
        let path = self.clean(&entry.path)?;
        let Some((name, parents)) = path.split_last() else {
            return self.root_entry(entry);
        };
        let bookkeeping = |part: &Vec<u8>| part.starts_with(BOOKKEEPING) && part != OPAQUE;
        if path.iter().any(bookkeeping) {
            return Ok(());
        }
        if parents.iter().any(|part| part.starts_with(WHITEOUT)) {
            return refuse(
                "lies in a folder whose name begins with .wh., which marks removed files",
            );
        }
        self.enter(parents)?;
        let Some(parent) = &self.parent else {
            return refuse("has no folder");
        };
        let folder = &parent.folder;
        if name == OPAQUE {
            return dirs::make_opaque(folder).step("mark its folder as opaque");
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return make::whiteout(folder, hidden);
        }
        match entry.kind {
            Kind::Directory => make::directory(folder, name, entry),
            Kind::HardLink => self.hard_link(folder, name, entry),
            Kind::File => {
                make::make_room(folder, name)?;
                make::file(folder, name, entry, tape, self.limits)
            }
            Kind::Symlink => {
                make::make_room(folder, name)?;
                self.symlink(folder, name, entry)
            }
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => {
                make::make_room(folder, name)?;
                make::special(folder, name, entry)
            }
        }
    }

    /// The entry `./` sets owner, mode and times of the layer's root.
    fn root_entry(&self, entry: &Entry) -> Result<(), Fault> {
        if entry.kind != Kind::Directory {
            return refuse("is the root of the image and no folder");
        }
        make::set_attributes(&self.root, entry)
    }

    /// Splits a name into components, and refuses what no honest layer holds. A leading slash is the image's root.
    fn clean(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        if path.contains(&0) {
            return refuse("has a NUL byte in its name");
        }
        if path.len() > self.limits.path_bytes {
            let limit = self.limits.path_bytes;
            return refuse(format!("has a path longer than {limit} bytes"));
        }
        let parts: Vec<Vec<u8>> = names(path).collect();
        if parts.iter().any(|part| part == b"..") && !weakened("s25-climbing") {
            return refuse("climbs with .. in its path");
        }
        if parts.iter().any(|part| part.len() > NAME_BYTES) {
            return refuse(format!("has a name longer than {NAME_BYTES} bytes"));
        }
        self.check_depth(parts.len())?;
        Ok(parts)
    }

    fn check_depth(&self, depth: usize) -> Result<(), Fault> {
        let limit = self.limits.path_depth;
        if depth > limit && !weakened("s26-depth") {
            return refuse(format!("lies deeper than {limit} folders"));
        }
        Ok(())
    }

    /// Makes the folder of an entry the current one, with all folders on the way to it.
    fn enter(&mut self, parents: &[Vec<u8>]) -> Result<(), Fault> {
        let named = parents.join(&b'/');
        if self.parent.as_ref().is_some_and(|p| p.named == named) {
            return Ok(());
        }
        self.leave()?;
        let folder = self.walk(parents, true)?;
        let stat = fs::fstat(&folder).step("look at its folder")?;
        self.parent = Some(Parent {
            named,
            folder,
            times: times(&stat),
        });
        Ok(())
    }

    /// Gives the current folder back the times it had before entries were put into it.
    fn leave(&mut self) -> Result<(), Fault> {
        match self.parent.take() {
            Some(parent) => {
                fs::futimens(&parent.folder, &parent.times).step("set the times of its folder")
            }
            None => Ok(()),
        }
    }

    /// Opens a folder of this layer. With `make`, missing folders are made as the layers below have them.
    fn walk(&self, path: &[Vec<u8>], make: bool) -> Result<OwnedFd, Fault> {
        let mut ahead: VecDeque<Vec<u8>> = path.iter().cloned().collect();
        let mut at: Vec<Vec<u8>> = Vec::new();
        let mut here = self.reopen(&at)?;
        // What the layers below have at this place, once that had to be looked for.
        let mut below: Option<Vec<OwnedFd>> = None;
        let mut links = 0;
        let mut steps = 0;
        while let Some(name) = ahead.pop_front() {
            steps += 1;
            if steps > MAX_STEPS {
                return refuse("has a path that leads through too many folders and symlinks");
            }
            if name == b".." {
                at.pop();
                here = self.reopen(&at)?;
                below = None;
                continue;
            }
            self.check_depth(at.len() + 1)?;
            self.look(1)?;
            match dirs::open_child(&here, os(&name)) {
                Ok(next) => {
                    here = next;
                    at.push(name);
                    below = None;
                    continue;
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(e) => return Err(e).step("open its folder"),
            }
            let target = match dirs::stat(&here, os(&name)).step("look at its folder")? {
                Some(stat) if file_is(&stat, FileType::Symlink) => Some(
                    fs::readlinkat(&here, os(&name), Vec::new())
                        .step("read a link in its path")?
                        .into_bytes(),
                ),
                Some(stat) if dirs::is_whiteout(&stat) && make => {
                    // Removed below and made anew here: nothing of the old one may show through.
                    fs::unlinkat(&here, os(&name), AtFlags::empty()).step("replace a whiteout")?;
                    here = make::new_folder(&here, &name, None)?;
                    dirs::make_opaque(&here).step("mark its folder as opaque")?;
                    at.push(name);
                    below = Some(Vec::new());
                    continue;
                }
                Some(_) => return refuse("lies in what is no folder in this layer"),
                None => {
                    let folders = match below.take() {
                        Some(folders) => folders,
                        None => self.below(&at)?,
                    };
                    self.look(folders.len() as u64)?;
                    match child(&folders, &name).step("look through the layers below")? {
                        Some(Node::Symlink(target)) => Some(target),
                        _ if !make => return refuse("leads to a folder that is not in this layer"),
                        found => {
                            let (like, folders) = match found {
                                Some(Node::Directory(folders, stat)) => (Some(stat), folders),
                                _ => (None, Vec::new()),
                            };
                            let times = fs::fstat(&here).step("look at its folder")?;
                            let next = make::new_folder(&here, &name, like.as_ref())?;
                            fs::futimens(&here, &make::times(&times))
                                .step("set the times of its folder")?;
                            here = next;
                            at.push(name);
                            below = Some(folders);
                            continue;
                        }
                    }
                }
            };
            links += 1;
            if links > MAX_LINKS {
                return refuse("has too many symlinks in its path");
            }
            follow(&target.unwrap_or_default(), &mut at, &mut ahead);
            here = self.reopen(&at)?;
            below = None;
        }
        Ok(here)
    }

    /// The folders of the layers below that show at this place; none where a folder of this layer hides them.
    fn below(&self, at: &[Vec<u8>]) -> Result<Vec<OwnedFd>, Fault> {
        let mut here = self.reopen(&[])?;
        for part in at {
            here = dirs::open_child(&here, os(part)).step("open its folder")?;
            if dirs::is_opaque(&here).step("look at its folder")? {
                return Ok(Vec::new());
            }
        }
        let (folders, lookups) = self
            .below
            .folder(at)
            .step("look through the layers below")?;
        self.look(at.len() as u64 + lookups)?;
        Ok(folders)
    }

    /// Opens a folder of this layer that was walked already.
    fn reopen(&self, at: &[Vec<u8>]) -> Result<OwnedFd, Fault> {
        let mut here = dirs::open_child(&self.root, os(b".")).step("open the layer's folder")?;
        self.look(at.len() as u64)?;
        for name in at {
            here = dirs::open_child(&here, os(name)).step("open its folder")?;
        }
        Ok(here)
    }

    fn hard_link(&self, folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let shown = String::from_utf8_lossy(&entry.link).into_owned();
        let of_target = |fault| match fault {
            Fault::Refused(problem) => {
                Fault::Refused(format!("is a hard link to {shown:?}, which {problem}"))
            }
            other => other,
        };
        let target = self.clean(&entry.link).map_err(of_target)?;
        let Some((target_name, parents)) = target.split_last() else {
            return refuse(format!("is a hard link to {shown:?}, which is no file"));
        };
        let target_folder = self.walk(parents, false).map_err(of_target)?;
        let found =
            dirs::stat(&target_folder, os(target_name)).step("look for the link's target")?;
        let Some(found) = found.filter(|stat| !dirs::is_whiteout(stat)) else {
            return refuse(format!(
                "is a hard link to {shown:?}, which does not come before it in this layer"
            ));
        };
        if file_is(&found, FileType::Directory) {
            return refuse(format!("is a hard link to the folder {shown:?}"));
        }
        let there = dirs::stat(folder, os(name)).step("look at it")?;
        if there.is_some_and(|s| (s.st_dev, s.st_ino) == (found.st_dev, found.st_ino)) {
            return Ok(());
        }
        make::make_room(folder, name)?;
        // Without AT_SYMLINK_FOLLOW a link to a symlink is another name of the symlink itself.
        let flags = AtFlags::empty();
        fs::linkat(&target_folder, os(target_name), folder, os(name), flags).step("make the link")
    }

    fn symlink(&self, folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        if entry.link.is_empty() || entry.link.contains(&0) {
            return refuse("is a symlink to nothing");
        }
        if entry.link.len() > self.limits.path_bytes {
            let limit = self.limits.path_bytes;
            return refuse(format!("is a symlink to a path longer than {limit} bytes"));
        }
        fs::symlinkat(entry.link.as_slice(), folder, os(name)).step("make the symlink")?;
        make::own_by_name(folder, name, entry)
    }
}
