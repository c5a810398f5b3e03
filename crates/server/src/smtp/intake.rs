//! A message on its way into the store: trace headers in front (RFC 5321 §4.4), missing fields added for mail
//! programs (RFC 6409 §8), octets counted and indexed as they pass.

use super::envelope::Envelope;
use crate::delivery::{MessageWriter, WrittenMessage};
use crate::random::entropy;
use bytes::{Bytes, BytesMut};
use mailwright_address::ForwardPath;
use mailwright_mailbox::{BlobRef, BlobWriter, Store, StoreError};
use mailwright_message::date::{self, DateTime};
use mailwright_message::{header, message_id, trace};
use std::net::IpAddr;

/// What the trace header says of the way a message came in.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) hello: Option<String>,
    pub(super) peer: IpAddr,
    pub(super) by: String,
    /// RFC 3848.
    pub(super) with: &'static str,
    pub(super) tls: Option<String>,
    pub(super) date: DateTime,
}

/// Takes the octets of one message.
pub(super) struct Intake<S: Store> {
    /// The form for mailboxes here, with `Return-Path`.
    local: Option<MessageWriter<S>>,
    /// The form for other servers.
    remote: Option<S::BlobWriter>,
    stage: Stage,
    is_ascii: bool,
    size: u64,
    hops: usize,
}

#[derive(Debug)]
enum Stage {
    /// The header is held until it is known what has to be added.
    Header {
        seen: BytesMut,
        prefix: Prefix,
    },
    Body,
}

/// What goes in front of a message.
#[derive(Debug)]
struct Prefix {
    return_path: String,
    received: String,
    /// Date and host name to add missing fields with; `None` if they are left missing.
    fix_up: Option<(DateTime, String)>,
}

/// A message that the store has, and that nothing refers to yet.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) local: Option<WrittenMessage>,
    pub(super) remote: Option<BlobRef>,
    /// Octets of the message as it leaves.
    pub(super) size: u64,
    pub(super) is_ascii: bool,
    /// How many `Received` fields it came with.
    pub(super) hops: usize,
}

/// A header longer than this goes on with trace fields alone: nothing is added that may be missing.
const MAX_HEADER: usize = 64 * 1024;

impl<S: Store> Intake<S> {
    /// Begins a message. `fix_up`: add Date and Message-ID where they are missing.
    pub(super) fn new(store: &S, envelope: &Envelope, trace: &Trace, fix_up: bool) -> Self {
        let reverse_path = envelope.mail.path.address().map_or("", |a| a.as_str());
        let prefix = Prefix {
            return_path: trace::return_path(reverse_path),
            received: received_field(envelope, trace),
            fix_up: fix_up.then(|| (trace.date, trace.by.clone())),
        };
        Self {
            local: envelope.is_local().then(|| MessageWriter::new(store)),
            remote: envelope.is_remote().then(|| store.new_blob()),
            stage: Stage::Header {
                seen: BytesMut::new(),
                prefix,
            },
            is_ascii: true,
            size: 0,
            hops: 0,
        }
    }

