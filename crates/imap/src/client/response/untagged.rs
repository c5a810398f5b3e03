//! Untagged data as servers send it (RFC 3501 §7.2 to §7.4)

use super::code::uids;
use super::cursor::Cursor;
use super::fetch;
use crate::client::Mailbox;
use crate::client::data::{Data, ListRow, Namespace, Quota, SearchResult, StatusRow, ThreadNode};
use crate::data::{Status, StatusItem};
use crate::{Flag, Flags, UidSet};
use bytes::Bytes;
use std::num::NonZeroU32;

/// What an untagged response that is no status response says, and the tag of the command it names.
#[derive(Debug)]
pub(crate) enum Untagged {
    Data(Box<Data>, Option<Bytes>),
    Row(Box<fetch::Parsed>),
    Capability(crate::client::Capabilities),
}

/// Reads data behind `* `. What cannot be read is [`Data::Raw`].
pub(super) fn data(frame: &Bytes, cursor: Cursor<'_>, utf8: bool) -> Untagged {
    if let Some(parsed) = fetch::row(frame) {
        return Untagged::Row(Box::new(parsed));
    }
    let mut c = cursor;
    let word = c.spaces().word();
    if let Some(number) = std::str::from_utf8(word).ok().and_then(|w| w.parse::<u32>().ok()) {
        let data = match &*c.spaces().word().to_ascii_uppercase() {
            b"EXISTS" => Data::Exists(number),
            b"RECENT" => Data::Recent(number),
            b"EXPUNGE" if number > 0 => Data::Expunged(number),
            _ => Data::Raw(frame.clone()),
        };
        return Untagged::Data(Box::new(data), None);
    }
    let word = word.to_ascii_uppercase();
    if word == b"CAPABILITY" {
        return Untagged::Capability(crate::client::Capabilities::parse(c.rest()));
    }
    if word == b"ESEARCH"
        && let Some((result, tag)) = esearch(&mut c)
    {
        return Untagged::Data(Box::new(Data::Search(Box::new(result))), tag);
    }
    Untagged::Data(
        Box::new(named(&word, &mut c, utf8).unwrap_or_else(|| Data::Raw(frame.clone()))),
        None,
    )
}

fn named(word: &[u8], c: &mut Cursor<'_>, utf8: bool) -> Option<Data> {
    let mailbox = |c: &mut Cursor<'_>| Some(Mailbox::from_wire(&c.string()?, utf8));
    let strings = |c: &mut Cursor<'_>| {
        let mut strings = Vec::new();
        while !c.spaces().is_end() {
            strings.push(c.string()?);
        }
        Some(strings)
    };
    Some(match word {
        b"FLAGS" => {
            let mut flags = Flags::new();
            c.list(|c| {
                let word = c.word();
                flags.extend(std::str::from_utf8(word).ok().and_then(Flag::parse));
                (!word.is_empty()).then_some(())
            })?;
            Data::Flags(flags)
        }
        b"LIST" | b"XLIST" | b"LSUB" => Data::List(Box::new(list(c, word == b"LSUB", utf8)?)),
        b"STATUS" => Data::Status(Box::new(status(c, utf8)?)),
        b"SEARCH" => Data::Search(Box::new(search(c)?)),
        b"SORT" => Data::Sorted(numbers(c)?),
        b"THREAD" => Data::Threads(threads(c)?),
        b"VANISHED" => vanished(c)?,
        b"NAMESPACE" => Data::Namespaces([namespaces(c, utf8)?, namespaces(c, utf8)?, namespaces(c, utf8)?]),
        b"ENABLED" => Data::Enabled(
            c.rest()
                .split(|b| *b == b' ')
                .filter(|w| !w.is_empty())
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect(),
        ),
        b"ID" => Data::Id(id(c)?),
        b"QUOTA" => {
            let (root, mut resources) = (c.string()?, Vec::new());
            c.list(|c| {
                resources.push((c.string()?, c.number()?, c.number()?));
                Some(())
            })?;
            Data::Quota(Quota { root, resources })
        }
        b"QUOTAROOT" => Data::QuotaRoots(mailbox(c)?, strings(c)?),
        b"ACL" => {
            let mailbox = mailbox(c)?;
            let mut pairs = Vec::new();
            while !c.spaces().is_end() {
                pairs.push((c.string()?, c.string()?));
            }
            Data::Acl(mailbox, pairs)
        }
        b"LISTRIGHTS" => Data::ListRights(mailbox(c)?, c.string()?, strings(c)?),
        b"MYRIGHTS" => Data::MyRights(mailbox(c)?, c.string()?),
        b"METADATA" => Data::Metadata(mailbox(c)?, metadata(c)?),
        _ => return None,
    })
}

