//! Standard streams of a container: pipes that outlive this process, owned by the container's user.

use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Uid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Both sides of a container's standard streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// For the container: standard input, output, error.
    pub(crate) theirs: Vec<OwnedFd>,
    /// Write end of its standard input.
    pub(crate) stdin: Option<OwnedFd>,
    /// Read end of its standard output.
    pub(crate) stdout: Option<OwnedFd>,
    /// Read end of its standard error.
    pub(crate) stderr: Option<OwnedFd>,
}

/// Makes them. Without `logged`, output goes to /dev/null; without `stdin`, input comes from there.
pub(crate) fn make(stdin: bool, logged: bool, uid: u32, gid: u32) -> io::Result<Streams> {
    let mut streams = Streams::default();
    if stdin {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        own(&read, uid, gid)?;
        streams.theirs.push(read);
        streams.stdin = Some(write);
    } else {
        streams.theirs.push(null(OFlags::RDONLY)?);
    }
    for end in [&mut streams.stdout, &mut streams.stderr] {
        if !logged {
            streams.theirs.push(null(OFlags::RDWR)?);
            continue;
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // Opened for reading too: while the container holds it there is always a reader, so if this process dies no write fails.
        let both = open(
            format!("/proc/self/fd/{}", write.as_raw_fd()),
            OFlags::RDWR | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        own(&both, uid, gid)?;
        nonblocking(&read)?;
        streams.theirs.push(both);
        *end = Some(read);
    }
    Ok(streams)
}

/// Reads on this descriptor return at once.
pub(crate) fn nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}

/// A container that is not root opens its own /dev/stdout and /dev/stderr.
fn own(pipe: &OwnedFd, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(rustix::fs::fchown(pipe, Some(uid), Some(gid))?)
}

fn null(flags: OFlags) -> io::Result<OwnedFd> {
    Ok(open("/dev/null", flags | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn output_outlives_its_reader_and_a_new_reader_gets_it() {
        let mut streams = make(false, true, 1000, 1001).unwrap();
        let mut theirs = File::from(streams.theirs.remove(1));
        theirs.write_all(b"one ").unwrap();
        streams.stdout = None;
        // The reader is gone: an ordinary pipe would fail here.
        theirs.write_all(b"two").unwrap();
        let meta = theirs.metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (1000, 1001));
        let mut successor = File::open(format!("/proc/self/fd/{}", theirs.as_raw_fd())).unwrap();
        drop(theirs);
        let mut text = String::new();
        successor.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }

    #[test]
    fn the_reader_sees_the_end_once_the_container_has_closed_its_side() {
        let streams = make(true, true, 0, 0).unwrap();
        let mut read = File::from(streams.stdout.unwrap());
        let mut byte = [0];
        assert_eq!(
            read.read(&mut byte).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(streams.theirs);
        assert_eq!(read.read(&mut byte).unwrap(), 0);
        assert!(streams.stdin.is_some());
    }
}
