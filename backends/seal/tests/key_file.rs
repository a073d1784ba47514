//! Key files: what is written, and everything that is refused.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use keyward_seal::{KeyFile, KeyFileProblem, SealError, open, seal};
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

const LINE: &str = "keyward-key-v1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

#[test]
fn a_new_key_file_is_private_and_loads() {
    let directory = Directory::new();
    let path = directory.path("unlock.key");
    let key_file = KeyFile::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.len() == 80 && text.starts_with("keyward-key-v1:") && text.ends_with('\n'));

    let (one, again) = (key_file.load().unwrap(), KeyFile::at(&path).load().unwrap());
    let sealed = seal(&one.derive(b"test"), b"material", b"").unwrap();
    assert!(open(&again.derive(b"test"), &sealed, b"").is_ok());
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn two_new_key_files_differ() {
    let directory = Directory::new();
    let [one, other] = ["one", "other"].map(|name| KeyFile::create(directory.path(name)).unwrap().load().unwrap());
    let sealed = seal(&one.derive(b""), b"material", b"").unwrap();
    assert_eq!(open(&other.derive(b""), &sealed, b"").unwrap_err(), SealError::Rejected);
}

#[test]
fn create_never_overwrites() {
    let directory = Directory::new();
    let file = directory.write("file", "precious", 0o600);
    let link = directory.path("link");
    symlink("target", &link).unwrap();
    let folder = directory.path("folder");
    fs::create_dir(&folder).unwrap();
    for path in [&file, &link, &folder] {
        assert_eq!(problem(KeyFile::create(path)), KeyFileProblem::Exists, "{path:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert!(!directory.path("target").exists(), "a dangling link is not followed");
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 3, "no temporary file is left");
}

#[test]
fn create_needs_its_directory() {
    let directory = Directory::new();
    assert_eq!(problem(KeyFile::create(directory.path("no/unlock.key"))), KeyFileProblem::Missing);
    let file = directory.write("file", "", 0o600);
    let below = problem(KeyFile::create(file.join("unlock.key")));
    assert_eq!(below, KeyFileProblem::Io(ErrorKind::NotADirectory));
}

#[test]
fn the_file_format_is_fixed() {
    let directory = Directory::new();
    let path = directory.write("unlock.key", LINE, 0o600);
    assert!(KeyFile::at(&path).load().is_ok());
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(KeyFile::at(&path).load().is_ok(), "read-only is private too");

    let wrong = [
        LINE.replace("v1", "v2"),
        LINE.replace("0f", "0F"),
        LINE.replace("0f", "0g"),
        LINE.replace("0f", "é"),
        LINE.replace(':', " "),
        LINE.replace('\n', " "),
        LINE.replace('\n', "\0"),
        format!("\n{}", LINE.trim_end()),
        "\n".repeat(80),
    ];
    for text in wrong {
        let path = directory.write("wrong", &text, 0o600);
        assert_eq!(problem(KeyFile::at(&path).load()), KeyFileProblem::Malformed);
    }
}

#[test]
fn another_length_is_refused() {
    let directory = Directory::new();
    for text in ["", "x", &LINE[..79], &format!("{LINE}\n"), &LINE.repeat(2), &"0".repeat(1 << 20)] {
        let path = directory.write("unlock.key", text, 0o600);
        let found = text.len() as u64;
        assert_eq!(problem(KeyFile::at(&path).load()), KeyFileProblem::WrongLength { found });
    }
}

#[test]
fn a_file_open_to_others_is_refused() {
    let directory = Directory::new();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o444, 0o666, 0o777] {
        let path = directory.write("unlock.key", LINE, mode);
        assert_eq!(problem(KeyFile::at(&path).load()), KeyFileProblem::NotPrivate { mode });
    }
}

#[test]
fn what_is_not_a_regular_file_is_refused() {
    let directory = Directory::new();
    let file = directory.write("file", LINE, 0o600);
    let (link, folder, pipe) = (directory.path("link"), directory.path("folder"), directory.path("pipe"));
    let socket = directory.path("socket");
    symlink(&file, &link).unwrap();
    fs::create_dir(&folder).unwrap();
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    // A pipe without a writer must not block either.
    for path in [link, folder, pipe, socket, PathBuf::from("/dev/null")] {
        assert_eq!(problem(KeyFile::at(&path).load()), KeyFileProblem::NotAFile, "{path:?}");
    }
    assert!(KeyFile::at(&file).load().is_ok());
}

#[test]
fn a_second_name_is_refused() {
    let directory = Directory::new();
    let path = directory.write("unlock.key", LINE, 0o600);
    fs::hard_link(&path, directory.path("second")).unwrap();
    assert_eq!(problem(KeyFile::at(&path).load()), KeyFileProblem::Linked);
    fs::remove_file(directory.path("second")).unwrap();
    assert!(KeyFile::at(&path).load().is_ok());
}

#[test]
fn a_missing_file_is_said_to_be_missing() {
    let directory = Directory::new();
    for path in [directory.path("unlock.key"), directory.path("no/unlock.key"), PathBuf::new()] {
        assert_eq!(problem(KeyFile::at(path).load()), KeyFileProblem::Missing);
    }
}

/// Only root can give a file away.
#[test]
fn a_file_of_another_user_is_refused() {
    let directory = Directory::new();
    let path = directory.write("unlock.key", LINE, 0o600);
    if !rustix::process::geteuid().is_root() {
        // Somebody else's file instead, if the system has the usual one.
        assert_eq!(problem(KeyFile::at("/etc/passwd").load()), KeyFileProblem::ForeignOwner);
        return;
    }
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    assert_eq!(problem(KeyFile::at(&path).load()), KeyFileProblem::ForeignOwner);
}

#[test]
fn messages_name_the_path_and_the_remedy() {
    let directory = Directory::new();
    let path = directory.write("unlock.key", LINE, 0o644);
    let text = KeyFile::at(&path).load().unwrap_err().to_string();
    assert!(text.contains("unlock.key") && text.contains("0644") && text.contains("0600"), "{text}");
}

proptest! {
    #[test]
    fn no_other_line_is_a_key(at in 0_usize..80, byte: u8) {
        let directory = Directory::new();
        let mut line = LINE.as_bytes().to_vec();
        line[at] = byte;
        let path = directory.path("unlock.key");
        fs::write(&path, &line).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let digit = (15..79).contains(&at) && matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let same = LINE.as_bytes()[at] == byte;
        prop_assert_eq!(KeyFile::at(&path).load().is_ok(), digit || same);
    }
}

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        let _ = fs::remove_file(&path); // an earlier one may be read-only
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("mode set");
        path
    }
}

#[track_caller]
fn problem<T>(result: Result<T, SealError>) -> KeyFileProblem {
    match result.err() {
        Some(SealError::KeyFile { problem, .. }) => problem,
        other => panic!("expected a key file problem, got {other:?}"),
    }
}
