//! The data folder: one process at a time, one format, and the secrets that were made here.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The format of the files in a data folder. An older binary refuses a newer one.
const FORMAT: u32 = 1;

/// A data folder that this process holds until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Locked; the lock ends with the process, however it ends.
    _lock: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Another process has it.
    #[error(
        "the data folder {0} is in use by another process; stop that one, or name another folder \
         with --data"
    )]
    InUse(PathBuf),
    /// A newer version wrote it.
    #[error(
        "the data folder {path} has format {found}, and this version of dibs reads formats up to \
         {FORMAT}; use the version of dibs that wrote it, or a newer one"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The stamp is not a number.
    #[error("{0} does not hold the number of a format; is this a data folder of dibs?")]
    NoFormat(PathBuf),
    /// The system said no.
    #[error("{path}: {error}")]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl DataFolder {
    /// Makes the folder if it is not there, and holds it.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let path = &std::path::absolute(path).map_err(at(path))?;
        create_private(path).map_err(at(path))?;
        let lock_path = path.join("lock");
        let lock = open_private(&lock_path).map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(at(&lock_path)(error)),
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.check_format()?;
        Ok(folder)
    }

    /// Where the ledger's file is.
    pub fn ledger(&self) -> Result<PathBuf, DataError> {
        self.database("ledger.db")
    }

    /// Where the gate's journal is.
    pub fn gate(&self) -> Result<PathBuf, DataError> {
        self.database("gate.db")
    }

    /// Made here, as it names buyers: SQLite gives the files beside a database the mode of that
    /// one.
    fn database(&self, name: &str) -> Result<PathBuf, DataError> {
        let path = self.path.join(name);
        open_private(&path).map_err(at(&path))?;
        Ok(path)
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret kept under `kept`, and where it is; made now if there is none.
    pub fn secret(&self, kept: Kept) -> Result<(String, PathBuf), DataError> {
        let path = kept.within(&self.path);
        match read_line(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = draw();
                write_private(&path, &text).map_err(at(&path))?;
                Ok((text, path))
            }
            Err(error) => Err(at(&path)(error)),
            Ok(text) => {
                warn_if_others_read(&path).map_err(at(&path))?;
                Ok((text, path))
            }
        }
    }

    fn check_format(&self) -> Result<(), DataError> {
        let path = self.path.join("format");
        match read_line(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_private(&path, &FORMAT.to_string()).map_err(at(&path))
            }
            Err(error) => Err(at(&path)(error)),
            Ok(text) => match text.parse() {
                Ok(found) if found > FORMAT => {
                    Err(DataError::Newer { path: self.path.clone(), found })
                }
                Ok(_) => Ok(()),
                Err(_) => Err(DataError::NoFormat(path)),
            },
        }
    }
}

/// A secret that is kept in the data folder where the configuration has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Seals tokens and guests' JWTs.
    Secret,
    /// Opens the admin API.
    AdminKey,
}

impl Kept {
    fn within(self, folder: &Path) -> PathBuf {
        folder.join(match self {
            Self::Secret => "secret",
            Self::AdminKey => "admin-key",
        })
    }

    /// Reads it from a folder that another process may hold; `None` if it was never made.
    pub fn read(self, folder: &Path) -> Result<Option<String>, DataError> {
        let path = self.within(folder);
        match read_line(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&path)(error)),
            Ok(text) => Ok(Some(text)),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path = path.to_owned();
    |error| DataError::Io { path, error }
}

fn read_line(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim_end().to_owned())
}

fn warn_if_others_read(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            "others than the owner can read this secret: chmod 600, and consider a new one"
        );
    }
    Ok(())
}

/// 32 random bytes as 43 characters.
fn draw() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Writes a file that is there as a whole or not at all, readable by the owner alone.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // The mode counts only for a file that is made here.
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Opens a file; one that is made now is its owner's alone.
fn open_private(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    builder.mode(0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_is_held_by_one_at_a_time() {
        let within = tempfile::tempdir().unwrap();
        let path = within.path().join("deep/data");
        let first = DataFolder::open(&path).unwrap();
        let refused = DataFolder::open(&path).unwrap_err();
        assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
        assert!(matches!(refused, DataError::InUse(_)));
        drop(first);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn a_newer_format_is_refused_and_a_folder_of_something_else_too() {
        let folder = tempfile::tempdir().unwrap();
        drop(DataFolder::open(folder.path()).unwrap());
        fs::write(folder.path().join("format"), "2\n").unwrap();
        let newer = DataFolder::open(folder.path()).unwrap_err();
        assert!(matches!(newer, DataError::Newer { found: 2, .. }), "{newer}");
        fs::write(folder.path().join("format"), "ext4\n").unwrap();
        let strange = DataFolder::open(folder.path()).unwrap_err();
        assert!(matches!(strange, DataError::NoFormat(_)), "{strange}");
    }

    #[test]
    fn a_secret_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Kept::Secret.read(folder.path()).unwrap(), None);
        let data = DataFolder::open(folder.path()).unwrap();
        let (made, path) = data.secret(Kept::Secret).unwrap();
        assert!(made.len() >= 32);
        assert_eq!(data.secret(Kept::Secret).unwrap().0, made);
        assert_eq!(Kept::Secret.read(folder.path()).unwrap(), Some(made.clone()));
        assert_ne!(data.secret(Kept::AdminKey).unwrap().0, made);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_write_that_was_cut_short_leaves_no_half_secret() {
        let folder = tempfile::tempdir().unwrap();
        let cut_short = folder.path().join("secret.new");
        fs::write(&cut_short, "ha").unwrap();
        fs::set_permissions(&cut_short, fs::Permissions::from_mode(0o644)).unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        let (made, path) = data.secret(Kept::Secret).unwrap();
        assert!(made.len() >= 32);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
