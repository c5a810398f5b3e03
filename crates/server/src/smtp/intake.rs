//! A message on its way into the store: trace headers in front (RFC 5321 §4.4), missing fields added for mail
//! programs (RFC 6409 §8), octets counted and indexed as they pass.

use super::envelope::Envelope;
use super::held::{Held, Holder};
use super::peek::Peek;
use super::tap::{Findings, Tap};
use crate::delivery::{MessageWriter, WrittenMessage};
use crate::judge::Draft;
use bytes::Bytes;
use mailwright_address::ForwardPath;
use mailwright_mailbox::{BlobRef, BlobWriter, Store, StoreError};
use mailwright_message::date::DateTime;
use mailwright_message::trace;
use mailwright_smtp::submission::{Additions, FixUp, Found};
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
    way: Way<S>,
    fix_up: FixUp,
    peek: Peek,
}

/// What becomes of the octets as they come.
enum Way<S: Store> {
    /// They go on to where the message is kept.
    Through(Box<Forms<S>>),
    /// They wait for the end; then the fields come in front.
    Held {
        holder: Holder<S>,
        tap: Tap<S>,
        received: String,
    },
}

/// A whole message.
pub(super) enum Taken {
    /// The store has it.
    Stored(Received),
    /// It is to be judged.
    Held(Waiting),
}

/// A message that is to be judged, and then kept.
pub(super) struct Waiting {
    pub(super) held: Held,
    pub(super) findings: Findings,
    /// The trace field of this server.
    pub(super) received: String,
    /// What its header has, as it came.
    pub(super) found: Found,
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
    /// Its header says `TLS-Required: No` (RFC 8689 §3).
    pub(super) tls_optional: bool,
}

impl<S: Store> Intake<S> {
    /// Begins a message, which gets what `additions` says where it is missing, and which waits at its end if
    /// something is found out about it on the way.
    pub(super) fn new(
        store: &S,
        envelope: &Envelope,
        trace: &Trace,
        additions: Option<Additions>,
        tap: Option<Tap<S>>,
    ) -> Self {
        let received = received_field(envelope, trace);
        let fix_up = additions.map_or_else(FixUp::nothing, FixUp::new);
        let (way, fix_up) = match tap {
            Some(tap) => {
                let holder = Holder::new();
                (
                    Way::Held {
                        holder,
                        tap,
                        received,
                    },
                    fix_up,
                )
            }
            None => {
                let forms = Box::new(Forms::new(store, envelope));
                (Way::Through(forms), fix_up.with_trace(received))
            }
        };
        let peek = Peek::default();
        Self { way, fix_up, peek }
    }

    /// Takes the next octets.
    pub(super) async fn write(&mut self, store: &S, data: Bytes) -> Result<(), StoreError> {
        let mut out = Vec::new();
        self.fix_up.push(data, &mut out);
        self.pass_all(store, out).await
    }

    /// Ends the message; tells its Message-ID too, if it has one.
    pub(super) async fn finish(mut self, store: &S) -> (Result<Taken, Failed>, Option<String>) {
        let mut out = Vec::new();
        let found = std::mem::replace(&mut self.fix_up, FixUp::nothing()).finish(&mut out);
        let passed = self.pass_all(store, out).await;
        let message_id = self.peek.message_id();
        let taken = match passed {
            Ok(()) => self.keep(store, &found).await,
            Err(error) => Err(error.into()),
        };
        (taken, message_id)
    }

    async fn keep(self, store: &S, found: &Found) -> Result<Taken, Failed> {
        match self.way {
            Way::Through(forms) => Ok(Taken::Stored(forms.finish(store, found).await?)),
            Way::Held { holder, .. } if holder.header_is_too_large() => Err(Failed::HeaderTooLarge),
            Way::Held {
                holder,
                tap,
                received,
            } => Ok(Taken::Held(Waiting {
                held: holder.finish().await?,
                findings: tap.finish().await,
                received,
                found: *found,
            })),
        }
    }

    async fn pass_all(&mut self, store: &S, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        for piece in pieces {
            self.peek.see(&piece);
            match &mut self.way {
                Way::Through(forms) => forms.write(piece).await?,
                Way::Held { holder, tap, .. } => {
                    let rest = holder.write(store, piece.clone()).await?;
                    tap.push(holder.header(), piece, &rest).await;
                }
            }
        }
        Ok(())
    }
}

impl Waiting {
    /// Keeps the message for its recipients, with its header as it is in `draft`.
    pub(super) async fn keep<S: Store>(
        self,
        store: &S,
        envelope: &Envelope,
        draft: &Draft,
    ) -> Result<Received, StoreError> {
        let mut out = Forms::new(store, envelope);
        let original = self.held.rest.reader(store);
        let rest = draft.rest(&original);
        let (mut at, end) = (0, rest.len());
        out.write(draft.head()).await?;
        while at < end {
            let octets = rest.read(at..end.min(at + COPIED_AT_ONCE)).await?;
            if octets.is_empty() {
                return Err(StoreError::Corrupt(
                    "a message that was held has lost its end".into(),
                ));
            }
            at += octets.len() as u64;
            out.write(octets).await?;
        }
        out.finish(store, &self.found).await
    }
}

/// Why a message was not taken.
#[derive(Debug)]
pub(super) enum Failed {
    /// The store failed.
    Store(StoreError),
    /// Its header is larger than one that can be judged.
    HeaderTooLarge,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How much of a message that was held is in memory while it is put in its place.
const COPIED_AT_ONCE: u64 = 256 << 10;

/// The forms in which a message is kept.
struct Forms<S: Store> {
    /// For mailboxes here, with `Return-Path`.
    local: Option<MessageWriter<S>>,
    /// For other servers.
    remote: Option<S::BlobWriter>,
    /// `Return-Path`, until it is written.
    return_path: Option<String>,
    is_ascii: bool,
    size: u64,
}

impl<S: Store> Forms<S> {
    fn new(store: &S, envelope: &Envelope) -> Self {
        let reverse_path = envelope.mail.path.address().map_or("", |a| a.as_str());
        Self {
            local: envelope.is_local().then(|| MessageWriter::new(store)),
            remote: envelope.is_remote().then(|| store.new_blob()),
            return_path: Some(trace::return_path(reverse_path)),
            is_ascii: true,
            size: 0,
        }
    }

    async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        self.is_ascii = self.is_ascii && data.is_ascii();
        self.size += data.len() as u64;
        if let Some(remote) = &mut self.remote {
            remote.write(data.clone()).await?;
        }
        if let Some(local) = &mut self.local {
            // Mailboxes alone have it, in front of everything.
            if let Some(return_path) = self.return_path.take() {
                local.write(return_path.into()).await?;
            }
            local.write(data).await?;
        }
        Ok(())
    }

    async fn finish(self, store: &S, found: &Found) -> Result<Received, StoreError> {
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
            hops: found.received as usize,
            tls_optional: found.tls_optional,
        })
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
