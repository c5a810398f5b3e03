//! The files of the journal: written one after the other, and removed in the order they came

use super::Entry;
use crate::config::TraceConfig;
use crate::files::private;
use crate::metrics::Metrics;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How the files end.
const ENDING: &str = "jsonl";
/// How many files the journal has when it is full: with the oldest goes a part of it.
const FILES: u64 = 16;
/// How long lines are gathered after some were written: under load, a write is for many of them.
const GATHER: Duration = Duration::from_millis(10);
/// What was written is on the disk so long after at the latest.
const SYNC: Duration = Duration::from_secs(5);
/// How often it is looked for what is too old.
const TIDY: Duration = Duration::from_secs(3600);

/// Writes the journal.
pub(super) struct Writer {
    folder: PathBuf,
    settings: TraceConfig,
    metrics: Arc<Metrics>,
    current: Option<Current>,
    is_failing: bool,
    tidied: Option<Instant>,
}

/// The file that is being written.
struct Current {
    file: File,
    size: u64,
    begun: Instant,
    /// Since when something waits to be synced.
    unsynced: Option<Instant>,
}

impl Writer {
    pub(super) fn new(folder: PathBuf, settings: TraceConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            folder,
            settings,
            metrics,
            current: None,
            is_failing: false,
            tidied: None,
        }
    }

    /// Writes what comes until nobody is left who could send something.
    pub(super) fn run(mut self, entries: &Receiver<Entry>) {
        loop {
            match entries.recv_timeout(SYNC) {
                Ok(Entry::Line(line)) => {
                    self.line(line, entries);
                    // Whoever sends meanwhile wakes nobody.
                    thread::sleep(GATHER);
                }
                Ok(Entry::Sync(sender)) => {
                    self.sync();
                    // Who asked may have gone.
                    let _ = sender.send(());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.sync();
                    self.tidy_if_due();
                }
                Err(RecvTimeoutError::Disconnected) => return self.sync(),
            }
        }
    }

    /// Writes a line, and with it those that wait already.
    fn line(&mut self, mut lines: Vec<u8>, entries: &Receiver<Entry>) {
        /// How much is written at once.
        const AT_ONCE: usize = 64 << 10;

        let mut many = 1;
        let mut sync = None;
        while lines.len() < AT_ONCE {
            match entries.try_recv() {
                Ok(Entry::Line(line)) => {
                    lines.extend_from_slice(&line);
                    many += 1;
                }
                Ok(Entry::Sync(sender)) => {
                    sync = Some(sender);
                    break;
                }
                Err(_) => break,
            }
        }
        let written = self.write(&lines);
        if let Err(error) = &written {
            self.metrics.untold.add(many);
            // What a failure left behind is not written on.
            self.current = None;
            if !self.is_failing {
                let folder = self.folder.display();
                tracing::error!(%folder, %error, "the journal of messages cannot be written");
            }
        }
        self.is_failing = written.is_err();
        if let Some(sender) = sync {
            self.sync();
            let _ = sender.send(());
        }
        self.tidy_if_due();
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let size = (self.settings.max_size / FILES).max(1);
        let age = self.settings.keep / u32::try_from(FILES).unwrap_or(1);
        let is_full = |current: &Current| current.size >= size || current.begun.elapsed() >= age;
        if self.current.as_ref().is_some_and(is_full) {
            self.sync();
            self.current = None;
        }
        let current = match &mut self.current {
            Some(current) => current,
            none => {
                let begun = begin(&self.folder)?;
                self.tidied = None;
                none.insert(begun)
            }
        };
        current.file.write_all(lines)?;
        current.size += lines.len() as u64;
        current.unsynced.get_or_insert_with(Instant::now);
        if current.unsynced.is_some_and(|since| since.elapsed() >= SYNC) {
            self.sync();
        }
        Ok(())
    }

    fn sync(&mut self) {
        if let Some(current) = &mut self.current
            && current.unsynced.take().is_some()
            && let Err(error) = current.file.sync_data()
        {
            tracing::error!(%error, "the journal of messages cannot be synced");
        }
    }

    fn tidy_if_due(&mut self) {
        if self.tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY) {
            self.tidied = Some(Instant::now());
            if let Err(error) = tidy(&self.folder, &self.settings) {
                tracing::warn!(%error, "old files of the journal of messages cannot be removed");
            }
        }
    }
}

