//! Network links of the current network namespace.

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Brings a link up, such as `lo`, which is down in a new network namespace.
///
/// # Errors
/// `ENODEV` when there is no such link; `EPERM` without CAP_NET_ADMIN; `InvalidInput` for a name over 15 bytes.
pub fn link_up(name: &str) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut request = named(name)?;
    ioctl(&socket, libc::SIOCGIFFLAGS, &mut request)?;
    let up = libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
    // SAFETY: SIOCGIFFLAGS has filled this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | up;
    ioctl(&socket, libc::SIOCSIFFLAGS, &mut request)
}

fn named(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte stays 0: the name must end with NUL.
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn ioctl(
    socket: &impl std::os::fd::AsFd,
    what: libc::Ioctl,
    request: &mut libc::ifreq,
) -> io::Result<()> {
    let fd: BorrowedFd<'_> = socket.as_fd();
    // SAFETY: the descriptor is open; both requests read and write one ifreq, which `request` is.
    match unsafe { libc::ioctl(fd.as_raw_fd(), what, request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_name_must_fit_and_exist() {
        for bad in ["", "0123456789abcdef", "a\0b"] {
            assert_eq!(
                link_up(bad).unwrap_err().kind(),
                io::ErrorKind::InvalidInput
            );
        }
        let none = link_up("no-such-link").unwrap_err();
        assert_eq!(none.raw_os_error(), Some(libc::ENODEV));
    }
}