    /// Takes the next octets.
    pub(super) async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        self.is_ascii = self.is_ascii && data.is_ascii();
        let Stage::Header { seen, prefix } = &mut self.stage else {
            return self.pass(data).await;
        };
        // The empty line may have begun in what is there already.
        let from = seen.len().saturating_sub(3);
        seen.extend_from_slice(&data);
        let complete = seen.starts_with(b"\r\n") || seen[from..].windows(4).any(|w| w == b"\r\n\r\n");
        if complete || seen.len() > MAX_HEADER {
            // What is missing so far may still come.
            prefix.fix_up = prefix.fix_up.take().filter(|_| complete);
            self.pass_header().await?;
        }
        Ok(())
    }

    /// Ends the message.
    pub(super) async fn finish(mut self, store: &S) -> Result<Received, StoreError> {
        self.pass_header().await?;
        let remote = match self.remote {
            Some(writer) => Some(writer.finish().await?),
            None => None,
        };
        let local = match self.local {
            Some(writer) => Some(writer.finish(store).await?),
            None => None,
        };
        Ok(Received {
            local,
            remote,
            size: self.size,
            is_ascii: self.is_ascii,
            hops: self.hops,
        })
    }

    /// Writes what goes in front, and the header that was held.
    async fn pass_header(&mut self) -> Result<(), StoreError> {
        let Stage::Header { seen, prefix } = std::mem::replace(&mut self.stage, Stage::Body) else {
            return Ok(());
        };
        let found = Found::of(&seen);
        self.hops = found.received;
        let mut added = prefix.received;
        if let Some((date, host)) = prefix.fix_up {
            if !found.message_id {
                let id = message_id::generate(&entropy::<16>(), &host);
                added.push_str(&format!("Message-ID: {id}\r\n"));
            }
            if !found.date {
                added.push_str(&format!("Date: {}\r\n", date::format(date)));
            }
        }
        // Text without a header must not become one.
        if !found.begins_with_field && !seen.starts_with(b"\r\n") {
            added.push_str("\r\n");
        }
        if let Some(local) = &mut self.local {
            local.write(prefix.return_path.into()).await?;
        }
        self.pass(added.into()).await?;
        match seen.is_empty() {
            true => Ok(()),
            false => self.pass(seen.freeze()).await,
        }
    }

    async fn pass(&mut self, data: Bytes) -> Result<(), StoreError> {
        self.size += data.len() as u64;
        if let Some(remote) = &mut self.remote {
            remote.write(data.clone()).await?;
        }
        if let Some(local) = &mut self.local {
            local.write(data).await?;
        }
        Ok(())
    }
}

fn received_field(envelope: &Envelope, trace: &Trace) -> String {
    let mut field = trace::Received::new(&trace.by, trace.with, trace.date);
    field.helo = trace.hello.as_deref();
    field.ip = Some(trace.peer.to_canonical());
    field.tls = trace.tls.as_deref();
    field.id = Some(&envelope.id);
    // RFC 5321 §7.6: with more than one it would tell blind copies.
    if let [only] = envelope.recipients.as_slice()
        && let ForwardPath::Address(address) = &only.rcpt.path
    {
        field.recipient = Some(address.as_str());
    }
    field.to_field()
}

/// What a header has of the fields that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    begins_with_field: bool,
    date: bool,
    message_id: bool,
    received: usize,
}

impl Found {
    fn of(message: &[u8]) -> Self {
        let mut found = Self {
            begins_with_field: begins_with_field(message),
            ..Self::default()
        };
        if found.begins_with_field {
            for field in header::fields(message) {
                found.date |= field.is("Date");
                found.message_id |= field.is("Message-ID");
                found.received += usize::from(field.is("Received"));
            }
        }
        found
    }
}

/// RFC 5322 §2.2: a name of printable characters, perhaps white space, a colon.
fn begins_with_field(message: &[u8]) -> bool {
    let name = message
        .iter()
        .take_while(|b| b.is_ascii_graphic() && **b != b':')
        .count();
    let rest = &message[name..];
    let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    name > 0 && rest[blank..].starts_with(b":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_matter_are_found() {
        let found =
            Found::of(b"Received: a\r\n b\r\nreceived: c\r\nDATE: x\r\n\r\nMessage-ID: <in@body>\r\n");
        assert_eq!(
            found,
            Found {
                begins_with_field: true,
                date: true,
                message_id: false,
                received: 2
            }
        );
        assert_eq!(Found::of(b"Just text: not a field\r\n"), Found::default());
        assert_eq!(Found::of(b""), Found::default());
        assert!(begins_with_field(b"Subject : old style\r\n"));
        assert!(!begins_with_field(b"\xc3\xbc: x\r\n"));
    }
}
