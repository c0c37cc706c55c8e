//! Frames on a Unix stream socket: a length (u32, little endian), that many bytes, and descriptors with the first byte.
//!
//! [`FrameReader`] and [`FrameWriter`] keep their place between calls and give `WouldBlock` through, so that an epoll loop and an
//! async runtime (`try_io`) can both drive them; [`send`] and [`recv`] wait.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longest frame in bytes that is sent or taken. What is larger travels as a memfd.
pub const MAX_FRAME: usize = 16 << 20;

/// Most descriptors that one frame carries.
pub const MAX_FDS: usize = 16;

/// How much is read at once; memory for a frame grows with what has really come, not with what its length claims.
const CHUNK: usize = 64 << 10;

/// One frame as it came.
#[derive(Debug, Default)]
pub struct Frame {
    /// Its body.
    pub bytes: Vec<u8>,
    /// Its descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Sends one frame and waits until all of it is handed over.
///
/// # Errors
/// Those of `sendmsg`; `InvalidInput` for a frame over [`MAX_FRAME`] or with more than [`MAX_FDS`] descriptors.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let header = header(bytes.len(), fds.len())?;
    let mut sent = 0;
    while sent < header.len() + bytes.len() {
        match send_part(socket.as_fd(), &header, bytes, sent, fds) {
            Ok(n) => sent += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => wait(&socket, PollFlags::OUT)?,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Waits for one frame. `None`: the peer has closed between two frames.
///
/// # Errors
/// Those of `recvmsg`; `UnexpectedEof` when the peer closed within a frame; `InvalidData` for a frame over [`MAX_FRAME`].
pub fn recv(socket: impl AsFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut reader = FrameReader::new();
    loop {
        match reader.read(&socket) {
            Ok(frame) => return Ok(frame.map(|f| (f.bytes, f.fds))),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => wait(&socket, PollFlags::IN)?,
            Err(e) => return Err(e),
        }
    }
}

/// Takes frames apart as they come, on a socket that need not block.
#[derive(Debug, Default)]
pub struct FrameReader {
    header: [u8; 4],
    header_read: usize,
    body: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl FrameReader {
    /// One that has read nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads until a frame is whole. `None`: the peer has closed between two frames.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing more now (call again; what came is kept); `UnexpectedEof` when the peer closed within a
    /// frame; `InvalidData` for a frame over [`MAX_FRAME`] or descriptors that did not fit: the connection is of no use then.
    pub fn read(&mut self, socket: impl AsFd) -> io::Result<Option<Frame>> {
        // Exactly one frame's bytes are asked for, so descriptors that come along are this frame's and never the next one's.
        while let Some(rest) = self.header.get_mut(self.header_read..)
            && !rest.is_empty()
        {
            match receive(socket.as_fd(), rest, &mut self.fds)? {
                0 if self.header_read == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => self.header_read += n,
            }
        }
        let length = u32::from_le_bytes(self.header) as usize;
        if length > MAX_FRAME {
            return Err(too_long(length, io::ErrorKind::InvalidData));
        }
        while self.body.len() < length {
            let have = self.body.len();
            self.body.resize(have + (length - have).min(CHUNK), 0);
            let got = match self.body.get_mut(have..) {
                Some(rest) => receive(socket.as_fd(), rest, &mut self.fds),
                None => Ok(0),
            };
            self.body
                .truncate(have + got.as_ref().copied().unwrap_or(0));
            if got? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.header_read = 0;
        Ok(Some(Frame {
            bytes: std::mem::take(&mut self.body),
            fds: std::mem::take(&mut self.fds),
        }))
    }
}

/// Queues frames and writes them as far as the socket takes them.
#[derive(Debug, Default)]
pub struct FrameWriter {
    queue: VecDeque<Outgoing>,
    queued: usize,
}

#[derive(Debug)]
struct Outgoing {
    header: [u8; 4],
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
    sent: usize,
}

impl FrameWriter {
    /// One with nothing queued.
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues a frame. Its descriptors are closed here once they are handed over.
    ///
    /// # Errors
    /// `InvalidInput` for a frame over [`MAX_FRAME`] or with more than [`MAX_FDS`] descriptors; nothing is queued then.
    pub fn push(&mut self, bytes: Vec<u8>, fds: Vec<OwnedFd>) -> io::Result<()> {
        let header = header(bytes.len(), fds.len())?;
        self.queued += header.len() + bytes.len();
        self.queue.push_back(Outgoing {
            header,
            bytes,
            fds,
            sent: 0,
        });
        Ok(())
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes until the queue is empty.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes no more now (call again); others mean that the connection is of no use.
    pub fn write(&mut self, socket: impl AsFd) -> io::Result<()> {
        while let Some(front) = self.queue.front_mut() {
            let fds: Vec<BorrowedFd<'_>> = front.fds.iter().map(AsFd::as_fd).collect();
            let sent = send_part(
                socket.as_fd(),
                &front.header,
                &front.bytes,
                front.sent,
                &fds,
            )?;
            front.fds.clear();
            front.sent += sent;
            self.queued = self.queued.saturating_sub(sent);
            if front.sent >= front.header.len() + front.bytes.len() {
                self.queue.pop_front();
            }
        }
        Ok(())
    }
}

fn header(length: usize, fds: usize) -> io::Result<[u8; 4]> {
    if fds > MAX_FDS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{fds} descriptors in one frame, at most {MAX_FDS} fit"),
        ));
    }
    match u32::try_from(length) {
        Ok(short) if length <= MAX_FRAME => Ok(short.to_le_bytes()),
        _ => Err(too_long(length, io::ErrorKind::InvalidInput)),
    }
}

fn too_long(length: usize, kind: io::ErrorKind) -> io::Error {
    io::Error::new(
        kind,
        format!("a frame of {length} bytes, at most {MAX_FRAME} are allowed"),
    )
}

/// Sends what follows the first `sent` bytes of header and body; descriptors go with the very first byte only.
fn send_part(
    socket: BorrowedFd<'_>,
    header: &[u8],
    bytes: &[u8],
    sent: usize,
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let parts = [
        IoSlice::new(header.get(sent..).unwrap_or_default()),
        IoSlice::new(
            bytes
                .get(sent.saturating_sub(header.len())..)
                .unwrap_or_default(),
        ),
    ];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if sent == 0 && !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the descriptors do not fit into one message",
        ));
    }
    loop {
        match sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn receive(socket: BorrowedFd<'_>, into: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let mut parts = [IoSliceMut::new(into)];
        match recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = item {
            fds.extend(received);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) || fds.len() > MAX_FDS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "descriptors of a frame were lost: too many of them, or no free descriptor here",
        ));
    }
    Ok(message.bytes)
}

