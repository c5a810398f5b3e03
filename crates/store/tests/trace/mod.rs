//! What a process did to files, as strace tells it, and a disk that has what of it was synced.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

/// Whom to follow (all threads), how to print (all octets, as hex), and what to tell of.
pub(crate) const OPTIONS: &[&str] = &[
    "-f",
    "-y",
    "-xx",
    "-s",
    "100000000",
    "-e",
    "signal=none",
    "-e",
    "trace=openat,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,fallocate,copy_file_range,fsync,fdatasync,\
     rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat",
];

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A file was made, or opened; the number stands for the open file.
    Open {
        path: PathBuf,
        made: bool,
        /// What was in it is not.
        cut: bool,
        fd: u32,
    },
    Write {
        fd: u32,
        at: u64,
        octets: Vec<u8>,
    },
    Truncate {
        fd: u32,
        length: u64,
    },
    /// A sync was begun: it makes durable what was written before.
    SyncBegun {
        fd: u32,
    },
    Synced {
        fd: u32,
    },
    Folder {
        path: PathBuf,
    },
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    /// A file got another name beside those it has.
    Linked {
        from: PathBuf,
        to: PathBuf,
    },
    Removed {
        path: PathBuf,
    },
    /// A line on the standard output.
    Said(String),
}

/// Reads a log. Paths are told from the folder on; what is elsewhere is left out.
pub(crate) fn parse(log: &[u8], folder: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    let mut unfinished = HashMap::new();
    let mut positions = HashMap::<u32, u64>::new();
    for line in String::from_utf8(log.to_vec()).unwrap().lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let whole = if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            if begun.starts_with("fsync(") || begun.starts_with("fdatasync(") {
                events.extend(place(&arguments(begun), folder).map(|(fd, _)| Event::SyncBegun { fd }));
            }
            unfinished.insert(thread.to_owned(), begun.to_owned());
            continue;
        } else if let Some(resumed) = call.strip_prefix("<... ") {
            let begun = unfinished.remove(thread).unwrap();
            let end = resumed.split_once(" resumed>").unwrap().1;
            format!("{begun}{end}")
        } else {
            if call.starts_with("fsync(") || call.starts_with("fdatasync(") {
                events.extend(place(&arguments(call), folder).map(|(fd, _)| Event::SyncBegun { fd }));
            }
            call.to_owned()
        };
        events.extend(event(&whole, folder, &mut positions));
    }
    assert!(unfinished.is_empty());
    events
}

fn event(call: &str, folder: &Path, positions: &mut HashMap<u32, u64>) -> Option<Event> {
    // Lines on exits and signals are no calls.
    let (name, _) = call.split_once('(')?;
    let (call, result) = call.rsplit_once(" = ")?;
    let result = result.trim();
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let arguments = arguments(call);
    let inside = |path: PathBuf| path.strip_prefix(folder).ok().map(Path::to_owned);
    let number = |at: usize| arguments[at].parse::<u64>().unwrap();
    match name {
        "openat" => {
            let path = inside(text(&arguments[1]).into())?;
            let fd = fd(result)?.0;
            positions.insert(fd, 0);
            let made = arguments[2].contains("O_CREAT");
            let cut = arguments[2].contains("O_TRUNC");
            Some(Event::Open { path, made, cut, fd })
        }
        "lseek" => {
            let (fd, _) = place(&arguments, folder)?;
            positions.insert(fd, result.parse().unwrap());
            None
        }
        "write" => {
            let octets = octets(&arguments[1]);
            if arguments[0].starts_with("1<") {
                return Some(Event::Said(String::from_utf8(octets).unwrap()));
            }
            let (fd, _) = place(&arguments, folder)?;
            let position = positions.entry(fd).or_default();
            let at = *position;
            assert_eq!(result.parse::<usize>().unwrap(), octets.len());
            *position += octets.len() as u64;
            Some(Event::Write { fd, at, octets })
        }
        "pwrite64" => {
            let (fd, _) = place(&arguments, folder)?;
            let octets = octets(&arguments[1]);
            assert_eq!(result.parse::<usize>().unwrap(), octets.len());
            Some(Event::Write {
                fd,
                at: number(3),
                octets,
            })
        }
        "ftruncate" => Some(Event::Truncate {
            fd: place(&arguments, folder)?.0,
            length: number(1),
        }),
        "fsync" | "fdatasync" => Some(Event::Synced {
            fd: place(&arguments, folder)?.0,
        }),
        "mkdir" => Some(Event::Folder {
            path: inside(text(&arguments[0]).into())?,
        }),
        "unlink" => Some(Event::Removed {
            path: inside(text(&arguments[0]).into())?,
        }),
        "linkat" => Some(Event::Linked {
            from: inside(text(&arguments[1]).into())?,
            to: inside(text(&arguments[3]).into())?,
        }),
        "rename" => Some(Event::Renamed {
            from: inside(text(&arguments[0]).into())?,
            to: inside(text(&arguments[1]).into())?,
        }),
        // Room that is taken changes neither what a file holds nor how long it is.
        "fallocate" if arguments[1] == "FALLOC_FL_KEEP_SIZE" => None,
        // What a store does not do is not simulated; it must not go unseen.
        other => {
            let is_inside = |it: &String| {
                let path = it.split_once('<').map_or(it.as_str(), |it| it.1);
                String::from_utf8(octets(path)).is_ok_and(|it| Path::new(&it).starts_with(folder))
            };
            assert!(!arguments.iter().any(is_inside), "{other} is not simulated");
            None
        }
    }
}

