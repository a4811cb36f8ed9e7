//! Names that a guest says its files have. A file here gets such a name only if it is nothing but a name.

use std::ffi::OsString;

use crate::platform;

/// The longest name that file systems have.
const LONGEST: usize = 255;

/// The name as a file's here, if it can be one.
pub(crate) fn parse(name: &[u8]) -> Option<OsString> {
    let is_name = !matches!(name, b"" | b"." | b"..")
        && name.len() <= LONGEST
        && !name.iter().any(|byte| matches!(byte, b'/' | 0));
    if is_name { platform::name(name) } else { None }
}

/// The last part of a path in the guest as the user wrote it; none where that names no file, as in `dir/..`.
pub(crate) fn last_of(path: &[u8]) -> Option<&[u8]> {
    let path = without_slashes(path);
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    (!matches!(name, b"" | b"." | b"..")).then_some(name)
}

/// A path without the slashes at its end.
pub(crate) fn without_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    path.get(..end).unwrap_or_default()
}

/// The path of what is called `name` in `directory`.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let separator: &[u8] = if directory.ends_with(b"/") { b"" } else { b"/" };
    [directory, separator, name].concat()
}

/// The directory that a path's last part is in.
pub(crate) fn parent_of(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        None => b".",
        Some(0) => b"/",
        Some(slash) => path.get(..slash).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_names_are_names() {
        for name in [
            &b""[..],
            b".",
            b"..",
            b"/",
            b"/etc/passwd",
            b"../x",
            b"x/..",
            b"a/b",
            b"x/",
            b"nul\0",
            &[b'x'; 256],
        ] {
            assert_eq!(parse(name), None, "{}", name.escape_ascii());
        }
        for name in ["x", "...", ".hidden", "a b", "Gr\u{fc}\u{df}e"] {
            assert_eq!(parse(name.as_bytes()), Some(OsString::from(name)));
        }
    }

    #[test]
    fn paths_are_taken_apart() {
        for (path, last, parent) in [
            ("f", Some("f"), "."),
            ("d/f", Some("f"), "d"),
            ("/f", Some("f"), "/"),
            ("/d/f//", Some("f"), "/d"),
            ("/", None, "."),
            ("", None, "."),
            ("d/.", None, "d"),
            ("..", None, "."),
        ] {
            let path = path.as_bytes();
            assert_eq!(last_of(path), last.map(str::as_bytes), "{}", path.escape_ascii());
            assert_eq!(parent_of(without_slashes(path)), parent.as_bytes(), "{}", path.escape_ascii());
        }
        assert_eq!(join(b"d", b"f"), b"d/f");
        assert_eq!(join(b"/", b"f"), b"/f");
    }

    proptest! {
        #[test]
        fn a_name_stays_where_it_is_put(name in prop::collection::vec(prop::sample::select(
            b"./\\\0:ab ".to_vec()), 0..8))
        {
            if let Some(name) = parse(&name) {
                let parts: Vec<_> = Path::new(&name).components().collect();
                prop_assert!(matches!(parts[..], [Component::Normal(_)]));
            }
        }
    }
}
