//! Mail that programs of this machine hand in: `mailwright sendmail`.
//!
//! The request is followed by [`Request::size`] octets, the message as the program has it. They go into the store as they
//! come, at first as a blob that nothing refers to; once the header is known to its end, and the signature made, the whole
//! message goes into the spool in one commit, and from there to its recipients, here and elsewhere.

use crate::clock::unix_now;
use crate::config::{Config, FromHeader};
use crate::delivery::Destination;
use crate::names;
use crate::random::entropy;
use crate::shared::Shared;
use crate::smtp::held::{Held, Holder};
use bytes::Bytes;
use mailwright_address::{Domain, EmailAddress, Host, ReversePath};
use mailwright_auth::dkim::Signer;
use mailwright_mailbox::{Batch, BlobWriter, CommitError, Op, Store, StoreError};
use mailwright_message::address_list;
use mailwright_message::date::{self, DateTime};
use mailwright_message::header;
use mailwright_queue::{Body, Record};
use mailwright_smtp::futurerelease;
use mailwright_smtp::submission::{Additions, FixUp};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// A message that is handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Request {
    /// The sender; empty for none. Without a domain it gets the first one of the server.
    pub from: String,
    /// The recipients, completed in the same way.
    pub to: Vec<String>,
    /// How many octets follow the request. Their lines may end in LF as well as in CRLF.
    pub size: u64,
    /// Who hands it in, for the trace header.
    pub user: String,
}

impl Request {
    /// A message of so many octets.
    pub fn new(
        from: impl Into<String>,
        to: impl IntoIterator<Item = String>,
        size: u64,
        user: impl Into<String>,
    ) -> Self {
        Self {
            from: from.into(),
            to: to.into_iter().collect(),
            size,
            user: user.into(),
        }
    }
}

/// That a message was taken: it is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Taken {
    /// What logs and trace headers call it.
    pub id: String,
}

/// Why a message was not taken, as far as a program has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// An address or the message is not as it has to be.
    Data,
    /// Nobody here has the address of the recipient.
    NoUser,
    /// The server does not do this.
    Unavailable,
    /// It may be taken later.
    Temporary,
    /// The user may not send so.
    NoPermission,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refused {
    #[error("no recipient is named")]
    NoRecipient,
    #[error("more than {0} recipients (limits.recipients)")]
    Recipients(usize),
    #[error("{0}: {1}")]
    Address(String, mailwright_address::ParseError),
    #[error("{0}: mail does not leave this server (outbound.enabled)")]
    NoWayOut(EmailAddress),
    #[error("the message is larger than {0} octets (limits.message_size)")]
    Size(u64),
    #[error("the header is larger than a message may have")]
    Header,
    #[error("the message did not come to its end: {0}")]
    Cut(#[from] io::Error),
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    #[error("the store: {0}")]
    Commit(#[from] CommitError),
    #[error("{0}: nobody here has this address")]
    NoSuchUser(EmailAddress),
    #[error("{user} may not send as {address} (sendmail.send_as)")]
    NotOwn { user: String, address: EmailAddress },
    #[error("the From field names others than {0} (from_header)")]
    Author(String),
    #[error("too many messages, or recipients, in the last time (rate_limits)")]
    TooOften,
}

impl Refused {
    /// What a program has to know of it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::NoRecipient | Self::Recipients(_) | Self::Address(..) | Self::Size(_) | Self::Header => {
                Kind::Data
            }
            Self::NoWayOut(_) => Kind::Unavailable,
            Self::Cut(_) | Self::Store(_) | Self::Commit(_) | Self::TooOften => Kind::Temporary,
            Self::NoSuchUser(_) => Kind::NoUser,
            Self::NotOwn { .. } | Self::Author(_) => Kind::NoPermission,
        }
    }
}

/// How long nothing may come of a message.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of it is read, and copied, at once.
const PIECE: usize = 64 << 10;