/// Splits the arguments of a call. All text in them is hex, so that a comma or bracket is what it seems.
fn arguments(call: &str) -> Vec<String> {
    let inner = call.split_once('(').unwrap().1;
    let inner = inner.trim_end().trim_end_matches(')');
    inner.split(", ").map(ToOwned::to_owned).collect()
}

/// The open file that a call is about, if it is in the folder.
fn place(arguments: &[String], folder: &Path) -> Option<(u32, PathBuf)> {
    let (fd, path) = fd(&arguments[0])?;
    let path = path.strip_prefix(folder).ok()?.to_owned();
    Some((fd, path))
}

/// Reads `5<\x2f...>`.
fn fd(text: &str) -> Option<(u32, PathBuf)> {
    let (number, path) = text.split_once('<')?;
    let path = String::from_utf8(octets(path.trim_end_matches(|c| c != '>'))).ok()?;
    Some((number.parse().ok()?, path.into()))
}

fn text(argument: &str) -> String {
    String::from_utf8(octets(argument)).unwrap()
}

/// Reads the octets of an argument, each `\xNN`.
fn octets(argument: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).map(|it| it as u8);
    let hex = argument.as_bytes().split(|c| *c == b'\\').skip(1);
    hex.filter_map(|it| Some(digit(*it.get(1)?)? << 4 | digit(*it.get(2)?)?))
        .collect()
}

/// Which of what was not synced a power cut spares.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    kind: u64,
    random: u64,
}

impl Loss {
    /// One of all kinds of loss.
    pub(crate) fn any(kind: u64, seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            kind: kind % 4,
            random,
        }
    }

    /// All that was not synced.
    pub(crate) fn everything() -> Self {
        Self::any(0, 1)
    }

    /// Whether a change is there; `None` when that is so of some of its sectors.
    fn spares(&mut self) -> Option<bool> {
        match self.kind {
            0 => Some(false),
            1 => Some(true),
            2 => Some(self.toss()),
            _ => None,
        }
    }

    fn toss(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 40 & 1 == 1
    }
}

