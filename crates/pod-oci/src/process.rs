//! What the first process runs: arguments, environment, working folder.

use crate::facts::OciError;
use pod_model::config::{ContainerConfig, ImageFacts};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// PATH where neither image nor container sets one.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Arguments: `command` replaces the image's entrypoint and its arguments, `args` the image's arguments.
pub(crate) fn arguments(
    container: &ContainerConfig,
    image: &ImageFacts,
) -> Result<Vec<String>, OciError> {
    let (head, tail) = if !container.command.is_empty() {
        (&container.command, &container.args)
    } else if !container.args.is_empty() {
        (&image.entrypoint, &container.args)
    } else {
        (&image.entrypoint, &image.cmd)
    };
    let all: Vec<String> = head.iter().chain(tail).cloned().collect();
    if all.is_empty() {
        return Err(OciError::NoCommand);
    }
    match all.iter().find(|a| a.contains('\0')) {
        Some(text) => Err(OciError::NulInArgument { text: text.clone() }),
        None => Ok(all),
    }
}

/// Environment: the image's, then HOSTNAME, then the container's; later ones win and stand where the name stood first.
/// PATH, HOME and (for a terminal) TERM are set if nothing else sets them.
///
/// HOME is always there because libcontainer would otherwise ask the container's own name service for it.
pub(crate) fn environment(
    container: &ContainerConfig,
    image: &ImageFacts,
    hostname: Option<&str>,
    home: &str,
) -> Result<Vec<String>, OciError> {
    let mut env = Env::default();
    env.set("PATH", DEFAULT_PATH)?;
    if container.tty {
        env.set("TERM", "xterm")?;
    }
    // An image's entry without "=" names no value; containerd passes it on, execve has no such thing.
    for (name, value) in image.env.iter().filter_map(|e| e.split_once('=')) {
        env.set(name, value)?;
    }
    if let Some(hostname) = hostname {
        env.set("HOSTNAME", hostname)?;
    }
    for (name, value) in &container.env {
        env.set(name, value)?;
    }
    if !env.places.contains_key("HOME") {
        env.set("HOME", home)?;
    }
    Ok(env
        .list
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect())
}

#[derive(Default)]
struct Env {
    list: Vec<(String, String)>,
    places: HashMap<String, usize>,
}