/// Reads a message, and puts it into the spool. Who has addresses of its own may send as these alone.
pub(crate) async fn take<S: Store>(
    shared: &Shared<S>,
    request: Request,
    own: Option<&[EmailAddress]>,
    octets: &mut (impl AsyncRead + Unpin),
) -> Result<Taken, Refused> {
    let most = shared.config.limits.message_size;
    if request.size > most {
        return Err(Refused::Size(most));
    }
    let from = match request.from.as_str() {
        "" | "<>" => ReversePath::Null,
        text => ReversePath::Address(complete(shared, text)?),
    };
    if let (Some(own), Some(address)) = (own, from.address())
        && !is_own(own, address)
    {
        let (user, address) = (request.user, address.clone());
        return Err(Refused::NotOwn { user, address });
    }
    let to = recipients(shared, &request.to)?;
    if own.is_some() {
        someone(shared, &to)?;
    }
    let id = format!("{:016x}", u64::from_be_bytes(entropy()));
    let intake = Intake::new(shared, own, from.address().and_then(EmailAddress::domain));
    let (held, signature, is_ascii) = intake.read(octets, request.size).await?;
    let user: String = request
        .user
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect();
    let received = format!(
        "Received: by {} (from user {user}) id {id};\r\n\t{}\r\n",
        shared.config.hostname,
        date::format(DateTime::new(unix_now(), 0)),
    );
    let mut writer = shared.store.new_blob();
    let head = [received.as_bytes(), signature.as_bytes(), &held.header].concat();
    let mut size = head.len() as u64;
    writer.write(head.into()).await?;
    let rest = held.rest.reader(&shared.store);
    let (mut at, end) = (0, crate::judge::Octets::len(&rest));
    while at < end {
        let piece = crate::judge::Octets::read(&rest, at..end.min(at + PIECE as u64)).await?;
        if piece.is_empty() {
            return Err(StoreError::Corrupt("a message that was held has lost its end".into()).into());
        }
        at += piece.len() as u64;
        writer.write(piece).await?;
    }
    size += end;
    let now = crate::clock::timestamp();
    let mut record = Record::new(id.as_str(), from, now, now + shared.config.queue.expire);
    record.size = size;
    if !is_ascii {
        record.body = Body::EightBit;
    }
    record.smtputf8 = !record.reverse_path.is_ascii() || !to.iter().all(EmailAddress::is_ascii);
    let count = to.len();
    for recipient in to {
        record.add_recipient(recipient);
    }
    let put = Op::SpoolPut {
        key: None,
        record: record.encode(),
        blob: Some(writer.finish().await?),
    };
    shared.store.commit(Batch::new(unix_now()).with(put)).await?;
    shared.spooled.notify_one();
    tracing::info!(%id, user, from = %record.reverse_path, recipients = count, size, "message taken");
    Ok(Taken { id })
}

/// Whether an address is among some, however it is written.
fn is_own(own: &[EmailAddress], address: &EmailAddress) -> bool {
    let wanted = names::key(address.as_str());
    own.iter().any(|own| names::key(own.as_str()) == wanted)
}

/// Refuses a message that nobody can get. Where somebody can, the sender is told of the others by a notice.
fn someone<S>(shared: &Shared<S>, to: &[EmailAddress]) -> Result<(), Refused> {
    let is_nobody = |address: &EmailAddress| matches!(shared.destination(address), Destination::Nobody);
    match to.iter().all(is_nobody) {
        true => Err(to
            .first()
            .cloned()
            .map_or(Refused::NoRecipient, Refused::NoSuchUser)),
        false => Ok(()),
    }
}

/// Recipients, each once.
fn recipients<S>(shared: &Shared<S>, named: &[String]) -> Result<Vec<EmailAddress>, Refused> {
    let most = shared.config.limits.recipients;
    let mut all: Vec<EmailAddress> = Vec::new();
    if named.len() > most {
        return Err(Refused::Recipients(most));
    }
    for text in named {
        let address = complete(shared, text)?;
        let is_local = address.domain().is_some_and(|domain| shared.is_local(&domain));
        if !is_local && !shared.config.outbound.enabled {
            return Err(Refused::NoWayOut(address));
        }
        if !all.contains(&address) {
            all.push(address);
        }
    }
    match all.is_empty() {
        true => Err(Refused::NoRecipient),
        false => Ok(all),
    }
}

/// An address, with the first domain where it has none.
fn complete<S>(shared: &Shared<S>, text: &str) -> Result<EmailAddress, Refused> {
    let text = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(text);
    let whole = match (text.contains('@'), shared.domains.all().first()) {
        (false, Some(domain)) => EmailAddress::parse(&format!("{text}@{domain}")),
        _ => EmailAddress::parse(text),
    };
    whole.map_err(|error| Refused::Address(text.to_owned(), error))
}

/// Takes the octets of a message.
struct Intake<'a, S: Store> {
    shared: &'a Shared<S>,
    /// The addresses of who hands it in, if it may not write in the name of others.
    own: Option<&'a [EmailAddress]>,
    /// The domain of the sender, which answers for what no author of ours does.
    sender: Option<Domain>,
    lines: Crlf,
    fix_up: FixUp,
    holder: Holder<S>,
    /// Once the header is there.
    signer: Option<Option<Signer>>,
    is_ascii: bool,
}

impl<'a, S: Store> Intake<'a, S> {
    fn new(shared: &'a Shared<S>, own: Option<&'a [EmailAddress]>, sender: Option<Domain>) -> Self {
        let date = u64::try_from(unix_now())
            .ok()
            .and_then(futurerelease::DateTime::from_unix);
        let additions =
            date.map(|date| Additions::new(date, entropy(), Host::Domain(shared.config.hostname.clone())));
        Self {
            shared,
            own,
            sender,
            lines: Crlf::default(),
            fix_up: additions.map_or_else(FixUp::nothing, FixUp::new),
            holder: Holder::new(),
            signer: None,
            is_ascii: true,
        }
    }

