//! Replies of those who are away (RFC 3834, RFC 5230): who gets one, what it says, and who has had one

use crate::config::Vacation;
use crate::names;
use mailwright_address::{EmailAddress, ReversePath};
use mailwright_message::build::{self, Field};
use mailwright_message::date::DateTime;
use mailwright_message::header::Headers;
use mailwright_message::{Message, address_list};
use ring::digest::{SHA256, digest};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Why a message is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Silence {
    /// It has no sender: it is a report itself (RFC 3834 §2).
    #[error("it has no sender")]
    NoSender,
    /// Its sender is a program (RFC 5230 §4.6).
    #[error("its sender is a program")]
    Program,
    /// Its sender is who is away.
    #[error("its sender is the owner of the account")]
    Own,
    /// A program wrote it (RFC 3834 §2, RFC 5230 §4.6).
    #[error("it was sent automatically")]
    Automatic,
    /// It came by a list (RFC 5230 §4.6).
    #[error("it came by a mailing list")]
    List,
    /// It is bulk mail (RFC 3834 §2).
    #[error("it is bulk mail")]
    Bulk,
    /// Its sender does not want such replies.
    #[error("its sender wants no automatic replies")]
    Unwanted,
    /// It is not addressed to who is away (RFC 5230 §4.5).
    #[error("it is not addressed to the account")]
    NotAddressed,
}

/// Whom to answer, by the envelope and the header of a message; `is_own` tells the addresses of who is away.
///
/// # Errors
///
/// [`Silence`] says why nobody is to be answered.
pub fn recipient(
    sender: &ReversePath,
    header: &[u8],
    is_own: impl Fn(&EmailAddress) -> bool,
) -> Result<EmailAddress, Silence> {
    let sender = sender.address().ok_or(Silence::NoSender)?;
    if is_program(&sender.unquoted_local_part().to_lowercase()) {
        return Err(Silence::Program);
    }
    if is_own(sender) {
        return Err(Silence::Own);
    }
    let headers = Headers::new(header);
    for field in headers.fields() {
        let has = |words: &[&str]| {
            let value = String::from_utf8_lossy(field.value).to_ascii_lowercase();
            value
                .split([',', ' ', '\t', '\r', '\n', ';'])
                .any(|word| words.contains(&word))
        };
        match () {
            // RFC 3834 §5: parameters may follow, and what is not known is automatic.
            () if field.is("Auto-Submitted") && !is_no(field.value) => return Err(Silence::Automatic),
            () if LIST_FIELDS.iter().any(|name| field.is(name)) => return Err(Silence::List),
            () if field.is("Precedence") && has(&["bulk", "junk", "list"]) => return Err(Silence::Bulk),
            () if field.is("X-Auto-Response-Suppress") && has(&["all", "oof", "autoreply"]) => {
                return Err(Silence::Unwanted);
            }
            () => {}
        }
    }
    let addressed = RECIPIENT_FIELDS.iter().any(|name| {
        let mut mailboxes = headers
            .all(name)
            .flat_map(|field| address_list::mailboxes(field.value));
        mailboxes.any(|mailbox| mailbox.address().is_some_and(|address| is_own(&address)))
    });
    match addressed {
        true => Ok(sender.clone()),
        false => Err(Silence::NotAddressed),
    }
}

/// The reply of `from` to a message with this header, for `to` (RFC 5230 §5).
///
/// # Errors
///
/// When `to` or `from` cannot stand in a header that is ASCII.
pub fn reply(
    vacation: &Vacation,
    from: &EmailAddress,
    to: &EmailAddress,
    header: &[u8],
    date: DateTime,
    random: [u8; 32],
) -> Result<Vec<u8>, build::Error> {
    let headers = Headers::new(header);
    let theirs = || {
        let subject = headers.subject().filter(|subject| !subject.trim().is_empty());
        subject.map(|subject| format!("Auto: {}", cleaned(&subject)))
    };
    let subject = vacation.subject.as_deref().map(cleaned).or_else(theirs);
    let message = || {
        Message::builder()
            .from(from)
            .to(to)
            .subject(subject.clone().unwrap_or_else(|| "Automated reply".into()))
            .field(Field::structured("Auto-Submitted", "auto-replied"))
            .text(vacation.text.clone())
    };
    let Some(id) = headers.message_id() else {
        return message().build(date, random)?.to_vec();
    };
    // RFC 5322 §3.6.4.
    let mut references: Vec<_> = headers.references().collect();
    if references.is_empty() {
        let mut parents = headers.in_reply_to();
        if let (Some(parent), None) = (parents.next(), parents.next()) {
            references.push(parent);
        }
    }
    if references.len() > MOST_REFERENCES {
        // The first tells the thread, the last ones the place in it.
        references.drain(1..references.len() - (MOST_REFERENCES - 1));
    }
    references.push(id.clone());
    let threaded = message()
        .in_reply_to([id])
        .references(references)
        .build(date, random);
    match threaded {
        Ok(message) => message.to_vec(),
        // An identifier that cannot be written: better an answer beside the thread than none.
        Err(_) => message().build(date, random)?.to_vec(),
    }
}

