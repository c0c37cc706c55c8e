//! Files that cannot be trusted are kept for whoever looks into it, where nobody reads them again.

use jiff::Timestamp;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Name of the folder below root and run.
pub const QUARANTINE: &str = "quarantine";

/// So many are kept in one folder; the oldest go.
const MOST: usize = 100;

/// Moves a file or folder into the folder `quarantine` below `base`, under a name that says when and where it was found.
///
/// # Errors
/// It cannot be moved; it is still where it was.
pub fn set_aside(base: &Path, file: &Path) -> io::Result<PathBuf> {
    let folder = base.join(QUARANTINE);
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o700).create(&folder)?;
    let name = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let now = Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S.%6fZ");
    let target = folder.join(format!(
        "{now}.{}.{}",
        name(file.parent()),
        name(Some(file))
    ));
    fs::rename(file, &target)?;
    let entries = fs::read_dir(&folder)?.flatten();
    let mut kept: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    kept.sort();
    let surplus = kept.len().saturating_sub(MOST);
    for old in kept.iter().take(surplus) {
        let _ = fs::remove_file(old).or_else(|_| fs::remove_dir_all(old));
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_is_kept_whole_and_there_is_an_end_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pods");
        fs::create_dir(&folder).unwrap();
        for n in 0..MOST + 3 {
            let file = folder.join(format!("{n}.json"));
            fs::write(&file, n.to_string()).unwrap();
            let kept = set_aside(dir.path(), &file).unwrap();
            assert!(!file.exists());
            assert_eq!(fs::read_to_string(&kept).unwrap(), n.to_string());
            assert!(kept.to_string_lossy().ends_with(&format!(".pods.{n}.json")));
        }
        let kept = fs::read_dir(dir.path().join(QUARANTINE)).unwrap().count();
        assert_eq!(kept, MOST);
    }
}
