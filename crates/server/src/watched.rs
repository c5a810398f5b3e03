//! A file that may change while the server runs.

use crate::files::{Stamp, stamp};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a file holds, as it was when it was last looked at.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    /// What it is, for the log.
    what: &'static str,
    file: Option<PathBuf>,
    known: Mutex<(Option<Stamp>, Arc<T>)>,
}

impl<T> Watched<T> {
    /// What never changes.
    pub(crate) fn fixed(what: &'static str, value: T) -> Self {
        Self {
            what,
            file: None,
            known: Mutex::new((None, Arc::new(value))),
        }
    }

    /// Reads a file; one that is not there yet holds `usual`.
    pub(crate) fn open<E>(
        what: &'static str,
        file: PathBuf,
        usual: T,
        read: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<Self, E> {
        // Before it is read: what changes meanwhile is seen at the next look.
        let seen = stamp(&file);
        let value = if seen.is_some() { read(&file)? } else { usual };
        Ok(Self {
            what,
            file: Some(file),
            known: Mutex::new((seen, Arc::new(value))),
        })
    }

    /// What it holds.
    pub(crate) fn current(&self) -> Arc<T> {
        self.lock().1.clone()
    }

    /// Reads the file again if it has changed. One that is not understood, or gone, changes nothing, and is complained of
    /// once: to believe it would be to refuse mail for good.
    pub(crate) fn refresh<E: Display>(&self, read: impl FnOnce(&Path) -> Result<T, E>) {
        let Some(file) = &self.file else { return };
        let seen = stamp(file);
        {
            let mut known = self.lock();
            if known.0 == seen {
                return;
            }
            known.0 = seen;
        }
        let (what, path) = (self.what, file.display());
        if seen.is_none() {
            return tracing::error!("{path} is gone: {what} stay as they were");
        }
        match read(file) {
            Ok(value) => {
                self.lock().1 = Arc::new(value);
                tracing::info!(file = %path, "{what} were read again");
            }
            Err(error) => tracing::error!("{what} stay as they were: {error}"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Option<Stamp>, Arc<T>)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