/// Who was told, and when.
///
/// Senders are known by a hash, 8 octets of SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// What they were told, as a hash.
    handle: u64,
    /// The oldest first.
    told: VecDeque<(u64, u64)>,
    most: usize,
}

impl Memory {
    /// Reads what was remembered as text, of no more than `most` senders. What is not understood, or is about another
    /// reply, is forgotten: a changed reply is a first one to everybody (RFC 5230 §4.2).
    pub fn read(text: &str, vacation: &Vacation, most: usize) -> Self {
        let handle = handle(vacation);
        let mut lines = text.lines();
        let is_same = lines.next().and_then(number) == Some(handle);
        let entry = |line: &str| {
            let (sender, at) = line.split_once(' ')?;
            Some((number(sender)?, at.parse().ok()?))
        };
        let told = lines.filter(|_| is_same).filter_map(entry).take(most).collect();
        Self { handle, told, most }
    }

    /// Whether a sender is to be told at a moment, in seconds since 1970.
    pub fn is_due(&self, sender: &EmailAddress, vacation: &Vacation, now: u64) -> bool {
        let sender = hash(&[&names::key(sender.as_str())]);
        let last = self.told.iter().rev().find(|(known, _)| *known == sender);
        last.is_none_or(|(_, at)| at.saturating_add(span(vacation)) <= now)
    }

    /// Remembers that a sender was told, and forgets those whose time is over, then the oldest, where there is no room.
    pub fn told(&mut self, sender: &EmailAddress, vacation: &Vacation, now: u64) {
        let sender = hash(&[&names::key(sender.as_str())]);
        let span = span(vacation);
        self.told
            .retain(|(known, at)| *known != sender && at.saturating_add(span) > now);
        while self.told.len() >= self.most.max(1) {
            self.told.pop_front();
        }
        self.told.push_back((sender, now));
    }

    /// What [`read`](Self::read) reads.
    pub fn print(&self) -> String {
        let mut text = format!("{:016x}\n", self.handle);
        for (sender, at) in &self.told {
            let _ = writeln!(text, "{sender:016x} {at}");
        }
        text
    }
}

/// The fields of RFC 2369 and RFC 2919.
const LIST_FIELDS: [&str; 7] = [
    "List-Id",
    "List-Help",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
];

/// RFC 5230 §4.5.
const RECIPIENT_FIELDS: [&str; 6] = ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"];

/// How many identifiers a References field gets beside that of the message itself.
const MOST_REFERENCES: usize = 10;

/// Whether a local part, in lower case, is one that programs have (RFC 5230 §4.6). Postmasters are people.
fn is_program(local: &str) -> bool {
    const NAMES: [&str; 9] = [
        "mailer-daemon",
        "listserv",
        "listproc",
        "majordomo",
        "mailman",
        "noreply",
        "no-reply",
        "donotreply",
        "do-not-reply",
    ];
    let base = local.split('+').next().unwrap_or(local);
    NAMES.contains(&base)
        || ["owner-", "bounces-", "bounce-"]
            .iter()
            .any(|start| local.starts_with(start))
        || [
            "-request",
            "-owner",
            "-bounces",
            "-bounce",
            "-relay",
            "-outgoing",
            "-errors",
        ]
        .iter()
        .any(|end| base.ends_with(end))
}

/// Whether an Auto-Submitted field says that a person sent the message.
fn is_no(value: &[u8]) -> bool {
    use mailwright_message::automatic::AutoSubmitted;
    matches!(AutoSubmitted::parse(value), None | Some(AutoSubmitted::No))
}

/// What can stand in a subject: theirs may hold anything, once it is decoded.
fn cleaned(subject: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    subject.chars().take(200).map(clean).collect()
}

fn span(vacation: &Vacation) -> u64 {
    u64::from(vacation.days.max(1)) * 86_400
}

fn handle(vacation: &Vacation) -> u64 {
    hash(&[vacation.subject.as_deref().unwrap_or_default(), &vacation.text])
}

fn hash(parts: &[&str]) -> u64 {
    // Each with its length: what belongs to one must not count for the next.
    let text: String = parts
        .iter()
        .map(|part| format!("{}:{part}", part.len()))
        .collect();
    let hash = digest(&SHA256, text.as_bytes());
    let first: [u8; 8] = hash.as_ref()[..8].try_into().expect("SHA-256 has 32 octets");
    u64::from_be_bytes(first)
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}