/// A disk that knows what was synced and what was not.
#[derive(Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    open: HashMap<u32, Opened>,
    names: BTreeMap<PathBuf, Named>,
    durable: BTreeMap<PathBuf, Named>,
    pending: Vec<(PathBuf, Option<Named>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Named {
    File(usize),
    Folder,
}

#[derive(Clone, Debug)]
enum Opened {
    // Which, and how many changes there were when the sync began.
    File(usize, usize),
    Folder(PathBuf, usize),
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Disk {
    /// A disk on which what is in a folder, if there is one, has long been synced.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut disk = Self::default();
        let mut folders = vec![PathBuf::new()];
        while let Some(path) = folders.pop() {
            let Ok(entries) = fs::read_dir(folder.join(&path)) else {
                continue;
            };
            for entry in entries.map(Result::unwrap) {
                let path = path.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path);
                    continue;
                }
                disk.durable.insert(path, Named::File(disk.files.len()));
                disk.files.push(File {
                    durable: fs::read(entry.path()).unwrap(),
                    pending: Vec::new(),
                });
            }
            disk.durable.insert(path, Named::Folder);
        }
        disk.names = disk.durable.clone();
        disk
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Open { path, made, cut, fd } => {
                let named = match self.names.get(path) {
                    Some(named) => *named,
                    None if *made => {
                        self.files.push(File::default());
                        let named = Named::File(self.files.len() - 1);
                        self.name(path, Some(named));
                        named
                    }
                    None => Named::Folder,
                };
                let opened = match named {
                    Named::File(file) => Opened::File(file, 0),
                    Named::Folder => Opened::Folder(path.clone(), 0),
                };
                self.open.insert(*fd, opened);
                if *cut {
                    self.change(*fd, Change::Truncate(0));
                }
            }
            Event::Write { fd, at, octets } => {
                let change = Change::Write(*at, octets.clone());
                self.change(*fd, change);
            }
            Event::Truncate { fd, length } => self.change(*fd, Change::Truncate(*length)),
            Event::SyncBegun { fd } => match self.open.get_mut(fd).unwrap() {
                Opened::File(file, begun) => *begun = self.files[*file].pending.len(),
                Opened::Folder(_, begun) => *begun = self.pending.len(),
            },
            Event::Synced { fd } => match self.open[fd].clone() {
                Opened::File(file, begun) => {
                    let file = &mut self.files[file];
                    // Another sync of the same file may have ended meanwhile.
                    let begun = begun.min(file.pending.len());
                    for change in file.pending.drain(..begun) {
                        change.apply(&mut file.durable);
                    }
                }
                Opened::Folder(path, begun) => {
                    let mut at = 0;
                    let durable = &mut self.durable;
                    self.pending.retain(|(name, named)| {
                        at += 1;
                        let is_kept = at > begun || name.parent() != Some(&path);
                        if !is_kept {
                            set(durable, name, *named);
                        }
                        is_kept
                    });
                }
            },
            Event::Folder { path } => self.name(path, Some(Named::Folder)),
            Event::Removed { path } => self.name(path, None),
            Event::Renamed { from, to } => {
                let named = self.names.get(from).copied();
                self.name(to, named);
                self.name(from, None);
            }
            Event::Linked { from, to } => {
                let named = self.names.get(from).copied();
                self.name(to, named);
            }
            Event::Said(_) => {}
        }
    }

    fn name(&mut self, path: &Path, named: Option<Named>) {
        set(&mut self.names, path, named);
        // What makes the folder itself is not part of it.
        if path.as_os_str().is_empty() {
            set(&mut self.durable, path, named);
        } else {
            self.pending.push((path.to_owned(), named));
        }
    }

    fn change(&mut self, fd: u32, change: Change) {
        if let Some(Opened::File(file, _)) = self.open.get(&fd) {
            self.files[*file].pending.push(change);
        }
    }

    /// Writes what a power cut leaves into a folder.
    pub(crate) fn leave(&self, folder: &Path, loss: &mut Loss) {
        let mut names = self.durable.clone();
        for (path, named) in &self.pending {
            if loss.spares().unwrap_or_else(|| loss.toss()) {
                set(&mut names, path, *named);
            }
        }
        for (path, named) in &names {
            // The index of the log is made anew by whoever opens the database first.
            let is_there = path
                .ancestors()
                .skip(1)
                .all(|it| names.get(it) == Some(&Named::Folder));
            if !is_there || path.to_string_lossy().ends_with("-shm") {
                continue;
            }
            match named {
                Named::Folder => fs::create_dir_all(folder.join(path)).unwrap(),
                Named::File(file) => fs::write(folder.join(path), self.files[*file].left(loss)).unwrap(),
            }
        }
    }
}

impl File {
    fn left(&self, loss: &mut Loss) -> Vec<u8> {
        let mut octets = self.durable.clone();
        for change in &self.pending {
            match (loss.spares(), change) {
                (Some(true), change) => change.apply(&mut octets),
                (Some(false), _) => {}
                (None, Change::Write(at, written)) => {
                    let mut from = 0;
                    while from < written.len() {
                        // To the end of the sector.
                        let to = (from + 512 - (*at as usize + from) % 512).min(written.len());
                        if loss.toss() {
                            write(&mut octets, at + from as u64, &written[from..to]);
                        }
                        from = to;
                    }
                }
                (None, truncate) if loss.toss() => truncate.apply(&mut octets),
                (None, _) => {}
            }
        }
        octets
    }
}

impl Change {
    fn apply(&self, octets: &mut Vec<u8>) {
        match self {
            Self::Write(at, written) => write(octets, *at, written),
            Self::Truncate(length) => octets.resize(*length as usize, 0),
        }
    }
}

fn write(octets: &mut Vec<u8>, at: u64, written: &[u8]) {
    let end = at as usize + written.len();
    if octets.len() < end {
        octets.resize(end, 0);
    }
    octets[at as usize..end].copy_from_slice(written);
}

fn set(names: &mut BTreeMap<PathBuf, Named>, path: &Path, named: Option<Named>) {
    match named {
        Some(named) => drop(names.insert(path.to_owned(), named)),
        None => drop(names.remove(path)),
    }
}
