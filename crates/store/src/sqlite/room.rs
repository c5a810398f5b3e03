//! Whether the disk has room for more mail

use core::sync::atomic::{AtomicBool, Ordering};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Watches the free space of the disk that the store is on.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    reserve_octets: u64,
    looked: Mutex<Option<Instant>>,
    is_low: AtomicBool,
}

impl Room {
    /// How long what was seen is believed.
    const BELIEVED: Duration = Duration::from_millis(200);

    pub(super) fn new(folder: &Path, reserve_octets: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            reserve_octets,
            looked: Mutex::new(None),
            is_low: AtomicBool::new(false),
        }
    }

    /// Tells whether no more than the reserve is left.
    pub(super) fn is_low(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_none_or(|at| at.elapsed() >= Self::BELIEVED) {
            *looked = Some(Instant::now());
            // Where the system does not tell, the disk says itself when it is full.
            let free = free_octets(&self.folder).unwrap_or(u64::MAX);
            self.is_low.store(free <= self.reserve_octets, Ordering::Relaxed);
        }
        self.is_low.load(Ordering::Relaxed)
    }
}

#[cfg(unix)]
fn free_octets(folder: &Path) -> Option<u64> {
    let it = rustix::fs::statvfs(folder).ok()?;
    Some(it.f_bavail.saturating_mul(it.f_frsize))
}

#[cfg(not(unix))]
fn free_octets(_: &Path) -> Option<u64> {
    None
}
