//! Who the first process is: uid, gid and groups, from the container's security, the image's USER, and the image's passwd and group texts.
//!
//! Parsing is strict (threat S29): a number that does not fit is an error, never uid 0.

use crate::facts::OciError;
use pod_model::config::{ImageFacts, Security};

/// Largest uid and gid that Kubernetes and containerd take.
const MAX_ID: u32 = i32::MAX as u32;

/// Ids of the first process, and its home folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The primary group is one of them, as with containerd.
    pub(crate) groups: Vec<u32>,
    /// From passwd; `/` if it says nothing.
    pub(crate) home: String,
}

/// Finds the ids.
pub(crate) fn resolve(security: &Security, image: &ImageFacts) -> Result<Ids, OciError> {
    let passwd: Vec<Passwd> = image.passwd.lines().filter_map(Passwd::parse).collect();
    let groups: Vec<Group> = image.group.lines().filter_map(Group::parse).collect();
    let (uid, gid, entry) = match (security.user, security.group) {
        (Some(uid), group) => {
            let entry = passwd.iter().find(|p| p.uid == uid);
            let gid = group.or(entry.map(|p| p.gid)).unwrap_or(0);
            (uid, gid, entry)
        }
        (None, Some(group)) => return Err(OciError::GroupWithoutUser { group }),
        (None, None) => from_image(&image.user, &passwd, &groups)?,
    };
    let mut all = vec![gid];
    if security.merge_image_groups
        && let Some(entry) = entry
    {
        let member = |g: &&Group| g.members.contains(&entry.name);
        all.extend(groups.iter().filter(member).map(|g| g.gid));
    }
    all.extend(&security.supplemental_groups);
    all.sort_unstable();
    all.dedup();
    let home = entry.map_or("", |p| p.home);
    Ok(Ids {
        uid,
        gid,
        groups: all,
        home: if home.is_empty() { "/" } else { home }.to_owned(),
    })
}

/// Refuses to run as root where `run_as_non_root` says so, with the kubelet's texts. `image_user` is the image's USER.
///
/// A user name cannot be verified, even if passwd maps it to another uid than 0: the kubelet does not look either.
pub fn verify_non_root(
    security: &Security,
    image_user: &str,
    pod: &str,
    container: &str,
) -> Result<(), OciError> {
    let (pod, container) = (pod.to_owned(), container.to_owned());
    if !security.run_as_non_root {
        return Ok(());
    }
    if let Some(uid) = security.user {
        return match uid {
            0 => Err(OciError::RunAsUserIsRoot { pod, container }),
            _ => Ok(()),
        };
    }
    let user = image_user.split(':').next().unwrap_or_default();
    if user.is_empty() {
        return Err(OciError::ImageRunsAsRoot { pod, container });
    }
    match user.parse::<i64>() {
        Ok(0) => Err(OciError::ImageRunsAsRoot { pod, container }),
        Ok(uid) if (1..=i64::from(MAX_ID)).contains(&uid) => Ok(()),
        Ok(uid) => Err(OciError::ImageUidInvalid {
            uid,
            pod,
            container,
        }),
        Err(_) => Err(OciError::ImageUserNotNumeric {
            user: user.to_owned(),
            pod,
            container,
        }),
    }
}

type Found<'a> = (u32, u32, Option<&'a Passwd<'a>>);

/// Reads an image's USER: "", uid, name, each with `:gid` or `:group` after it.
fn from_image<'a>(
    user: &str,
    passwd: &'a [Passwd<'a>],
    groups: &[Group],
) -> Result<Found<'a>, OciError> {
    let fail = |problem: String| {
        Err(OciError::User {
            user: user.to_owned(),
            problem,
        })
    };
    if user.is_empty() {
        let root = passwd.iter().find(|p| p.uid == 0);
        return Ok((0, root.map_or(0, |p| p.gid), root));
    }
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    if name.is_empty() {
        return fail("no user before the colon".into());
    }
    let (uid, entry) = if looks_numeric(name) {
        match id(name) {
            Some(uid) => (uid, passwd.iter().find(|p| p.uid == uid)),
            None => return fail(format!("uid {name} is not between 0 and {MAX_ID}")),
        }
    } else {
        match passwd.iter().find(|p| p.name == name) {
            Some(entry) => (entry.uid, Some(entry)),
            // An image without /etc/passwd still has a root.
            None if name == "root" => (0, None),
            None => {
                return fail(format!(
                    "no user {name:?} in the image's /etc/passwd: set runAsUser to a number"
                ));
            }
        }
    };
    let gid = match group {
        None => entry.map_or(0, |p| p.gid),
        Some("") => return fail("no group after the colon".into()),
        Some(group) if looks_numeric(group) => match id(group) {
            Some(gid) => gid,
            None => return fail(format!("gid {group} is not between 0 and {MAX_ID}")),
        },
        Some(group) => match groups.iter().find(|g| g.name == group) {
            Some(found) => found.gid,
            None if group == "root" => 0,
            None => {
                return fail(format!(
                    "no group {group:?} in the image's /etc/group: set runAsUser and runAsGroup to numbers"
                ));
            }
        },
    };
    Ok((uid, gid, entry))
}

