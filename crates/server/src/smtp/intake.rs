//! A message on its way into the store: trace headers in front (RFC 5321 §4.4), missing fields added for mail
//! programs (RFC 6409 §8), octets counted and indexed as they pass.

use super::envelope::Envelope;
use crate::delivery::{MessageWriter, WrittenMessage};
use bytes::Bytes;
use mailwright_address::ForwardPath;
use mailwright_mailbox::{BlobRef, BlobWriter, Store, StoreError};
use mailwright_message::date::DateTime;
use mailwright_message::trace;
use mailwright_smtp::submission::{Additions, FixUp};
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
    /// `Return-Path`, until it is written.
    return_path: Option<String>,
    fix_up: FixUp,
    is_ascii: bool,
    size: u64,
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

impl<S: Store> Intake<S> {
    /// Begins a message, which gets what `additions` says where it is missing.
    pub(super) fn new(store: &S, envelope: &Envelope, trace: &Trace, additions: Option<Additions>) -> Self {
        let reverse_path = envelope.mail.path.address().map_or("", |a| a.as_str());
        Self {
            local: envelope.is_local().then(|| MessageWriter::new(store)),
            remote: envelope.is_remote().then(|| store.new_blob()),
            return_path: Some(trace::return_path(reverse_path)),
            fix_up: additions
                .map_or_else(FixUp::nothing, FixUp::new)
                .with_trace(received_field(envelope, trace)),
            is_ascii: true,
            size: 0,
        }
    }

    /// Takes the next octets.
    pub(super) async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        self.is_ascii = self.is_ascii && data.is_ascii();
        let mut out = Vec::new();
        self.fix_up.push(data, &mut out);
        self.pass_all(out).await
    }

    /// Ends the message.
    pub(super) async fn finish(mut self, store: &S) -> Result<Received, StoreError> {
        let mut out = Vec::new();
        let found = std::mem::replace(&mut self.fix_up, FixUp::nothing()).finish(&mut out);
        self.pass_all(out).await?;
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
        })
    }

    async fn pass_all(&mut self, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        for piece in pieces {
            // Mailboxes alone have it, in front of everything.
            if let Some(return_path) = self.return_path.take()
                && let Some(local) = &mut self.local
            {
                local.write(return_path.into()).await?;
            }
            self.pass(piece).await?;
        }
        Ok(())
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
