//! Symbolic links that a guest says it has: which of them may be made here.

/// The longest target that file systems have.
const LONGEST: usize = 4095;

/// Whether a link in a directory `depth` levels below the copied one leads to somewhere in the copied one, whatever
/// else is in there.
///
/// A `..` is good at the beginning alone, where it leaves directories that were made as such. After a name it could
/// leave one that is a link itself, and then it leads elsewhere than it seems to.
pub(crate) fn stays_within(target: &[u8], depth: usize) -> bool {
    let is_path = !target.is_empty()
        && target.len() <= LONGEST
        && !target.starts_with(b"/")
        && !target.iter().any(|byte| matches!(byte, 0 | b'\\' | b':'));
    let mut parts = target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let ups = parts.by_ref().take_while(|part| *part == b"..").count();
    // The first name is taken by then, and any more `..` would come after it.
    is_path && ups <= depth && parts.all(|part| part != b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_or_is_not_made() {
        for (target, depth, expected) in [
            ("file", 0, true),
            ("./file", 0, true),
            ("dir/file", 0, true),
            ("..file", 0, true),
            ("../file", 1, true),
            ("../../a/b", 2, true),
            (".", 0, true),
            ("..", 1, true),
            ("..", 0, false),
            ("../file", 0, false),
            ("../../file", 1, false),
            ("./../file", 0, false),
            ("/etc/passwd", 5, false),
            ("//etc", 5, false),
            ("", 5, false),
            // If `dir` is a link to `.`, this is the directory above all.
            ("dir/..", 0, false),
            ("../dir/../x", 2, false),
            ("a\0b", 0, false),
            // Paths of Windows.
            ("c:x", 5, false),
            ("\\x", 5, false),
            ("..\\..\\x", 5, false),
        ] {
            assert_eq!(stays_within(target.as_bytes(), depth), expected, "{target:?} at {depth}");
        }
        assert!(!stays_within(&[b'x'; 5000], 0));
    }
}
