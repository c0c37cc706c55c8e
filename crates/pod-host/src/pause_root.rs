//! The root file system of all pause containers: one folder, made once for each version of the program.

use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The folder for this pause program, below `roots`. Complete, or not there: it is made under another name and renamed.
pub(crate) fn ensure(roots: &Path, program: &Path) -> io::Result<PathBuf> {
    let bytes = fs::read(program)?;
    let digest = Sha256::digest(&bytes);
    let name: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    let path = roots.join(&name);
    if path.is_dir() {
        return Ok(path);
    }
    let fresh = roots.join(format!(".{name}.new"));
    match fs::remove_dir_all(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::create_dir_all(&fresh)?;
    for folder in ["proc", "sys", "dev"] {
        fs::create_dir(fresh.join(folder))?;
    }
    let copy = fresh.join(pod_oci::PAUSE_PROGRAM.trim_start_matches('/'));
    fs::write(&copy, bytes)?;
    // It runs as nobody.
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
    fs::rename(&fresh, &path)?;
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
}
