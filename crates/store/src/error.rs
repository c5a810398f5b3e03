//! Why a store could not be opened

use std::path::PathBuf;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the folder; two would destroy each other's mail.
    #[error("the data folder {} is in use by another process", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A later version of this program wrote the folder.
    #[error("the data in {} is of version {found}; this program knows versions up to {known}", file.display())]
    TooNew {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version that is known here.
        known: i64,
    },
    /// The file is not a database of this program.
    #[error("{} is not a mail database", file.display())]
    Foreign {
        /// The database.
        file: PathBuf,
    },
    /// The database is damaged or missing; [`SqliteStore::fsck`](crate::SqliteStore::fsck) makes it anew of what is left.
    #[error("{}: {reason}: run fsck, or restore a backup", file.display())]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or folder cannot be used.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system or the database says.
        reason: String,
    },
}

#[cfg(any(feature = "maildir", feature = "sqlite"))]
impl Error {
    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}