/// Begins the next file. No file is written on that an earlier server left.
fn begin(folder: &Path) -> io::Result<Current> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)?;
    let last = files(folder)?.last().and_then(|path| number(path));
    let path = folder.join(format!("{:010}.{ENDING}", last.map_or(1, |last| last + 1)));
    let file = private(OpenOptions::new().append(true).create_new(true)).open(path)?;
    Ok(Current {
        file,
        size: 0,
        begun: Instant::now(),
        unsynced: None,
    })
}

/// Removes the oldest files until the rest is neither too large nor too old. The last one stays.
fn tidy(folder: &Path, settings: &TraceConfig) -> io::Result<()> {
    let mut known = Vec::new();
    for path in files(folder)? {
        let about = fs::metadata(&path)?;
        let age = about
            .modified()
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        known.push((path, about.len(), age.unwrap_or_default()));
    }
    let mut total: u64 = known.iter().map(|(_, size, _)| size).sum();
    known.pop();
    for (path, size, age) in known {
        if total <= settings.max_size && age <= settings.keep {
            break;
        }
        fs::remove_file(path)?;
        total -= size;
    }
    Ok(())
}

/// The files of a journal, the oldest first; none if there is no folder.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        files.extend(number(&path).map(|_| path.clone()));
    }
    files.sort_by_key(|path| number(path));
    Ok(files)
}

fn number(path: &Path) -> Option<u64> {
    let is_ours = path.extension().is_some_and(|ending| ending == ENDING);
    path.file_stem().filter(|_| is_ours)?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Query, find};

    fn line(id: usize) -> Vec<u8> {
        format!("{{\"at\":{id},\"id\":\"m{id}\",\"event\":\"done\"}}\n").into_bytes()
    }

    fn writer(folder: &Path, max_size: u64) -> Writer {
        let settings = TraceConfig {
            max_size,
            ..TraceConfig::default()
        };
        Writer::new(folder.to_owned(), settings, Arc::default())
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_a_torn_line_harms_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, max_size) = (folder.path().join("trace"), 4096);
        let (_sender, entries) = std::sync::mpsc::sync_channel(1);
        let mut first = writer(&path, max_size);
        for id in 0..500 {
            first.line(line(id), &entries);
        }
        drop(first);
        let size = || -> u64 {
            let files = files(&path).expect("a folder");
            files
                .iter()
                .map(|file| fs::metadata(file).expect("it is there").len())
                .sum()
        };
        assert!(size() <= max_size + max_size / FILES + 100, "{}", size());
        let found = |id: &str| find(&path, &Query::parse(id), 9).expect("it is read").len();
        assert_eq!((found("m0"), found("m499")), (0, 1));
        // A kill cut the last line short, and another server goes on.
        let last = files(&path).expect("a folder").pop().expect("a file");
        let mut torn = OpenOptions::new().append(true).open(last).expect("it is there");
        torn.write_all(b"{\"at\":7,\"id\":\"m50")
            .expect("it can be written");
        let mut second = writer(&path, max_size);
        second.line(line(500), &entries);
        assert_eq!((found("m499"), found("m500"), found("m50")), (1, 1, 0));
    }

    #[test]
    fn what_is_too_old_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_sender, entries) = std::sync::mpsc::sync_channel(1);
        let mut old = writer(folder.path(), 1 << 20);
        old.line(line(1), &entries);
        drop(old);
        let mut second = writer(folder.path(), 1 << 20);
        second.settings.keep = Duration::ZERO;
        second.line(line(2), &entries);
        let left = files(folder.path()).expect("a folder");
        assert_eq!(
            left.iter().filter_map(|path| number(path)).collect::<Vec<_>>(),
            [2]
        );
    }
}
