//! Key files: one line of text that only its owner can read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;
use secrecy::{ExposeSecret, ExposeSecretMut};
use zeroize::Zeroizing;

use crate::error::{KeyFileProblem, SealError};
use crate::key::SealKey;
use crate::secret::{self, Secret32};

/// Where a key file is. The file is read when it is needed, not when this value is made.
///
/// A key file is one line: `keyward-key-v1:`, 64 lower-case hex digits, a newline; 80 bytes and nothing else. It is
/// read only if it is a regular file, not a symbolic link, with one name, owned by the user the process acts as,
/// and closed to group and others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The key file at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes a key file with a new random key at `path`, readable by its owner only.
    ///
    /// The file appears with all its content or not at all, and is on disk when this returns. If only the last
    /// step fails, the sync of the directory, the error says so and the file is there.
    ///
    /// # Errors
    /// [`SealError::KeyFile`]: [`Exists`](KeyFileProblem::Exists) when there is anything at the path, which is then
    /// untouched; [`Missing`](KeyFileProblem::Missing) when its directory does not exist;
    /// [`Io`](KeyFileProblem::Io) otherwise. [`SealError::NoRandomness`].
    ///
    /// ```
    /// # use keyward_seal::{KeyFile, SealError};
    /// # let directory = tempfile::tempdir().unwrap();
    /// let path = directory.path().join("unlock.key");
    /// let key_file = KeyFile::create(&path)?;
    /// assert!(KeyFile::create(&path).is_err());
    /// assert!(key_file.load().is_ok());
    /// # Ok::<(), SealError>(())
    /// ```
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, SealError> {
        let new = Self::at(path);
        let key = secret::random()?;
        match new.write(&key) {
            Ok(()) => Ok(new),
            Err(error) => Err(new.error(match error.kind() {
                io::ErrorKind::AlreadyExists => KeyFileProblem::Exists,
                io::ErrorKind::NotFound => KeyFileProblem::Missing,
                kind => KeyFileProblem::Io(kind),
            })),
        }
    }

    /// Reads the key.
    ///
    /// The file is opened once, without following a link at the end of the path and without waiting, and all
    /// checks look at what was opened.
    ///
    /// # Errors
    /// [`SealError::KeyFile`] with what is wrong.
    ///
    /// ```
    /// # use keyward_seal::{KeyFile, KeyFileProblem, SealError};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("unlock.key");
    /// let missing = KeyFile::at(&path).load().unwrap_err();
    /// assert_eq!(missing, SealError::KeyFile { path, problem: KeyFileProblem::Missing });
    /// ```
    pub fn load(&self) -> Result<FileKey, SealError> {
        self.read().map(FileKey).map_err(|problem| self.error(problem))
    }

    /// The path given to [`at`](Self::at).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<Secret32, KeyFileProblem> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut file: File = rustix::fs::open(&self.path, flags, Mode::empty()).map_err(open_problem)?.into();
        check(&file)?;

        // One byte more than a key file has, to see a file that grew after the check.
        let mut text = Zeroizing::new([0; LENGTH + 1]);
        let mut length = 0;
        while length < text.len() {
            match file.read(&mut text[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(KeyFileProblem::Io(error.kind())),
            }
        }
        decode(&text[..length])
    }

    fn write(&self, key: &Secret32) -> io::Result<()> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // A temporary file has mode 0600 from the start.
        let mut file = tempfile::Builder::new().prefix(".keyward-key-").tempfile_in(directory)?;
        file.write_all(encode(key).as_slice())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.path).map_err(|refused| refused.error)?;
        File::open(directory)?.sync_all()
    }

    fn error(&self, problem: KeyFileProblem) -> SealError {
        SealError::KeyFile { path: self.path.clone(), problem }
    }
}

/// The 32 random bytes of a key file, wiped on drop.
#[derive(Debug)]
pub struct FileKey(Secret32);

impl FileKey {
    /// A seal key for a purpose of the application's own, that `info` names. Slots do not use it.
    #[must_use]
    pub fn derive(&self, info: &[u8]) -> SealKey {
        SealKey::from_secret(secret::derive(&self.0, "file-key", info))
    }

    pub(crate) fn secret(&self) -> &Secret32 {
        &self.0
    }
}

fn open_problem(error: Errno) -> KeyFileProblem {
    match error {
        Errno::NOENT => KeyFileProblem::Missing,
        // A symbolic link; a socket or an unconnected device.
        Errno::LOOP | Errno::NXIO => KeyFileProblem::NotAFile,
        other => KeyFileProblem::Io(io::Error::from(other).kind()),
    }
}

fn check(file: &File) -> Result<(), KeyFileProblem> {
    let stat = rustix::fs::fstat(file).map_err(|error| KeyFileProblem::Io(io::Error::from(error).kind()))?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(KeyFileProblem::NotAFile);
    }
    if stat.st_uid != geteuid().as_raw() {
        return Err(KeyFileProblem::ForeignOwner);
    }
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        return Err(KeyFileProblem::NotPrivate { mode: mode.bits() as u32 });
    }
    if stat.st_nlink != 1 {
        return Err(KeyFileProblem::Linked);
    }
    if stat.st_size != LENGTH as i64 {
        return Err(KeyFileProblem::WrongLength { found: stat.st_size as u64 });
    }
    Ok(())
}

fn encode(key: &Secret32) -> Zeroizing<[u8; LENGTH]> {
    let mut text = Zeroizing::new([b'\n'; LENGTH]);
    text[..HEADER.len()].copy_from_slice(HEADER);
    base16ct::lower::encode(key.expose_secret(), &mut text[HEADER.len()..LENGTH - 1])
        .expect("the place has twice the length of the key");
    text
}

fn decode(text: &[u8]) -> Result<Secret32, KeyFileProblem> {
    if text.len() != LENGTH {
        return Err(KeyFileProblem::WrongLength { found: text.len() as u64 });
    }
    let digits =
        text.strip_prefix(HEADER).and_then(|rest| rest.strip_suffix(b"\n")).ok_or(KeyFileProblem::Malformed)?;
    let mut key = Secret32::default();
    base16ct::lower::decode(digits, key.expose_secret_mut()).map_err(|_| KeyFileProblem::Malformed)?;
    Ok(key)
}

const HEADER: &[u8] = b"keyward-key-v1:";
const LENGTH: usize = HEADER.len() + 64 + 1;
