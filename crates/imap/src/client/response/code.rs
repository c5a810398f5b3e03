//! Status responses (RFC 3501 §7.1)

use super::cursor::Cursor;
use crate::client::Capabilities;
use crate::client::reply::{Appended, Copied, Reply, ReplyCode, ReplyKind, UidList};
use crate::{Code, Flag, Flags};
use bytes::Bytes;

/// The kind that a word stands for.
pub(super) fn kind(word: &[u8]) -> Option<ReplyKind> {
    let kinds = [
        ("OK", ReplyKind::Ok),
        ("NO", ReplyKind::No),
        ("BAD", ReplyKind::Bad),
        ("BYE", ReplyKind::Bye),
        ("PREAUTH", ReplyKind::Preauth),
    ];
    kinds
        .into_iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, kind)| kind)
}

/// Reads the code and text of a status response.
pub(super) fn reply(kind: ReplyKind, c: &mut Cursor<'_>) -> Reply {
    let rest = c.spaces().rest();
    let mut code = None;
    let mut text = rest;
    if rest.first() == Some(&b'[')
        && let Some(end) = closing_bracket(rest)
    {
        let inside = c.rest_bytes().slice(1..end);
        code = Some(read_code(&inside));
        text = rest[end + 1..].trim_ascii_start();
    }
    Reply {
        kind,
        code,
        text: String::from_utf8_lossy(text).trim_end().to_owned(),
    }
}

/// Where the code ends; brackets in quoted strings do not count.
fn closing_bracket(text: &[u8]) -> Option<usize> {
    let mut in_quotes = false;
    let found = text.iter().position(|b| {
        in_quotes ^= *b == b'"';
        *b == b']' && !in_quotes
    });
    found.or_else(|| memchr::memchr(b']', text))
}

fn read_code(inside: &Bytes) -> ReplyCode {
    let mut c = Cursor::new(inside, 0);
    let start = *c.spaces();
    c.word();
    let name = c.since(&start);
    let known = known(&name, c);
    known.unwrap_or_else(|| {
        c.spaces();
        ReplyCode::Other(name.clone(), c.rest_bytes())
    })
}

fn known(name: &[u8], mut c: Cursor<'_>) -> Option<ReplyCode> {
    let mut room = [0; 20];
    let upper = room.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    let small = |n: u64| u32::try_from(n).ok();
    Some(match &*upper {
        b"CAPABILITY" => ReplyCode::Capability(Capabilities::parse(c.rest())),
        b"PERMANENTFLAGS" => {
            let (mut flags, mut open) = (Flags::new(), false);
            c.list(|c| {
                match c.word() {
                    b"\\*" => open = true,
                    b"" => return None,
                    word => flags.extend(std::str::from_utf8(word).ok().and_then(Flag::parse)),
                }
                Some(())
            })?;
            ReplyCode::PermanentFlags(flags, open)
        }
        b"READ-ONLY" => ReplyCode::ReadOnly,
        b"READ-WRITE" => ReplyCode::ReadWrite,
        b"UIDNEXT" => ReplyCode::UidNext(small(c.number()?)?.try_into().ok()?),
        b"UIDVALIDITY" => ReplyCode::UidValidity(small(c.number()?)?.try_into().ok()?),
        b"UIDNOTSTICKY" => ReplyCode::UidNotSticky,
        b"UNSEEN" => ReplyCode::Unseen(small(c.number()?)?),
        b"APPENDUID" => ReplyCode::Appended(Appended {
            uid_validity: small(c.number()?)?.try_into().ok()?,
            uids: uids(c.spaces().word())?,
        }),
        b"COPYUID" => ReplyCode::Copied(Copied {
            uid_validity: small(c.number()?)?.try_into().ok()?,
            from: uids(c.spaces().word())?,
            to: uids(c.spaces().word())?,
        }),
        b"HIGHESTMODSEQ" => ReplyCode::HighestModSeq(c.number()?),
        b"NOMODSEQ" => ReplyCode::NoModSeq,
        b"MODIFIED" => ReplyCode::Modified(uids(c.spaces().word())?.to_set()),
        b"CLOSED" => ReplyCode::Closed,
        b"MAILBOXID" => {
            c.spaces().eat(b'(');
            ReplyCode::MailboxId(c.string()?)
        }
        _ => ReplyCode::Refusal(*REFUSALS.iter().find(|code| code.as_str().as_bytes() == &*upper)?),
    })
}

/// UIDs such as `4:2,7`.
pub(super) fn uids(text: &[u8]) -> Option<UidList> {
    let number = |text: &[u8]| -> Option<u32> {
        let number = std::str::from_utf8(text).ok()?.parse().ok()?;
        (number > 0).then_some(number)
    };
    let ranges = text.split(|b| *b == b',').filter(|r| !r.is_empty()).map(|range| {
        let (from, to) = match memchr::memchr(b':', range) {
            Some(at) => (number(&range[..at])?, number(&range[at + 1..])?),
            None => (number(range)?, number(range)?),
        };
        Some(from.min(to)..=from.max(to))
    });
    let ranges: Vec<_> = ranges.collect::<Option<_>>()?;
    (!ranges.is_empty()).then_some(UidList(ranges))
}

const REFUSALS: [Code; 26] = [
    Code::Alert,
    Code::AlreadyExists,
    Code::AuthenticationFailed,
    Code::AuthorizationFailed,
    Code::Cannot,
    Code::ClientBug,
    Code::ContactAdmin,
    Code::Corruption,
    Code::Expired,
    Code::ExpungeIssued,
    Code::HasChildren,
    Code::InUse,
    Code::Limit,
    Code::NonExistent,
    Code::NoPerm,
    Code::OverQuota,
    Code::Parse,
    Code::PrivacyRequired,
    Code::ServerBug,
    Code::TooBig,
    Code::TryCreate,
    Code::Unavailable,
    Code::UseAttr,
    Code::BadUrl,
    Code::NotSaved,
    Code::UnknownCte,
];
