//! METADATA (RFC 5464)

use super::{Phase, Reply, Server, Task};
use crate::codec::{MetadataCommand, Out};
use crate::{Capability, Depth, EntryName, Event, MetadataRefusal, MetadataRequest, When};

/// A question about annotations that is being answered.
#[derive(Debug)]
pub(super) enum Annotating {
    Get(Getting),
    Set,
}

/// A GETMETADATA that is being answered.
#[derive(Debug)]
pub(super) struct Getting {
    mailbox: Option<String>,
    entries: Vec<EntryName>,
    depth: Depth,
    max_size: Option<u32>,
    /// The size of the largest value that was left out.
    longest: usize,
    /// A response has been begun.
    is_open: bool,
}

impl Server {
    pub(super) fn metadata_command(&mut self, command: MetadataCommand) {
        let (MetadataCommand::Get { mailbox, .. } | MetadataCommand::Set { mailbox, .. }) = &command;
        let needed = match mailbox.is_empty() {
            true => Capability::MetadataServer,
            false => Capability::Metadata,
        };
        // METADATA includes what METADATA-SERVER stands for (RFC 5464 §1).
        if !self.offers(needed) && !self.offers(Capability::Metadata) {
            return self.bad("the command is not known");
        }
        let mailbox = match mailbox.is_empty() {
            true => None,
            false => match self.mailbox_name(mailbox) {
                None => return,
                some => some,
            },
        };
        let (request, task) = match command {
            MetadataCommand::Get {
                max_size,
                depth,
                entries,
                ..
            } => {
                let task = Getting {
                    mailbox: mailbox.clone(),
                    entries: entries.clone(),
                    depth,
                    max_size,
                    longest: 0,
                    is_open: false,
                };
                let request = MetadataRequest::Get {
                    mailbox,
                    entries,
                    depth,
                };
                (request, Annotating::Get(task))
            }
            MetadataCommand::Set { entries, .. } => {
                (MetadataRequest::Set { mailbox, entries }, Annotating::Set)
            }
        };
        self.ask(Event::Metadata(request), Task::Metadata(Box::new(task)));
    }

    /// Tells an annotation in answer to GETMETADATA ([`Event::Metadata`]), in any order. Those that were not
    /// asked for are left out, and those that are larger than the client wants; it hears how large they are.
    ///
    /// # Panics
    ///
    /// Panics if annotations were not asked for.
    pub fn metadata(&mut self, name: &EntryName, value: &[u8]) {
        let Phase::Asked(Task::Metadata(task)) = &mut self.phase else {
            panic!("no annotations were asked for")
        };
        let Annotating::Get(getting) = &mut **task else {
            panic!("annotations are to be set")
        };
        let is_asked = |entry: &EntryName| {
            entry
                .depth_of(name.as_str())
                .is_some_and(|depth| getting.depth.reaches(depth))
        };
        if !getting.entries.iter().any(is_asked) {
            return;
        }
        if getting
            .max_size
            .is_some_and(|max| value.len() as u64 > u64::from(max))
        {
            getting.longest = getting.longest.max(value.len());
            return;
        }
        let mut out = Out::with_utf8(&mut self.tx, self.enabled.uses_utf8());
        if std::mem::replace(&mut getting.is_open, true) {
            out.raw(" ");
        } else {
            let mailbox = getting.mailbox.as_deref().unwrap_or_default();
            out.raw("* METADATA ").mailbox(mailbox).raw(" (");
        }
        out.entry(name, Some(value));
    }

    /// Says no to SETMETADATA ([`Event::Metadata`]), and why.
    ///
    /// # Panics
    ///
    /// Panics if no annotations were to be set.
    pub fn reject_metadata(&mut self, refusal: MetadataRefusal) {
        match self.take_task() {
            Task::Metadata(task) if matches!(*task, Annotating::Set) => {}
            _ => panic!("no annotations were to be set"),
        }
        let (code, text) = match refusal {
            MetadataRefusal::TooLarge(max) => {
                (format!("METADATA MAXSIZE {max}"), "The annotation is too large")
            }
            MetadataRefusal::TooMany => ("METADATA TOOMANY".into(), "There are too many annotations"),
            MetadataRefusal::NoPrivate => (
                "METADATA NOPRIVATE".into(),
                "Private annotations are not possible",
            ),
        };
        self.complete(Reply::no_with(code, text), When::Anything);
    }

    pub(super) fn finish_metadata(&mut self, task: &Annotating) {
        self.close_metadata(task);
        let reply = match task {
            Annotating::Set => Reply::ok("Setmetadata completed"),
            Annotating::Get(getting) if getting.longest > 0 => Reply::ok_with(
                format!("METADATA LONGENTRIES {}", getting.longest),
                "Getmetadata completed",
            ),
            Annotating::Get(_) => Reply::ok("Getmetadata completed"),
        };
        self.complete(reply, When::Anything);
    }

    /// Ends the response that was begun.
    pub(super) fn close_metadata(&mut self, task: &Annotating) {
        if task.is_open() {
            self.out().raw(")\r\n");
        }
    }
}

impl Annotating {
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Get(Getting { is_open: true, .. }))
    }
}

impl Out<'_> {
    pub(super) fn entry(&mut self, name: &EntryName, value: Option<&[u8]>) -> &mut Self {
        self.astring(name.as_str().as_bytes()).raw(" ");
        match value {
            // Only literal8 can hold NUL (RFC 5464 §5).
            Some(value) if value.contains(&0) => {
                self.raw("~{").number(value.len() as u64).raw("}\r\n");
                self.0.put(value);
                self
            }
            value => self.octets_or_nil(value),
        }
    }
}