    /// The message, the field that signs it, and whether all of it is ASCII.
    async fn read(
        mut self,
        octets: &mut (impl AsyncRead + Unpin),
        size: u64,
    ) -> Result<(Held, String, bool), Refused> {
        let mut left = size;
        let mut room = vec![0; PIECE];
        while left > 0 {
            let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let read = timeout(PATIENCE, octets.read(&mut room[..most])).await;
            let read = read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            left -= read as u64;
            let mut lines = Vec::with_capacity(read + read / 16);
            self.lines.convert(&room[..read], &mut lines);
            self.push(lines.into()).await?;
        }
        let mut end = Vec::new();
        self.lines.finish(&mut end);
        self.push(end.into()).await?;
        let mut out = Vec::new();
        std::mem::replace(&mut self.fix_up, FixUp::nothing()).finish(&mut out);
        self.keep(out).await?;
        if self.holder.header_is_too_large() {
            return Err(Refused::Header);
        }
        if self.signer.is_none() {
            // A header without an empty line behind it is a message without a body.
            self.keep(vec![Bytes::from_static(b"\r\n")]).await?;
        }
        let signature = self.signer.flatten().map(crate::judge::finish_signing);
        Ok((
            self.holder.finish().await?,
            signature.unwrap_or_default(),
            self.is_ascii,
        ))
    }

    async fn push(&mut self, octets: Bytes) -> Result<(), Refused> {
        self.is_ascii = self.is_ascii && octets.is_ascii();
        let mut out = Vec::new();
        self.fix_up.push(octets, &mut out);
        self.keep(out).await
    }

    async fn keep(&mut self, pieces: Vec<Bytes>) -> Result<(), Refused> {
        for piece in pieces {
            let rest = self.holder.write(&self.shared.store, piece).await?;
            let Some(header) = self.holder.header() else {
                continue;
            };
            if self.signer.is_none() {
                let author = authors(header).next();
                let is_trusted = match self.own {
                    None => true,
                    Some(own) => {
                        judge_authors(&self.shared.config, own, header)?;
                        author.as_ref().is_some_and(|author| is_own(own, author))
                    }
                };
                // Nobody's message is signed by the domain of somebody else.
                let domain = author
                    .filter(|_| is_trusted)
                    .and_then(|author| author.domain())
                    .filter(|domain| self.shared.is_local(domain));
                let domain = domain.or_else(|| self.sender.take());
                let mut signer = domain.and_then(|domain| self.shared.judge.signer(&domain));
                if let Some(signer) = &mut signer {
                    signer.push(header);
                }
                self.signer = Some(signer);
            }
            if let Some(Some(signer)) = &mut self.signer {
                signer.push(&rest);
            }
        }
        Ok(())
    }
}

/// Whom the header names as its authors, as far as these are addresses.
fn authors(message_header: &[u8]) -> impl Iterator<Item = EmailAddress> + '_ {
    header::fields(message_header)
        .filter(|field| field.is("From"))
        .flat_map(|field| address_list::mailboxes(field.value))
        .filter_map(|author| format!("{}@{}", author.local_part, author.domain).parse().ok())
}

/// Refuses a header that names others as its authors, where that is bound to who sends.
fn judge_authors(config: &Config, own: &[EmailAddress], message_header: &[u8]) -> Result<(), Refused> {
    if config.from_header != FromHeader::Bound {
        return Ok(());
    }
    let named: usize = header::fields(message_header)
        .filter(|field| field.is("From"))
        .map(|field| address_list::mailboxes(field.value).count())
        .sum();
    let owned = authors(message_header).filter(|author| is_own(own, author));
    match named > 0 && owned.count() == named {
        true => Ok(()),
        false => {
            let own: Vec<_> = own.iter().map(ToString::to_string).collect();
            Err(Refused::Author(own.join(", ")))
        }
    }
}

/// Gives every line the end of RFC 5322 §2.1, whatever it ended in, in octets that come in pieces.
#[derive(Debug, Default)]
struct Crlf {
    after_cr: bool,
    in_line: bool,
}

impl Crlf {
    fn convert(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for octet in piece {
            match octet {
                b'\n' if self.after_cr => {}
                b'\n' | b'\r' => out.extend_from_slice(b"\r\n"),
                octet => out.push(*octet),
            }
            self.after_cr = *octet == b'\r';
            self.in_line = !matches!(octet, b'\r' | b'\n');
        }
    }

    /// Ends the last line.
    fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.in_line) {
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_line_ends_become_one() {
        for (text, expected) in [
            ("a\nb\n", "a\r\nb\r\n"),
            ("a\r\nb", "a\r\nb\r\n"),
            ("a\rb\r\r\n\n", "a\r\nb\r\n\r\n\r\n"),
            ("", ""),
        ] {
            for cut in 0..=text.len() {
                let (mut lines, mut out) = (Crlf::default(), Vec::new());
                lines.convert(&text.as_bytes()[..cut], &mut out);
                lines.convert(&text.as_bytes()[cut..], &mut out);
                lines.finish(&mut out);
                assert_eq!(
                    String::from_utf8(out).expect("it was text"),
                    expected,
                    "{text:?} {cut}"
                );
            }
        }
    }
}
