//! The profile directory of a session: [`profile_path`].

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::event::SessionKey;

/// Longest name of a directory, in bytes, without the `+` of a name that goes on. Some file systems take no
/// more than 143.
const MAX_NAME: usize = 120;

/// Returns the directory of a session's browser profile: `<root>/<workspace>/<session>`.
///
/// In the two ids every byte but `a` to `z`, `0` to `9`, `-` and `_` is written as `%` and two hexadecimal
/// digits, so that no id leaves the root and no two sessions share a directory, also on a file system that
/// ignores case. An id that is longer than 120 bytes then is cut into nested directories, whose names end with
/// `+` except for the last one.
///
/// ```
/// use std::path::Path;
/// use whatsapp_phone::event::SessionKey;
/// use whatsapp_phone::onboard::profile_path;
///
/// let (root, key) = (Path::new("sessions"), SessionKey::new(7, "session-1")?);
/// assert_eq!(profile_path(root, &key), Path::new("sessions/7/session-1"));
/// let key = SessionKey::new(7, "../B")?;
/// assert_eq!(profile_path(root, &key), Path::new("sessions/7/%2e%2e%2f%42"));
/// # Ok::<(), whatsapp_phone::event::EventError>(())
/// ```
#[must_use]
pub fn profile_path(root: &Path, session: &SessionKey) -> PathBuf {
    let mut path = root.to_owned();
    for id in [session.workspace_id.as_str(), session.session_id.as_str()] {
        let name = encoded(id);
        let mut rest = name.as_str();
        while rest.len() > MAX_NAME {
            let (part, more) = rest.split_at(MAX_NAME);
            path.push(format!("{part}+"));
            rest = more;
        }
        path.push(rest);
    }
    path
}

fn encoded(id: &str) -> String {
    let mut name = String::new();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(name, "%{byte:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn path(workspace: &str, session: &str) -> PathBuf {
        profile_path(
            "/root".as_ref(),
            &SessionKey::new(workspace, session).unwrap(),
        )
    }

    #[test]
    fn no_id_leaves_the_root_and_no_two_sessions_share_or_nest() {
        let long = "x".repeat(255);
        let ids = [
            "a",
            "A",
            "..",
            ".",
            "/",
            "a/b",
            "a%2fb",
            "%",
            "+",
            "a+",
            "é",
            "e\u{301}",
            "-",
            "con",
            &long,
            &long[1..],
            &long[..120],
            &long[..121],
        ];
        let mut paths = HashMap::new();
        for workspace in ids {
            for session in ids {
                let path = path(workspace, session);
                assert!(path.starts_with("/root") && path.components().count() >= 4);
                let mut parts = path.components().skip(2);
                let is_name = |name: &str| name.len() <= 121 && name.to_lowercase() == name;
                assert!(parts.all(|part| is_name(part.as_os_str().to_str().unwrap())));
                let taken = paths.insert(path, (workspace, session));
                assert_eq!(taken, None, "{workspace} {session}");
            }
        }
        for path in paths.keys() {
            let inside = path
                .ancestors()
                .skip(1)
                .find(|above| paths.contains_key(*above));
            assert_eq!(inside, None, "{}", path.display());
        }
    }

    proptest! {
        #[test]
        fn two_sessions_never_share_a_directory(
            a in "[^\\p{Cc}]{1,60}", b in "[^\\p{Cc}]{1,60}", c in "[^\\p{Cc}]{1,60}", d in "[^\\p{Cc}]{1,60}",
        ) {
            let is_same = (&a, &b) == (&c, &d);
            prop_assert_eq!(path(&a, &b) == path(&c, &d), is_same);
        }
    }
}
