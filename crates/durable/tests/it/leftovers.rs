//! What a crash left of a file that was being written.

use std::fs;

use crate::support::names;

#[test]
fn only_files_with_their_names_are_cleared() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in [".new-", ".new-1", ".new-abcdef", ".newer", "new-1", "file.new-1", "file"] {
        fs::write(path(name), name).unwrap();
    }
    fs::create_dir(path(".new-directory")).unwrap();
    fs::write(path(".new-directory/.new-1"), "").unwrap();
    std::os::unix::fs::symlink(path("file"), path(".new-link")).unwrap();

    durable::clear_leftovers(directory.path()).unwrap();
    fs::remove_file(path(".new-link")).expect("it is no file");
    let expected = [".new-directory", ".newer", "file", "file.new-1", "new-1"];
    assert_eq!(names(directory.path()), expected);
    assert_eq!(names(&path(".new-directory")), [".new-1"]);
}

#[test]
fn a_directory_that_cannot_be_read_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    durable::clear_leftovers(&directory.path().join("missing")).unwrap_err();
}
