//! Where a store is, and whether that is a safe place. Looks without opening anything: closing any descriptor of a
//! live store would drop the locks SQLite holds for the whole process.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::connect::PAGE;
use crate::error::FileError;

/// A path whose directory is resolved, so that SQLite meets no symbolic link and no special name.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The path as it was given, for messages.
    pub(super) shown: PathBuf,
    /// The directory, resolved.
    pub(super) directory: PathBuf,
    /// The file in that directory.
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn of(path: &Path) -> Result<Self, FileError> {
        let shown = path.to_owned();
        let name = path.file_name().ok_or_else(|| FileError::NotAFile { path: shown.clone() })?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = fs::canonicalize(parent).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FileError::Missing { path: shown.clone() },
            _ => FileError::io(parent, &error),
        })?;
        let found = fs::metadata(&directory).map_err(|error| FileError::io(&directory, &error))?;
        // A sticky directory, like /tmp, lets only the owner of a file replace it.
        if found.mode() & 0o1002 == 0o0002 {
            return Err(FileError::Directory { path: directory });
        }
        Ok(Self { shown, path: directory.join(name), directory })
    }

    /// Refuses everything but a private, regular file of ours with something in it.
    pub(super) fn check(&self) -> Result<(), FileError> {
        let Some(file) = look(&self.path, &self.shown)? else {
            return Err(FileError::Missing { path: self.shown.clone() });
        };
        if file.len() == 0 {
            return Err(FileError::Empty { path: self.shown.clone() });
        }
        for suffix in ["-wal", "-shm"] {
            let side = self.beside(suffix);
            look(&side, &side)?;
        }
        // Stores are never in a mode that writes one. SQLite would roll it back into the file.
        if look(&self.beside("-journal"), &self.shown)?.is_some() {
            return Err(FileError::Damaged {
                path: self.shown.clone(),
                what: "a foreign rollback journal lies beside it",
            });
        }
        Ok(())
    }

    /// True when a process that was killed, or one that is alive, has left changes in the log beside the file.
    pub(super) fn has_log(&self) -> bool {
        fs::symlink_metadata(self.beside("-wal")).is_ok_and(|log| log.len() > 0)
    }

    /// True when the file ends within a page, which SQLite would fill up in silence.
    pub(super) fn ends_within_a_page(&self) -> bool {
        !self.has_log() && fs::symlink_metadata(&self.path).is_ok_and(|file| file.len() % PAGE != 0)
    }

    /// True when anything is at the path.
    pub(super) fn is_taken(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

fn look(path: &Path, shown: &Path) -> Result<Option<Metadata>, FileError> {
    let path_of = || shown.to_owned();
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io(shown, &error)),
    };
    if !file.file_type().is_file() {
        return Err(FileError::NotAFile { path: path_of() });
    }
    if file.uid() != geteuid().as_raw() {
        return Err(FileError::ForeignOwner { path: path_of() });
    }
    if file.mode() & 0o077 != 0 {
        return Err(FileError::NotPrivate { path: path_of(), mode: file.mode() & 0o7777 });
    }
    if file.nlink() > 1 {
        return Err(FileError::Linked { path: path_of() });
    }
    Ok(Some(file))
}
