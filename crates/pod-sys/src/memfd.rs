//! Programs that run from sealed memory, so that nobody can write to them through `/proc/PID/exe`.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

const SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// Copies a program into memory that can be executed and never be changed again. `name` shows in `/proc/PID/maps`.
///
/// It is run by its descriptor, `/proc/self/fd/N`; all processes that run it share its pages.
///
/// # Errors
/// Those of reading `program`, of `memfd_create` and of sealing; `EACCES` where the sysctl `vm.memfd_noexec` forbids it.
pub fn sealed_copy(name: &str, mut program: impl Read) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match memfd_create(name, flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 there was no such flag, and every memfd could be executed.
        Err(Errno::INVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    let mut file = File::from(memory);
    io::copy(&mut program, &mut file)?;
    fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

/// Whether a file's content can never change: it is a memfd with all the seals of [`sealed_copy`].
pub fn is_sealed(file: impl AsFd) -> bool {
    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn a_sealed_copy_has_its_bytes_and_takes_no_others() {
        let copy = sealed_copy("t", &b"program"[..]).unwrap();
        assert!(is_sealed(&copy));
        let mut file = File::from(copy);
        assert_eq!(
            file.write(b"x").unwrap_err().raw_os_error(),
            Some(libc::EPERM)
        );
        assert!(file.set_len(0).is_err());
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "program");
    }

    #[test]
    fn an_ordinary_file_and_an_unsealed_memfd_are_not_sealed() {
        assert!(!is_sealed(File::open("/proc/self/exe").unwrap()));
        assert!(!is_sealed(
            memfd_create("t", MemfdFlags::ALLOW_SEALING).unwrap()
        ));
    }
}
