//! Looks names up through a stack of unpacked layers, as overlayfs would show them, without mounting anything.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use crate::dirs;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Symlinks followed on one way (MAXSYMLINKS of path_resolution(7)).
pub(crate) const MAX_LINKS: usize = 40;

/// Components looked at on one way, those of symlinks' targets and those above them counted each time.
const MAX_STEPS: usize = 1024;

/// Unpacked layers, topmost first.
pub(crate) struct Stack {
    roots: Vec<OwnedFd>,
}

/// What a name stands for in the merged tree.
pub(crate) enum Node {
    /// The folder in each layer that has a share in it, topmost first, and what stat says of the topmost.
    Directory(Vec<OwnedFd>, Stat),
    /// Its target.
    Symlink(Vec<u8>),
    /// A regular file, open.
    File(File),
    /// A device, a pipe, a socket.
    Other,
}

impl Stack {
    /// No layers: an empty tree.
    pub(crate) fn empty() -> Self {
        Self { roots: Vec::new() }
    }

    /// Opens the layers. What lies below an opaque root is out of sight.
    pub(crate) fn open(layers: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let mut stack = Self::empty();
        for path in layers {
            let fail = |e| (path.clone(), e);
            let root = dirs::open_folder(path).map_err(fail)?;
            let opaque = dirs::is_opaque(&root).map_err(fail)?;
            stack.roots.push(root);
            if opaque {
                break;
            }
        }
        Ok(stack)
    }

    /// How many of the layers can be seen.
    pub(crate) fn len(&self) -> usize {
        self.roots.len()
    }

    /// Puts a layer on top.
    pub(crate) fn push(&mut self, root: OwnedFd) -> io::Result<()> {
        if dirs::is_opaque(&root)? {
            self.roots.clear();
        }
        self.roots.insert(0, root);
        Ok(())
    }

    /// The folders of each layer that make up the one at this path, topmost first; none where there is none. No symlink is followed.
    /// Also says how many lookups that took.
    pub(crate) fn folder(&self, path: &[Vec<u8>]) -> io::Result<(Vec<OwnedFd>, u64)> {
        let mut here: Vec<OwnedFd> = Vec::new();
        let mut lookups = 0;
        for (n, name) in path.iter().enumerate() {
            let above = if n == 0 { &self.roots } else { &here };
            lookups += above.len() as u64;
            here = match child(above, name)? {
                Some(Node::Directory(folders, _)) => folders,
                _ => return Ok((Vec::new(), lookups)),
            };
        }
        if path.is_empty() {
            here = self
                .roots
                .iter()
                .map(OwnedFd::try_clone)
                .collect::<Result<_, _>>()?;
        }
        Ok((here, lookups))
    }

    /// What lies at this path. No symlink is followed, not even on the way.
    pub(crate) fn at(&self, path: &[Vec<u8>]) -> io::Result<Option<Node>> {
        let Some((last, parents)) = path.split_last() else {
            return Ok(None);
        };
        let mut owned: Vec<OwnedFd>;
        let mut here = self.roots.as_slice();
        for name in parents {
            match child(here, name)? {
                Some(Node::Directory(folders, _)) => {
                    owned = folders;
                    here = owned.as_slice();
                }
                _ => return Ok(None),
            }
        }
        child(here, last)
    }

    /// The regular file at this path, symlinks followed within the image only: `/` is the image's root, and `..` stops there.
    pub(crate) fn file(&self, path: &str) -> io::Result<Option<File>> {
        let mut ahead: VecDeque<Vec<u8>> = names(path.as_bytes()).collect();
        let mut at: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        let mut steps = 0;
        while let Some(name) = ahead.pop_front() {
            if name == b".." {
                at.pop();
                continue;
            }
            at.push(name);
            // Each look goes down from the root.
            steps += at.len();
            if steps > MAX_STEPS {
                return Ok(None);
            }
            match self.at(&at)? {
                Some(Node::Directory(..)) => {}
                Some(Node::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(None);
                    }
                    at.pop();
                    follow(&target, &mut at, &mut ahead);
                }
                Some(Node::File(file)) if ahead.is_empty() => return Ok(Some(file)),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// Puts a symlink's target in front of the way that is still to go; `at` is the folder that holds the link.
pub(crate) fn follow(target: &[u8], at: &mut Vec<Vec<u8>>, ahead: &mut VecDeque<Vec<u8>>) {
    if target.starts_with(b"/") {
        at.clear();
    }
    let parts: Vec<Vec<u8>> = names(target).collect();
    for part in parts.into_iter().rev() {
        ahead.push_front(part);
    }
}

/// The components of a path; `..` stays one.
pub(crate) fn names(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|b| *b == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
}

/// One name in a merged folder: the topmost layer that has it decides; folders go on below until a layer hides them.
pub(crate) fn child(folders: &[OwnedFd], name: &[u8]) -> io::Result<Option<Node>> {
    let name = dirs::os(name);
    let mut found: Vec<OwnedFd> = Vec::new();
    let mut top: Option<Stat> = None;
    for folder in folders {
        let stat = match dirs::stat(folder, name) {
            Ok(Some(stat)) => stat,
            Ok(None) => continue,
            Err(Errno::NAMETOOLONG) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        if dirs::file_type(&stat) == FileType::Directory {
            let dir = dirs::open_child(folder, name)?;
            let opaque = dirs::is_opaque(&dir)?;
            found.push(dir);
            top = top.or(Some(stat));
            if opaque {
                break;
            }
            continue;
        }
        if top.is_some() || dirs::is_whiteout(&stat) {
            break;
        }
        return Ok(Some(match dirs::file_type(&stat) {
            FileType::Symlink => {
                Node::Symlink(rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes())
            }
            _ => match dirs::open_regular(folder, name)? {
                Some(file) => Node::File(file),
                None => Node::Other,
            },
        }));
    }
    Ok(top.map(|stat| Node::Directory(found, stat)))
}