fn delimiter(c: &mut Cursor<'_>) -> Option<Option<char>> {
    let delimiter = c.nstring()?;
    Some(delimiter.and_then(|d| std::str::from_utf8(&d).ok()?.chars().next()))
}

fn list(c: &mut Cursor<'_>, is_lsub: bool, utf8: bool) -> Option<ListRow> {
    let mut attributes = Vec::new();
    c.list(|c| {
        let word = c.word();
        attributes.push(String::from_utf8_lossy(word).into_owned());
        (!word.is_empty()).then_some(())
    })?;
    let delimiter = delimiter(c)?;
    c.spaces();
    let mut after = *c;
    let mut wire = after.string()?;
    let is_atom = !matches!(c.peek(), Some(b'"' | b'{' | b'~'));
    let is_odd = !after.spaces().is_end() && after.peek() != Some(b'(');
    if (is_atom && is_odd) || (is_atom && c.rest().contains(&b'(') && !is_extended(after.rest())) {
        // A name with spaces or parentheses that should have been quoted.
        wire = c.rest_bytes();
        after.skip(usize::MAX);
    }
    Some(ListRow {
        mailbox: Mailbox::from_wire(&wire, utf8),
        delimiter,
        attributes,
        is_lsub,
        extended: after.rest_bytes(),
    })
}

/// Whether this is what LIST-EXTENDED says behind a name, and not a part of the name (RFC 5258 §6). The tag is a string;
/// those that are registered may come without quotes, too.
fn is_extended(rest: &[u8]) -> bool {
    let Some(tag) = rest.strip_prefix(b"(") else {
        return false;
    };
    let is = |name: &[u8]| {
        let (tag, value) = tag.split_at_checked(name.len()).unwrap_or_default();
        tag.eq_ignore_ascii_case(name) && value.starts_with(b" (")
    };
    tag.starts_with(b"\"") || is(b"CHILDINFO") || is(b"OLDNAME")
}

fn status(c: &mut Cursor<'_>, utf8: bool) -> Option<StatusRow> {
    let mailbox = match c.spaces().peek()? {
        b'"' | b'{' => c.string()?,
        _ => {
            let open = status_list(c)?;
            let name = c.rest_bytes().slice(..open);
            c.skip(open);
            name.slice(..name.trim_ascii_end().len())
        }
    };
    let mut row = StatusRow {
        mailbox: Mailbox::from_wire(&mailbox, utf8),
        status: Status::default(),
        other: Vec::new(),
    };
    c.list(|c| {
        let start = *c;
        c.word();
        let name = c.since(&start);
        let start = *c.spaces();
        if let Some(item) = StatusItem::parse(&name)
            && let Some(number) = c.number()
            && set(&mut row.status, item, number)
        {
            return Some(());
        }
        *c = start;
        c.skip_value()?;
        row.other.push((name, c.since(&start)));
        Some(())
    })?;
    Some(row)
}

/// Where the list of items begins: it is the last thing, so that a name with parentheses cannot hide it.
fn status_list(c: &Cursor<'_>) -> Option<usize> {
    const MOST_TRIED: usize = 16;
    let opens = memchr::memchr_iter(b'(', c.rest()).take(MOST_TRIED);
    let ends_all = |open: &usize| {
        let mut list = *c;
        list.skip(*open);
        list.skip_value().is_some() && list.spaces().is_end()
    };
    opens.into_iter().find(ends_all)
}

/// Puts a STATUS item where it belongs, if it has a place and fits.
fn set(status: &mut Status, item: StatusItem, number: u64) -> bool {
    let small = u32::try_from(number).ok();
    let nonzero = small.and_then(NonZeroU32::new);
    match item {
        StatusItem::Messages => status.messages = small,
        StatusItem::Recent => status.recent = small,
        StatusItem::UidNext => status.uid_next = nonzero,
        StatusItem::UidValidity => status.uid_validity = nonzero,
        StatusItem::Unseen => status.unseen = small,
        StatusItem::Deleted => status.deleted = small,
        StatusItem::Size => status.size = Some(number),
        StatusItem::DeletedStorage => status.deleted_storage = Some(number),
        StatusItem::HighestModSeq => status.highest_mod_seq = Some(number).filter(|n| *n > 0),
        StatusItem::AppendLimit => status.append_limit = Some(number),
        // It is no number.
        StatusItem::MailboxId => return false,
    }
    true
}

fn numbers(c: &mut Cursor<'_>) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    while !matches!(c.spaces().peek(), None | Some(b'(')) {
        numbers.push(u32::try_from(c.number()?).ok()?);
    }
    Some(numbers)
}