fn wait(socket: &impl AsFd, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(socket, what)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_frame_arrives_with_its_bytes_and_its_own_descriptors() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut pipe_out, pipe_in) = std::io::pipe().unwrap();
        send(&a, b"first", &[]).unwrap();
        send(&a, b"", &[pipe_in.as_fd()]).unwrap();
        send(&a, b"third", &[]).unwrap();
        drop((a, pipe_in));
        let (bytes, fds) = recv(&b).unwrap().unwrap();
        assert_eq!((bytes.as_slice(), fds.len()), (&b"first"[..], 0));
        let (bytes, mut fds) = recv(&b).unwrap().unwrap();
        assert_eq!((bytes.len(), fds.len()), (0, 1));
        let mut file = File::from(fds.pop().unwrap());
        let flags = rustix::io::fcntl_getfd(&file).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        file.write_all(b"through").unwrap();
        drop(file);
        let mut text = String::new();
        pipe_out.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert_eq!(recv(&b).unwrap().unwrap().0, b"third");
        assert!(recv(&b).unwrap().is_none());
    }

    #[test]
    fn a_long_frame_passes_in_pieces_between_nonblocking_ends() {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        b.set_nonblocking(true).unwrap();
        let long: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut marker = tempfile();
        marker.write_all(b"mark").unwrap();
        let (mut writer, mut reader) = (FrameWriter::new(), FrameReader::new());
        writer.push(long.clone(), vec![marker.into()]).unwrap();
        writer.push(b"after".to_vec(), vec![]).unwrap();
        let mut got = Vec::new();
        while got.len() < 2 {
            match writer.write(&a) {
                Ok(()) => assert_eq!(writer.queued(), 0),
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
            }
            match reader.read(&b) {
                Ok(frame) => got.push(frame.unwrap()),
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert!(got[0].bytes == long && got[0].fds.len() == 1);
        assert!(got[1].bytes == b"after" && got[1].fds.is_empty());
        let mut file = File::from(got.remove(0).fds.remove(0));
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "mark");
    }

    #[test]
    fn a_frame_that_claims_too_much_or_ends_early_is_an_error() {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&(MAX_FRAME as u32 + 1).to_le_bytes()).unwrap();
        assert_eq!(recv(&b).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&8u32.to_le_bytes()).unwrap();
        a.write_all(b"half").unwrap();
        drop(a);
        assert_eq!(recv(&b).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (a, _b) = UnixStream::pair().unwrap();
        let long = vec![0; MAX_FRAME + 1];
        assert_eq!(
            send(&a, &long, &[]).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    fn tempfile() -> File {
        rustix::fs::memfd_create("t", rustix::fs::MemfdFlags::CLOEXEC)
            .unwrap()
            .into()
    }
}
