//! The daemon's own directories and files on Windows: what others may read is closed to them, what they may write is
//! refused and stays as it was. How it is decided who may what is tested in `win32`.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use durable::private;
use tempfile::TempDir;
use test_process::skip;
use win32::access::{Access, Operation, TrustPolicy, look_at, restrict, untrusted_principal};

fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn made(place: &Path, path: &str) -> PathBuf {
    let path = place.join(path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn may(operation: Operation, path: &Path) -> bool {
    untrusted_principal(operation, &look_at(path).unwrap(), TrustPolicy::WithCaller).unwrap().is_some()
}

/// Whether this is wine, where all files are the system's.
fn is_wine() -> bool {
    Path::new(r"C:\windows\system32\winecfg.exe").exists()
}

/// Lets everyone write to a file or directory. Wine has no `icacls`; it makes an access list of the file's mode.
fn let_others_write(path: &Path) {
    let mut command = if is_wine() {
        let here = Command::new("winepath.exe").arg("-u").arg(path).output().unwrap();
        let mut chmod = Command::new("start.exe");
        chmod.args(["/wait", "/unix", "/bin/chmod", "a+rwX", str::from_utf8(&here.stdout).unwrap().trim()]);
        chmod
    } else {
        let mut icacls = Command::new("icacls.exe");
        icacls.arg(path).args(["/grant", "*S-1-1-0:F"]);
        icacls
    };
    assert!(command.status().unwrap().success());
    // Wine's `start` does not wait for what is none of its own programs.
    let end = Instant::now() + Duration::from_secs(20);
    while !may(Operation::Modify, path) {
        assert!(Instant::now() < end, "{}", path.display());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_directory_that_others_may_only_read_is_closed_to_them() {
    let place = place();
    let new = place.path().join("new");
    private::directory(&new).unwrap();
    let old = made(place.path(), "old");
    fs::write(old.join("file"), "kept").unwrap();
    restrict(&look_at(&old).unwrap(), Access::Readable).unwrap();
    restrict(&File::open(old.join("file")).unwrap(), Access::Readable).unwrap();
    assert!(may(Operation::Use, &old) && !private::is_own_directory(&old));
    private::directory(&old).unwrap();
    for path in [&new, &old] {
        assert!(!may(Operation::Use, path) && private::is_own_directory(path), "{}", path.display());
    }
    assert_eq!(fs::read(old.join("file")).unwrap(), b"kept");
}

#[test]
fn what_others_may_write_to_is_refused_and_stays() {
    type Layout = fn(&Path) -> (PathBuf, PathBuf);
    let cases: [(&str, Layout); 4] = [
        ("the directory", |place| {
            let data = made(place, "data");
            (data.clone(), data)
        }),
        ("a file in it", |place| {
            let data = made(place, "data");
            fs::write(data.join("file"), "theirs").unwrap();
            (data.clone(), data.join("file"))
        }),
        ("the directory above, where there is nothing yet", |place| {
            let above = made(place, "above");
            (above.join("data"), above)
        }),
        ("a directory far above", |place| (made(place, "above/ours/data"), place.join("above"))),
    ];
    for (what, layout) in cases {
        let place = place();
        let (data, open) = layout(place.path());
        let was_there = data.exists();
        let_others_write(&open);
        let error = private::directory(&data).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}");
        let (told, shown) = (error.to_string(), open.display());
        for part in [
            format!("may change {shown}, and could have put anything there: move it away, "),
            format!("('dir /q /s \"{shown}\"')"),
            format!("'icacls \"{shown}\" /inheritance:d', then 'icacls \"{shown}\" /remove:g *S-1-1-0'"),
        ] {
            assert!(told.contains(&part), "{what}: no {part} in {told}");
        }
        assert!(may(Operation::Modify, &open), "{what}");
        assert_eq!(data.exists(), was_there, "{what}");
    }
}

#[test]
fn what_is_no_directory_is_refused() {
    let place = place();
    let file = place.path().join("data");
    fs::write(&file, "").unwrap();
    let error = private::directory(&file).unwrap_err();
    assert!(error.to_string().contains("it is not a directory"), "{error}");
    assert!(!private::is_own_directory(&file));
}

#[test]
fn a_service_takes_a_program_only_with_all_that_is_beside_it() {
    let missing = private::program_for_service(&place().path().join("program.exe")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    if !is_wine() {
        return skip(
            "a_service_takes_a_program_only_with_all_that_is_beside_it: the place is this user's own",
        );
    }
    let open: [(&str, bool); 4] =
        [("program.exe", true), ("library.dll", true), ("", true), ("below", false)];
    for (name, is_refused) in open {
        let place = place();
        let directory = made(place.path(), "programs");
        made(&directory, "below");
        let program = directory.join("program.exe");
        for file in [&program, &directory.join("library.dll")] {
            fs::write(file, "").unwrap();
        }
        private::program_for_service(&program).unwrap();
        let_others_write(directory.join(name).components().as_path());
        let checked = private::program_for_service(&program);
        assert_eq!(checked.is_err(), is_refused, "{name}: {checked:?}");
    }
}

#[test]
fn a_service_takes_a_directory_only_with_all_that_it_will_use_in_it() {
    if !is_wine() {
        return skip(
            "a_service_takes_a_directory_only_with_all_that_it_will_use_in_it: the place is this user's own",
        );
    }
    for name in ["above", "above/data", "above/data/file", "above/data/below", "above/data/below/file"] {
        let place = place();
        let below = made(place.path(), "above/data/below");
        let data = place.path().join("above/data");
        for directory in [&data, &below] {
            fs::write(directory.join("file"), "").unwrap();
        }
        private::directory_for_service(&data).unwrap();
        let_others_write(place.path().join(name).components().as_path());
        let error = private::directory_for_service(&data).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{name}: {error}");
    }
}
