//! What was copied, in a file that is only ever added to: lines of JSON.
//!
//! ```text
//! {"mailbox":"Sent","validity":1700000001,"new_mailbox":"Sent","new_validity":1800000007,"first_new":1}
//! [41,1]
//! [43,2]
//! ```
//!
//! A message with UID 41 became one with UID 1; 0 stands for a UID that the server did not tell. `first_new` is the
//! UID from which on messages of the new mailbox can be copies.

use crate::imap::Refused;
use crate::net::Fallible;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// The names and UID validities of an old mailbox and its new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Both {
    pub(super) from: (String, NonZeroU32),
    pub(super) to: (String, Option<NonZeroU32>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Heading {
    mailbox: String,
    validity: NonZeroU32,
    new_mailbox: String,
    new_validity: Option<NonZeroU32>,
    first_new: u32,
}

/// What was copied earlier of a mailbox.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    became: HashMap<u32, u32>,
    first_new: Option<u32>,
}

impl Known {
    pub(super) fn has(&self, uid: u32) -> bool {
        self.became.contains_key(&uid)
    }

    /// The UID from which on messages of the new mailbox can be copies; `None` if there are none yet.
    pub(super) fn first_new(&self) -> Option<u32> {
        self.first_new
    }

    /// The UID from which on they can be copies that were not noted; `None` where nobody can tell.
    pub(super) fn first_unknown(&self) -> Option<u32> {
        let highest = self.became.values().copied().max();
        match highest {
            // The server does not tell UIDs.
            Some(0) => None,
            highest => Some(self.first_new?.max(highest.unwrap_or(0).saturating_add(1))),
        }
    }
}

/// The file.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    file: File,
    known: Vec<(Both, Known)>,
}

impl State {
    /// Reads the file, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be read or written, or holds something else.
    pub fn open(path: &Path) -> Fallible<Self> {
        let say = |e| format!("{}: {e}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut state = Self {
            path: path.to_owned(),
            file: options.open(path).map_err(say)?,
            known: Vec::new(),
        };
        let whole = state.read()?;
        // The last line of a run that was cut off says nothing for sure.
        if whole < state.file.metadata().map_err(say)?.len() {
            state.file.set_len(whole).map_err(say)?;
        }
        Ok(state)
    }

    /// Reads all lines that are whole; returns how many octets they are.
    fn read(&mut self) -> Fallible<u64> {
        let mut lines = BufReader::new(&self.file);
        let (mut whole, mut line) = (0, String::new());
        for number in 1.. {
            line.clear();
            let n = lines
                .read_line(&mut line)
                .map_err(|e| format!("{}: {e}", self.path.display()))?;
            if !line.ends_with('\n') {
                break;
            }
            let is_ours = match serde_json::from_str::<(u32, u32)>(&line) {
                Ok((old, new)) => self.known.last_mut().map(|(_, known)| {
                    known.became.insert(old, new);
                }),
                Err(_) => serde_json::from_str(&line).ok().map(|heading: Heading| {
                    self.known.push((heading.both(), heading.known()));
                }),
            };
            is_ours.ok_or_else(|| {
                format!(
                    "{}, line {number}: this is no state of imap_copy; name another file with --state",
                    self.path.display()
                )
            })?;
            whole += n as u64;
        }
        Ok(whole)
    }

    /// What was copied of a mailbox.
    pub(super) fn of(&self, both: &Both) -> Fallible<Known> {
        let mut all = Known::default();
        for (other, known) in &self.known {
            if other.from.0 != both.from.0 || other.to.0 != both.to.0 {
                continue;
            }
            if other != both {
                let why = format!(
                    "its UIDVALIDITY has changed since {} was written, so that nobody can tell what was copied: \
                     take another --state, or leave the mailbox out with --exclude",
                    self.path.display()
                );
                return Err(Refused::new("UIDs", why).into());
            }
            all.first_new = all.first_new.or(known.first_new);
            all.became.extend(&known.became);
        }
        Ok(all)
    }

    /// Begins to note what becomes of a mailbox's messages.
    pub(super) fn begin(&mut self, both: &Both, first_new: u32) -> Fallible<()> {
        let heading = Heading {
            mailbox: both.from.0.clone(),
            validity: both.from.1,
            new_mailbox: both.to.0.clone(),
            new_validity: both.to.1,
            first_new,
        };
        self.write(serde_json::to_string(&heading)?)
    }

    /// Notes that a message was copied.
    pub(super) fn note(&mut self, old: u32, new: Option<u32>) -> Fallible<()> {
        self.write(format!("[{old},{}]", new.unwrap_or(0)))
    }

    fn write(&mut self, mut line: String) -> Fallible<()> {
        line.push('\n');
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|e| format!("{}: {e}", self.path.display()).into())
    }
}

impl Heading {
    fn both(&self) -> Both {
        Both {
            from: (self.mailbox.clone(), self.validity),
            to: (self.new_mailbox.clone(), self.new_validity),
        }
    }

    fn known(&self) -> Known {
        Known {
            became: HashMap::new(),
            first_new: Some(self.first_new),
        }
    }
}
