//! The program that a process becomes: found as the C library finds it, refused in the words that users know.

use crate::failure::plain;
use libcontainer::oci_spec::runtime::Process;
use rustix::fs::{Access, AtFlags, CWD, FileType, accessat};
use rustix::io::Errno;
use std::ffi::{CString, NulError};
use std::io;
use std::path::{Path, PathBuf};

/// Where a program is looked for when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program, its arguments and its environment.
#[derive(Debug)]
pub(crate) struct Program {
    arguments: Vec<String>,
    environment: Vec<String>,
}

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// There is none to run.
    #[error("no command is given")]
    Empty,
    /// A name without a slash that no folder of PATH has.
    #[error("exec: {0:?}: executable file not found in $PATH")]
    NotInPath(String),
    /// A path that leads to nothing.
    #[error("exec: {name:?}: stat {name}: {reason}")]
    Stat {
        /// As it was given.
        name: String,
        /// Why.
        reason: String,
    },
    /// It is there, but cannot be run.
    #[error("exec: {name:?}: {reason}")]
    Refused {
        /// As it was given.
        name: String,
        /// Why.
        reason: String,
    },
    /// No C string.
    #[error("an argument or a variable has a NUL byte in it")]
    Nul(#[from] NulError),
}

impl ProgramError {
    /// The exit code that shells use: 126 for what is there but cannot be run, 127 for what is not there.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Refused { .. } => 126,
            _ => 127,
        }
    }
}

impl Program {
    /// The program of an OCI process.
    pub(crate) fn of(process: &Process) -> Self {
        Self {
            arguments: process.args().clone().unwrap_or_default(),
            environment: process.env().clone().unwrap_or_default(),
        }
    }

    /// Another command with the same environment, and `extra` where the environment does not have that variable.
    pub(crate) fn other(process: &Process, command: &[String], extra: &[(&str, &str)]) -> Self {
        let mut program = Self {
            arguments: command.to_vec(),
            ..Self::of(process)
        };
        for (name, value) in extra {
            if program.variable(name).is_none() {
                program.environment.push(format!("{name}={value}"));
            }
        }
        program
    }

    fn variable(&self, name: &str) -> Option<&str> {
        // As getenv has it, the first counts.
        self.environment
            .iter()
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
    }

    /// Looks for the program with the rights, root and folder that this process has now.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub(crate) fn find(&self) -> Result<PathBuf, ProgramError> {
        let name = self
            .arguments
            .first()
            .filter(|name| !name.is_empty())
            .ok_or(ProgramError::Empty)?;
        if name.contains('/') {
            return match runnable(Path::new(name)) {
                Ok(()) => Ok(name.into()),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Err(ProgramError::Stat {
                    name: name.clone(),
                    reason: plain(&io::Error::from(Errno::NOENT)),
                }),
                Err(error) => Err(refused(name, error)),
            };
        }
        for folder in self.variable("PATH").unwrap_or(DEFAULT_PATH).split(':') {
            let path = Path::new(if folder.is_empty() { "." } else { folder }).join(name);
            if runnable(&path).is_ok() {
                return Ok(path);
            }
        }
        Err(ProgramError::NotInPath(name.clone()))
    }

    /// Becomes the program. Returns only when that failed.
    pub(crate) fn run(&self) -> ProgramError {
        match self.try_run() {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn try_run(&self) -> Result<std::convert::Infallible, ProgramError> {
        let file = self.find()?;
        let name = self.arguments.first().ok_or(ProgramError::Empty)?;
        let path = CString::new(file.as_os_str().as_encoded_bytes())?;
        let arguments = strings(&self.arguments)?;
        let environment = strings(&self.environment)?;
        match nix::unistd::execve(&path, &arguments, &environment) {
            Ok(never) => Ok(never),
            // The file is there, so what is missing is what it names: the interpreter of a script or the loader of an ELF file.
            Err(nix::Error::ENOENT) => Err(ProgramError::Refused {
                name: name.clone(),
                reason: "no such file or directory (its interpreter or loader is missing)"
                    .to_owned(),
            }),
            Err(error) => Err(refused(name, Errno::from_raw_os_error(error as i32))),
        }
    }
}

fn strings(texts: &[String]) -> Result<Vec<CString>, NulError> {
    texts
        .iter()
        .map(|text| CString::new(text.as_bytes()))
        .collect()
}

fn refused(name: &str, error: Errno) -> ProgramError {
    ProgramError::Refused {
        name: name.to_owned(),
        reason: plain(&io::Error::from(error)),
    }
}

/// Whether `path` is a file that this process may run, by its effective ids and capabilities.
#[expect(
    clippy::disallowed_methods,
    reason = "it asks in the container, as its process, what the exec after it will find"
)]
fn runnable(path: &Path) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    // Root may run a file only if anybody may.
    if stat.st_mode & 0o111 == 0 {
        return Err(Errno::ACCESS);
    }
    match accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Err(Errno::ACCESS) => Err(Errno::ACCESS),
        // A seccomp profile may not know faccessat2: then the exec itself has the last word.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(command: &[&str], environment: &[&str]) -> Program {
        Program {
            arguments: command.iter().map(ToString::to_string).collect(),
            environment: environment.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_program_is_found_as_execvp_finds_it_or_refused_in_known_words() {
        type Row = (
            &'static [&'static str],
            &'static [&'static str],
            Result<&'static str, &'static str>,
        );
        let table: [Row; 9] = [
            (&["sh"], &["PATH=/nowhere:/bin"], Ok("/bin/sh")),
            (&["sh"], &[], Ok("/usr/bin/sh")),
            (&["/bin/sh"], &["PATH=/nowhere"], Ok("/bin/sh")),
            (
                &["nosuch"],
                &["PATH=/bin:/etc"],
                Err("exec: \"nosuch\": executable file not found in $PATH"),
            ),
            (
                &["sh"],
                &["PATH=/nowhere", "PATH=/bin"],
                Err("exec: \"sh\": executable file not found in $PATH"),
            ),
            (
                &["/bin/nosuch"],
                &[],
                Err("exec: \"/bin/nosuch\": stat /bin/nosuch: no such file or directory"),
            ),
            (
                &["/etc/passwd"],
                &[],
                Err("exec: \"/etc/passwd\": permission denied"),
            ),
            (&["/etc"], &[], Err("exec: \"/etc\": is a directory")),
            (&[], &[], Err("no command is given")),
        ];
        for (command, environment, expected) in table {
            let found = program(command, environment)
                .find()
                .map_err(|e| e.to_string());
            assert_eq!(
                found,
                expected.map(PathBuf::from).map_err(str::to_owned),
                "{command:?} {environment:?}"
            );
        }
    }
}
