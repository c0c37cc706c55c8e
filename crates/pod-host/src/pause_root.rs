//! The root file system of all pause containers: one folder, made once for each version of the program.

use sha2::{Digest, Sha256};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The folder for this pause program, below `roots`. Complete, or not there: it is made under another name, is on the disk before it is renamed,
/// and counts only while it holds that program.
pub(crate) fn ensure(roots: &Path, program: &Path) -> io::Result<PathBuf> {
    let bytes = fs::read(program)?;
    let digest = Sha256::digest(&bytes);
    let name: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    let path = roots.join(&name);
    let own = pod_oci::PAUSE_PROGRAM.trim_start_matches('/');
    if fs::read(path.join(own)).is_ok_and(|found| found == bytes) {
        return Ok(path);
    }
    let fresh = roots.join(format!(".{name}.new"));
    // What is there and does not hold the program is of nobody: no sandbox could run on it.
    for old in [&fresh, &path] {
        match fs::remove_dir_all(old) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    fs::create_dir_all(&fresh)?;
    for folder in ["proc", "sys", "dev"] {
        fs::create_dir(fresh.join(folder))?;
    }
    let mut copy = File::create(fresh.join(own))?;
    copy.write_all(&bytes)?;
    // It runs as nobody.
    copy.set_permissions(Permissions::from_mode(0o755))?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o755))?;
    copy.sync_all()?;
    File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, &path)?;
    File::open(roots)?.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_one_folder_that_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("p");
        let roots = dir.path().join("roots");
        fs::write(&program, "one").unwrap();
        let first = ensure(&roots, &program).unwrap();
        assert_eq!(ensure(&roots, &program).unwrap(), first);
        assert_eq!(
            fs::read_to_string(first.join("podwright-pause")).unwrap(),
            "one"
        );
        assert!(first.join("proc").is_dir() && first.join("dev").is_dir());
        fs::write(&program, "two").unwrap();
        let second = ensure(&roots, &program).unwrap();
        assert_ne!(second, first);
        assert_eq!(fs::read_dir(&roots).unwrap().count(), 2);
    }

    #[test]
    fn a_program_that_a_power_cut_has_emptied_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("p");
        let roots = dir.path().join("roots");
        fs::write(&program, "one").unwrap();
        let folder = ensure(&roots, &program).unwrap();
        fs::write(folder.join("podwright-pause"), "").unwrap();
        assert_eq!(ensure(&roots, &program).unwrap(), folder);
        let found = fs::read_to_string(folder.join("podwright-pause")).unwrap();
        assert_eq!(found, "one");
        assert!(folder.join("sys").is_dir());
    }
}