fn search(c: &mut Cursor<'_>) -> Option<SearchResult> {
    let numbers = numbers(c)?;
    let mut result = SearchResult {
        all: UidSet::from_ranges(numbers.into_iter().map(|n| n..=n)),
        ..SearchResult::default()
    };
    if c.eat(b'(') && c.word().eq_ignore_ascii_case(b"MODSEQ") {
        result.mod_seq = c.number();
    }
    Some(result)
}

fn esearch(c: &mut Cursor<'_>) -> Option<(SearchResult, Option<Bytes>)> {
    let (mut result, mut tag) = (SearchResult::default(), None);
    c.spaces();
    if c.peek() == Some(b'(') {
        c.list(|c| {
            match c.word().eq_ignore_ascii_case(b"TAG") {
                true => tag = c.nstring()?,
                false => c.skip_value()?,
            }
            Some(())
        })?;
    }
    while !c.spaces().is_end() {
        let small = |c: &mut Cursor<'_>| u32::try_from(c.number()?).ok();
        match &*c.word().to_ascii_uppercase() {
            b"UID" => result.uid = true,
            b"MIN" => result.min = Some(small(c)?),
            b"MAX" => result.max = Some(small(c)?),
            b"COUNT" => result.count = Some(small(c)?),
            b"MODSEQ" => result.mod_seq = Some(c.number()?),
            b"ALL" => result.put(uids(c.spaces().word())?),
            b"PARTIAL" => {
                c.spaces();
                c.eat(b'(');
                result.page = Some(c.string()?);
                if let Some(set) = c.nstring()? {
                    result.put(uids(&set)?);
                }
                c.spaces().eat(b')');
            }
            b"" => return None,
            _ => c.skip_value()?,
        }
    }
    Some((result, tag))
}

fn threads(c: &mut Cursor<'_>) -> Option<Vec<ThreadNode>> {
    let mut nodes = Vec::new();
    // How deep each open parenthesis began.
    let mut open: Vec<u32> = Vec::new();
    let (mut depth, mut fresh) = (0, false);
    while !c.spaces().is_end() {
        if c.eat(b'(') {
            if fresh {
                // `((1)(2))`: answers to a message that is not there.
                nodes.push(ThreadNode { depth, message: None });
                depth += 1;
            }
            open.push(depth);
            fresh = true;
        } else if c.eat(b')') {
            depth = open.pop()?;
            fresh = false;
        } else {
            let message = NonZeroU32::new(u32::try_from(c.number()?).ok()?)?;
            nodes.push(ThreadNode {
                depth,
                message: Some(message),
            });
            depth += 1;
            fresh = false;
        }
    }
    open.is_empty().then_some(nodes)
}

fn vanished(c: &mut Cursor<'_>) -> Option<Data> {
    let mut earlier = false;
    if c.spaces().eat(b'(') {
        earlier = c.word().eq_ignore_ascii_case(b"EARLIER");
        c.spaces().eat(b')');
    }
    let uids = uids(c.spaces().word())?.to_set();
    Some(Data::Vanished { earlier, uids })
}

fn namespaces(c: &mut Cursor<'_>, utf8: bool) -> Option<Vec<Namespace>> {
    let mut list = Vec::new();
    c.spaces();
    if c.is_end() || c.eat_nil() {
        return Some(list);
    }
    c.list(|c| {
        if !c.eat(b'(') {
            return None;
        }
        let prefix = Mailbox::from_wire(&c.string()?, utf8);
        list.push(Namespace {
            prefix,
            delimiter: delimiter(c)?,
        });
        while !c.spaces().eat(b')') {
            c.skip_value()?;
        }
        Some(())
    })?;
    Some(list)
}

fn id(c: &mut Cursor<'_>) -> Option<Vec<(String, Option<String>)>> {
    let mut fields = Vec::new();
    c.spaces();
    if c.eat_nil() {
        return Some(fields);
    }
    let text = |octets: Bytes| String::from_utf8_lossy(&octets).into_owned();
    c.list(|c| {
        fields.push((text(c.string()?), c.nstring()?.map(text)));
        Some(())
    })?;
    Some(fields)
}

fn metadata(c: &mut Cursor<'_>) -> Option<Vec<(Bytes, Option<Bytes>)>> {
    let mut entries = Vec::new();
    if c.spaces().peek() == Some(b'(') {
        c.list(|c| {
            entries.push((c.string()?, c.nstring()?));
            Some(())
        })?;
    } else {
        while !c.spaces().is_end() {
            entries.push((c.string()?, None));
        }
    }
    Some(entries)
}