/// Whether a text is meant as a number, be it one that fits or not: it is then never looked up as a name.
fn looks_numeric(text: &str) -> bool {
    let digits = text.trim().trim_start_matches(['-', '+']);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A number of nothing but digits, within range.
fn id(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|n| *n <= MAX_ID)
}

/// One line of passwd(5). Lines that do not parse are skipped, so that a broken one is "no such user".
#[derive(Debug)]
struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Passwd<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        fields.next()?;
        let uid = id(fields.next()?)?;
        let gid = id(fields.next()?)?;
        fields.next();
        Some(Self {
            name,
            uid,
            gid,
            home: fields.next().unwrap_or_default(),
        })
    }
}

/// One line of group(5).
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: Vec<&'a str>,
}

impl<'a> Group<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        fields.next()?;
        let gid = id(fields.next()?)?;
        let members = fields.next().unwrap_or_default();
        Some(Self {
            name,
            gid,
            members: members.split(',').map(str::trim).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\n1234:x:55:55::/n:/bin/sh\nhuge:x:4294967296:0::/:/bin/sh\nneg:x:-1:0::/:\nbroken\n";
    const GROUP: &str = "root:x:0:\nbob:x:1001:\naudio:x:29:bob,alice\nvideo:x:44:alice, bob\nhuge:x:99999999999:bob\n";

    fn image(user: &str) -> ImageFacts {
        ImageFacts {
            user: user.into(),
            passwd: PASSWD.into(),
            group: GROUP.into(),
            ..ImageFacts::default()
        }
    }

    fn ids(user: &str) -> Result<(u32, u32), OciError> {
        resolve(&Security::default(), &image(user)).map(|i| (i.uid, i.gid))
    }

    #[test]
    fn every_form_of_the_image_user_is_understood() {
        let table = [
            ("", (0, 0)),
            ("0", (0, 0)),
            ("root", (0, 0)),
            ("1000", (1000, 1001)),
            ("7", (7, 0)),
            ("7:8", (7, 8)),
            ("bob", (1000, 1001)),
            ("bob:audio", (1000, 29)),
            ("bob:5", (1000, 5)),
            ("1234", (1234, 0)),
            ("2147483647", (2_147_483_647, 0)),
            ("007", (7, 0)),
        ];
        for (user, want) in table {
            assert_eq!(ids(user).unwrap(), want, "USER {user:?}");
        }
    }

    #[test]
    fn s29_a_user_that_cannot_be_understood_is_an_error_and_never_root() {
        for user in [
            "2147483648",
            "4294967296",
            "18446744073709551616",
            "-1",
            "+1",
            " 0",
            "0 ",
            "1000:",
            ":5",
            ":",
            "carol",
            "bob:nogroup",
            "huge",
            "neg",
            "broken",
            "1000:-1",
            "1000:4294967296",
            "0x0",
            "bob:bob:bob",
        ] {
            let error = ids(user).expect_err(user);
            assert!(error.to_string().contains(user), "{error}");
        }
    }

    #[test]
    fn root_is_known_without_passwd_and_other_names_are_not() {
        let bare = ImageFacts {
            user: "root".into(),
            ..ImageFacts::default()
        };
        assert_eq!(resolve(&Security::default(), &bare).unwrap().uid, 0);
        let bare = ImageFacts {
            user: "bob".into(),
            ..ImageFacts::default()
        };
        assert!(resolve(&Security::default(), &bare).is_err());
    }

    #[test]
    fn the_containers_user_wins_and_takes_its_group_from_passwd() {
        let security = Security {
            user: Some(1000),
            ..Security::default()
        };
        let got = resolve(&security, &image("root")).unwrap();
        assert_eq!(
            (got.uid, got.gid, got.home.as_str()),
            (1000, 1001, "/home/bob")
        );
        let security = Security {
            user: Some(4242),
            group: Some(7),
            ..Security::default()
        };
        let got = resolve(&security, &image("root")).unwrap();
        assert_eq!((got.uid, got.gid, got.home.as_str()), (4242, 7, "/"));
    }

    #[test]
    fn a_group_without_a_user_is_refused() {
        let security = Security {
            group: Some(7),
            ..Security::default()
        };
        assert_eq!(
            resolve(&security, &image("")).unwrap_err(),
            OciError::GroupWithoutUser { group: 7 }
        );
    }

    #[test]
    fn groups_are_the_primary_one_the_images_if_merged_and_the_supplemental_ones() {
        let mut security = Security {
            supplemental_groups: vec![2000, 29],
            merge_image_groups: true,
            ..Security::default()
        };
        assert_eq!(
            resolve(&security, &image("bob")).unwrap().groups,
            [29, 44, 1001, 2000]
        );
        security.merge_image_groups = false;
        assert_eq!(
            resolve(&security, &image("bob")).unwrap().groups,
            [29, 1001, 2000]
        );
    }

    #[test]
    fn non_root_is_verified_with_the_kubelets_texts() {
        let pod = "bar_new(12345678)";
        let non_root = |user, image_user: &str| {
            let security = Security {
                run_as_non_root: true,
                user,
                ..Security::default()
            };
            verify_non_root(&security, image_user, pod, "foo").map_err(|e| e.to_string())
        };
        let suffix = "(pod: \"bar_new(12345678)\", container: foo)";
        let table = [
            (Some(1000), "", Ok(())),
            (None, "1000", Ok(())),
            (None, "1000:0", Ok(())),
            (
                Some(0),
                "1000",
                Err("container's runAsUser breaks non-root policy"),
            ),
            (
                None,
                "",
                Err("container has runAsNonRoot and image will run as root"),
            ),
            (
                None,
                "0",
                Err("container has runAsNonRoot and image will run as root"),
            ),
            (
                None,
                "root",
                Err(
                    "container has runAsNonRoot and image has non-numeric user (root), cannot verify user is non-root",
                ),
            ),
            (
                None,
                "2147483648",
                Err(
                    "container has runAsNonRoot and image has an invalid user id (2147483648). (Must be 1-(2147483647)): must be between 0 and 2147483647, inclusive",
                ),
            ),
        ];
        for (user, image_user, want) in table {
            let want = want.map_err(|text| format!("{text} {suffix}"));
            assert_eq!(non_root(user, image_user), want, "{user:?} {image_user:?}");
        }
    }

    proptest! {
        #[test]
        fn s29_uid_zero_comes_only_from_a_literal_zero_or_root(user in "[-+ :a-z0-9]{0,24}") {
            if let Ok((uid, _)) = ids(&user)
                && uid == 0
            {
                let name = user.split(':').next().unwrap();
                let zero = !name.is_empty() && name.bytes().all(|b| b == b'0');
                prop_assert!(user.is_empty() || name == "root" || zero, "{user:?} became root");
            }
        }

        /// Lines of passwd and group as an image could have them, broken in every way.
        #[test]
        fn s29_no_accounts_make_the_reader_panic_or_a_user_root(
            passwd in "([a-z0-9]{0,3}:x?:(0|-1|1000|4294967296|99999999999|[0-9]{0,4})?:[0-9-]{0,12}:[^\n]{0,8}:/[a-z]{0,3}:?\n|[^\n]{0,12}\n){0,8}",
            group in "([a-z0-9]{0,3}:x?:[0-9-]{0,12}:([a-z]{0,3},){0,4}\n|\\PC{0,12}\n){0,8}",
            user in "[a-z0-9]{0,3}(:[a-z0-9]{0,3})?",
            merge in any::<bool>(),
        ) {
            let image = ImageFacts { user: user.clone(), passwd: passwd.clone(), group, ..ImageFacts::default() };
            let security = Security { merge_image_groups: merge, ..Security::default() };
            if let Ok(ids) = resolve(&security, &image)
                && ids.uid == 0
            {
                let name = user.split(':').next().unwrap_or_default();
                // The image's own passwd may call anybody 0: whoever runs that image with a name trusts it.
                let named = passwd.lines().any(|l| l.starts_with(&format!("{name}:")));
                let zero = !name.is_empty() && name.bytes().all(|b| b == b'0');
                prop_assert!(user.is_empty() || name == "root" || zero || named && !name.bytes().all(|b| b.is_ascii_digit()), "{user:?} became root");
            }
        }
    }
}