impl Env {
    fn set(&mut self, name: &str, value: &str) -> Result<(), OciError> {
        let fail = |problem| {
            Err(OciError::Env {
                name: name.to_owned(),
                problem,
            })
        };
        if name.is_empty() {
            return fail("the name is empty");
        }
        if name.contains('=') {
            return fail("a name must not hold =");
        }
        if name.contains('\0') || value.contains('\0') {
            return fail("name and value must not hold a NUL byte");
        }
        let place = self.places.get(name).copied();
        match place.and_then(|at| self.list.get_mut(at)) {
            Some(entry) => value.clone_into(&mut entry.1),
            None => {
                self.places.insert(name.to_owned(), self.list.len());
                self.list.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }
}

/// Working folder: the container's, else the image's, else `/`. An image may give a relative one, meant from `/`.
pub(crate) fn working_dir(
    container: &ContainerConfig,
    image: &ImageFacts,
) -> Result<PathBuf, OciError> {
    let own = container.working_dir.as_deref().filter(|d| !d.is_empty());
    let text = own.unwrap_or(&image.working_dir);
    let fail = |problem| {
        Err(OciError::WorkingDir {
            path: text.to_owned(),
            problem,
        })
    };
    if text.contains('\0') {
        return fail("must not hold a NUL byte");
    }
    if own.is_some() && !text.starts_with('/') {
        return fail("must be an absolute path");
    }
    let mut out = PathBuf::from("/");
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => return fail("must not hold .."),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    // /proc/self/fd/N would be a folder of the node that libcontainer has open (CVE-2024-21626).
    if out.starts_with("/proc") {
        return fail("must not lie in /proc");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::container;

    fn image() -> ImageFacts {
        ImageFacts {
            entrypoint: vec!["/entry".into()],
            cmd: vec!["a".into(), "b".into()],
            env: vec![
                "PATH=/bin".into(),
                "X=image".into(),
                "HOSTNAME=no".into(),
                "odd".into(),
            ],
            working_dir: "/srv".into(),
            ..ImageFacts::default()
        }
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn command_and_args_replace_entrypoint_and_cmd_as_kubernetes_says() {
        let table: &[(&[&str], &[&str], &[&str])] = &[
            (&[], &[], &["/entry", "a", "b"]),
            (&["/c"], &[], &["/c"]),
            (&[], &["z"], &["/entry", "z"]),
            (&["/c"], &["z"], &["/c", "z"]),
        ];
        for (command, args, want) in table {
            let mut c = container();
            (c.command, c.args) = (strings(command), strings(args));
            assert_eq!(arguments(&c, &image()).unwrap(), *want);
        }
        let none = arguments(&container(), &ImageFacts::default());
        assert_eq!(none.unwrap_err(), OciError::NoCommand);
    }

    #[test]
    fn the_containers_environment_wins_over_hostname_and_image() {
        let mut c = container();
        c.env = vec![("X".into(), "own".into()), ("Y".into(), "a=b".into())];
        let env = environment(&c, &image(), Some("pod"), "/root").unwrap();
        assert_eq!(
            env,
            ["PATH=/bin", "X=own", "HOSTNAME=pod", "Y=a=b", "HOME=/root"]
        );
    }

    #[test]
    fn path_and_home_are_always_there_and_term_with_a_terminal() {
        let mut c = container();
        c.tty = true;
        c.env = vec![("HOME".into(), "/h".into())];
        let env = environment(&c, &ImageFacts::default(), None, "/root").unwrap();
        assert_eq!(
            env,
            [&format!("PATH={DEFAULT_PATH}"), "TERM=xterm", "HOME=/h"]
        );
    }

    #[test]
    fn names_and_values_that_cannot_be_passed_are_refused() {
        for (name, value) in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "\0")] {
            let mut c = container();
            c.env = vec![(name.into(), value.into())];
            assert!(
                environment(&c, &image(), None, "/").is_err(),
                "{name:?}={value:?}"
            );
        }
        let mut c = container();
        c.command = vec!["a\0b".into()];
        assert!(arguments(&c, &image()).is_err());
    }

    #[test]
    fn a_line_break_in_a_value_is_passed_as_it_is() {
        let mut c = container();
        c.env = vec![("A".into(), "1\nB=2".into())];
        let env = environment(&c, &ImageFacts::default(), None, "/").unwrap();
        assert_eq!(env.iter().filter(|e| e.starts_with("A=")).count(), 1);
        assert!(!env.iter().any(|e| e.starts_with("B=")));
    }

    #[test]
    fn the_working_folder_is_the_containers_the_images_or_root() {
        let table = [
            (None, "/srv", Ok("/srv")),
            (Some(""), "/srv", Ok("/srv")),
            (Some("/a//b/./c/"), "/srv", Ok("/a/b/c")),
            (None, "", Ok("/")),
            (None, "rel", Ok("/rel")),
            (Some("rel"), "", Err(())),
            (Some("/a/../b"), "", Err(())),
            (None, "/proc/self/fd/7", Err(())),
            (Some("/a\0"), "", Err(())),
        ];
        for (own, from_image, want) in table {
            let mut c = container();
            c.working_dir = own.map(str::to_owned);
            let image = ImageFacts {
                working_dir: from_image.into(),
                ..ImageFacts::default()
            };
            let got = working_dir(&c, &image).map_err(|_| ());
            assert_eq!(got, want.map(PathBuf::from), "{own:?} {from_image:?}");
        }
    }
}
