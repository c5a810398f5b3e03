//! Parsing commands (RFC 3501 §9)

use super::cursor::{Cursor, ParseError, Result, is_astring_char, is_list_char};
use super::{Body, Command, ListOptions, ReturnOptions, SearchKey};
use crate::data::{Alias, BodyItem, FetchItem, Partial, Section, SectionText, SpecialUse, StatusItem};
use crate::{Date, DateTime, Flag, Keyword, StoreAction};
use bytes::Bytes;
use mailwright_sasl::Secret;

/// Commands in the order of their names, with what parses their arguments.
type Arguments = fn(&mut Cursor<'_>, usize) -> Result<Body>;

const COMMANDS: &[(&str, Arguments)] = &[
    ("APPEND", |c, _| append(c)),
    ("AUTHENTICATE", |c, _| authenticate(c)),
    ("CAPABILITY", |_, _| Ok(Body::Capability)),
    ("CHECK", |_, _| Ok(Body::Check)),
    ("CLOSE", |_, _| Ok(Body::Close)),
    ("COPY", |c, _| copy(c, false, false)),
    ("CREATE", |c, _| create(c)),
    ("DELETE", |c, _| mailbox(c).map(Body::Delete)),
    ("ENABLE", |c, _| enable(c)),
    ("EXAMINE", |c, _| mailbox(c).map(Body::Examine)),
    ("EXPUNGE", |_, _| Ok(Body::Expunge(None))),
    ("FETCH", |c, _| fetch(c, false)),
    ("ID", |c, _| id(c)),
    ("IDLE", |_, _| Ok(Body::Idle)),
    ("LIST", |c, _| list(c)),
    ("LOGIN", |c, _| login(c)),
    ("LOGOUT", |_, _| Ok(Body::Logout)),
    ("LSUB", |c, _| lsub(c)),
    ("MOVE", |c, _| copy(c, false, true)),
    ("NAMESPACE", |_, _| Ok(Body::Namespace)),
    ("NOOP", |_, _| Ok(Body::Noop)),
    ("RENAME", |c, _| rename(c)),
    ("SEARCH", |c, depth| search(c, false, depth)),
    ("SELECT", |c, _| mailbox(c).map(Body::Select)),
    ("STARTTLS", |_, _| Ok(Body::StartTls)),
    ("STATUS", |c, _| status(c)),
    ("STORE", |c, _| store(c, false)),
    ("SUBSCRIBE", |c, _| mailbox(c).map(Body::Subscribe)),
    ("UID", uid),
    ("UNSELECT", |_, _| Ok(Body::Unselect)),
    ("UNSUBSCRIBE", |c, _| mailbox(c).map(Body::Unsubscribe)),
];

impl Command {
    /// Parses a whole command, without its final CRLF. Search keys may nest `max_depth` deep.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if it does not follow the grammar, or if the command is not known.
    pub fn parse(frame: &Bytes, max_depth: usize) -> std::result::Result<Self, ParseError> {
        let mut c = Cursor::new(frame);
        let tag = tag(&mut c)?;
        c.sp()?;
        let verb = c.atom()?;
        let Some((_, arguments)) = COMMANDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(verb)) else {
            return c.fail("the command is not known");
        };
        let body = arguments(&mut c, max_depth)?;
        c.end()?;
        Ok(Self { tag, body })
    }
}

/// The tag of a frame that need not be complete or well-formed otherwise.
pub(crate) fn tag_of(frame: &Bytes) -> Option<Bytes> {
    let mut c = Cursor::new(frame);
    let tag = tag(&mut c).ok()?;
    (c.at_end() || c.peek() == Some(b' ')).then_some(tag)
}

/// Whether what stands before a literal is the head of an APPEND, whose literal is the message.
///
/// `Ok(None)` if it is another command, or if the literal can only be the mailbox's name.
pub(crate) fn append_head(head: &Bytes) -> Result<Option<Command>> {
    let mut c = Cursor::new(head);
    let Ok(tag) = tag(&mut c) else { return Ok(None) };
    if !c.eat(b' ') || !c.eat_word("APPEND") || c.rest() == b" " {
        return Ok(None);
    }
    let body = append(&mut c)?;
    if !c.at_end() {
        return c.fail("there is more than the command takes");
    }
    Ok(Some(Command { tag, body }))
}

fn tag(c: &mut Cursor<'_>) -> Result<Bytes> {
    let tag = c.take_while(|b| b != b'+' && is_astring_char(b));
    if tag.is_empty() {
        return c.fail("the tag is missing");
    }
    Ok(c.slice(tag))
}

fn mailbox(c: &mut Cursor<'_>) -> Result<Bytes> {
    c.sp()?;
    c.astring()
}

fn append(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    c.sp()?;
    let mut flags = Default::default();
    if c.peek() == Some(b'(') {
        flags = c.flag_list()?;
        c.sp()?;
    }
    let mut internal_date = None;
    if c.peek() == Some(b'"') {
        let text = c.string()?;
        internal_date = match DateTime::parse(&text) {
            None => return c.fail("a date is malformed"),
            some => some,
        };
        c.sp()?;
    }
    Ok(Body::Append {
        mailbox,
        flags,
        internal_date,
    })
}

fn authenticate(c: &mut Cursor<'_>) -> Result<Body> {
    c.sp()?;
    let mechanism = c.atom()?;
    let mechanism = c.slice(mechanism.as_bytes());
    let mut initial = None;
    if c.eat(b' ') && !c.at_end() {
        let text = c.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        initial = Some(Secret::new(text.to_vec()));
    }
    Ok(Body::Authenticate { mechanism, initial })
}

fn login(c: &mut Cursor<'_>) -> Result<Body> {
    c.sp()?;
    let username = c.astring()?;
    c.sp()?;
    let password = c.astring()?;
    Ok(Body::Login {
        username,
        password: Secret::new(password.into()),
    })
}

fn enable(c: &mut Cursor<'_>) -> Result<Body> {
    let mut names = Vec::new();
    while c.eat(b' ') && !c.at_end() {
        let name = c.atom()?;
        names.push(c.slice(name.as_bytes()));
    }
    if names.is_empty() {
        return c.fail("a capability is missing");
    }
    Ok(Body::Enable(names))
}

fn id(c: &mut Cursor<'_>) -> Result<Body> {
    c.sp()?;
    let mut fields = Vec::new();
    if c.eat_word("NIL") {
        return Ok(Body::Id(fields));
    }
    c.expect(b'(', "a list is missing")?;
    while !c.eat(b')') {
        if !fields.is_empty() {
            c.sp()?;
        }
        let name = c.string()?;
        c.sp()?;
        fields.push((name, c.nstring()?));
    }
    Ok(Body::Id(fields))
}

fn create(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    let mut special_use = Vec::new();
    if c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        if !c.eat_word("USE") {
            return c.fail("a parameter is not known");
        }
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        while !c.eat(b')') {
            if !special_use.is_empty() {
                c.sp()?;
            }
            c.expect(b'\\', "a special use is missing")?;
            let name = c.atom()?;
            match SpecialUse::parse(&format!("\\{name}")) {
                Some(name) => special_use.push(name),
                None => return c.fail("a special use is not known"),
            }
        }
        c.expect(b')', "a list is not closed")?;
    }
    Ok(Body::Create { mailbox, special_use })
}

fn rename(c: &mut Cursor<'_>) -> Result<Body> {
    let from = mailbox(c)?;
    let to = mailbox(c)?;
    Ok(Body::Rename { from, to })
}

fn pattern(c: &mut Cursor<'_>) -> Result<Bytes> {
    if matches!(c.peek(), Some(b'"' | b'{')) {
        return c.string();
    }
    let text = c.take_while(is_list_char);
    if text.is_empty() {
        return c.fail("a pattern is missing");
    }
    Ok(c.slice(text))
}

fn lsub(c: &mut Cursor<'_>) -> Result<Body> {
    let reference = mailbox(c)?;
    c.sp()?;
    let pattern = pattern(c)?;
    Ok(Body::Lsub { reference, pattern })
}

fn list(c: &mut Cursor<'_>) -> Result<Body> {
    c.sp()?;
    let mut options = None;
    if c.eat(b'(') {
        let chosen = options.get_or_insert_with(ListOptions::default);
        words(c, |c| {
            match () {
                () if c.eat_word("SUBSCRIBED") => chosen.subscribed = true,
                () if c.eat_word("RECURSIVEMATCH") => chosen.recursive = true,
                () if c.eat_word("SPECIAL-USE") => chosen.special_use = true,
                // There are no remote mailboxes here: asking for them as well changes nothing.
                () if c.eat_word("REMOTE") => {}
                () => return c.fail("an option is not known"),
            }
            Ok(())
        })?;
        // RFC 5258 §3.1: RECURSIVEMATCH needs something to match on.
        if chosen.recursive && !chosen.subscribed && !chosen.special_use {
            return c.fail("RECURSIVEMATCH needs another option");
        }
        c.sp()?;
    }
    let reference = c.astring()?;
    c.sp()?;
    let mut patterns = Vec::new();
    if c.eat(b'(') {
        options.get_or_insert_with(ListOptions::default);
        words(c, |c| {
            patterns.push(pattern(c)?);
            Ok(())
        })?;
    } else {
        patterns.push(pattern(c)?);
    }
    if c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        if !c.eat_word("RETURN") {
            return c.fail("RETURN is missing");
        }
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        let chosen = options.get_or_insert_with(ListOptions::default);
        words(c, |c| {
            match () {
                () if c.eat_word("SUBSCRIBED") => chosen.return_subscribed = true,
                () if c.eat_word("CHILDREN") => chosen.return_children = true,
                () if c.eat_word("SPECIAL-USE") => chosen.return_special_use = true,
                () if c.eat_word("STATUS") => {
                    c.sp()?;
                    chosen.return_status = status_items(c)?;
                }
                () => return c.fail("an option is not known"),
            }
            Ok(())
        })?;
    }
    Ok(Body::List {
        reference,
        patterns,
        options,
    })
}

/// The rest of a list whose opening parenthesis was taken: items separated by spaces.
fn words(c: &mut Cursor<'_>, mut item: impl FnMut(&mut Cursor<'_>) -> Result<()>) -> Result<()> {
    if c.eat(b')') {
        return Ok(());
    }
    loop {
        item(c)?;
        if c.eat(b')') {
            return Ok(());
        }
        c.sp()?;
    }
}

fn status(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    c.sp()?;
    let items = status_items(c)?;
    Ok(Body::Status { mailbox, items })
}

fn status_items(c: &mut Cursor<'_>) -> Result<Vec<StatusItem>> {
    let mut items = Vec::new();
    c.expect(b'(', "a list is missing")?;
    words(c, |c| match StatusItem::parse(c.atom()?.as_bytes()) {
        Some(item) if items.contains(&item) => Ok(()),
        Some(item) => {
            items.push(item);
            Ok(())
        }
        None => c.fail("a status item is not known"),
    })?;
    if items.is_empty() {
        return c.fail("a status item is missing");
    }
    Ok(items)
}

fn uid(c: &mut Cursor<'_>, max_depth: usize) -> Result<Body> {
    c.sp()?;
    match () {
        () if c.eat_word("FETCH") => fetch(c, true),
        () if c.eat_word("STORE") => store(c, true),
        () if c.eat_word("SEARCH") => search(c, true, max_depth),
        () if c.eat_word("COPY") => copy(c, true, false),
        () if c.eat_word("MOVE") => copy(c, true, true),
        () if c.eat_word("EXPUNGE") => {
            c.sp()?;
            c.sequence_set().map(|set| Body::Expunge(Some(set)))
        }
        () => c.fail("the command is not known"),
    }
}

fn copy(c: &mut Cursor<'_>, uid: bool, moving: bool) -> Result<Body> {
    c.sp()?;
    let set = c.sequence_set()?;
    let mailbox = mailbox(c)?;
    Ok(Body::Copy {
        uid,
        moving,
        set,
        mailbox,
    })
}

fn store(c: &mut Cursor<'_>, uid: bool) -> Result<Body> {
    c.sp()?;
    let set = c.sequence_set()?;
    c.sp()?;
    let action = match c.peek() {
        Some(b'+') => StoreAction::Add,
        Some(b'-') => StoreAction::Remove,
        _ => StoreAction::Replace,
    };
    if action != StoreAction::Replace {
        c.expect(b'+', "")
            .or_else(|_| c.expect(b'-', "FLAGS is missing"))?;
    }
    let silent = match () {
        () if c.eat_word("FLAGS") => false,
        () if c.eat_word("FLAGS.SILENT") => true,
        () => return c.fail("FLAGS is missing"),
    };
    c.sp()?;
    let flags = if c.peek() == Some(b'(') {
        c.flag_list()?
    } else {
        c.flags()?
    };
    Ok(Body::Store {
        uid,
        set,
        action,
        silent,
        flags,
    })
}

fn fetch(c: &mut Cursor<'_>, uid: bool) -> Result<Body> {
    c.sp()?;
    let set = c.sequence_set()?;
    c.sp()?;
    let (mut items, mut with_uid) = (Vec::new(), uid);
    let mut add = |item: Option<FetchItem>| match item {
        None => with_uid = true,
        Some(item) if items.contains(&item) => {}
        Some(item) => items.push(item),
    };
    if c.eat(b'(') {
        words(c, |c| {
            add(fetch_item(c)?);
            Ok(())
        })?;
        if items.is_empty() && !with_uid {
            return c.fail("a data item is missing");
        }
    } else {
        use FetchItem as F;
        let fast = [F::Flags, F::InternalDate, F::Size];
        match () {
            () if c.eat_word("FAST") => fast.map(Some).into_iter().for_each(add),
            () if c.eat_word("ALL") => fast.into_iter().chain([F::Envelope]).map(Some).for_each(add),
            () if c.eat_word("FULL") => {
                fast.into_iter()
                    .chain([F::Envelope, F::Body])
                    .map(Some)
                    .for_each(add);
            }
            () => add(fetch_item(c)?),
        }
    }
    Ok(Body::Fetch {
        uid,
        set,
        items,
        with_uid,
    })
}

/// One item; `None` for UID.
fn fetch_item(c: &mut Cursor<'_>) -> Result<Option<FetchItem>> {
    let alias = |section: SectionText, peek, alias| {
        let section = Section {
            part: Vec::new(),
            text: section,
        };
        let mut item = BodyItem::new(section, None, peek);
        item.alias = Some(alias);
        Ok(Some(FetchItem::Section(item)))
    };
    let name = c.take_while(|b| b.is_ascii_alphanumeric() || b == b'.');
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    let item = match () {
        () if is("BODY.PEEK") => return body_item(c, true).map(Some),
        () if is("BODY") && c.peek() == Some(b'[') => return body_item(c, false).map(Some),
        () if is("RFC822") => return alias(SectionText::All, false, Alias::Rfc822),
        () if is("RFC822.HEADER") => return alias(SectionText::Header, true, Alias::Rfc822Header),
        () if is("RFC822.TEXT") => return alias(SectionText::Text, false, Alias::Rfc822Text),
        () if is("UID") => return Ok(None),
        () if is("FLAGS") => FetchItem::Flags,
        () if is("INTERNALDATE") => FetchItem::InternalDate,
        () if is("RFC822.SIZE") => FetchItem::Size,
        () if is("ENVELOPE") => FetchItem::Envelope,
        () if is("BODY") => FetchItem::Body,
        () if is("BODYSTRUCTURE") => FetchItem::BodyStructure,
        () => return c.fail("a data item is not known"),
    };
    Ok(Some(item))
}

fn body_item(c: &mut Cursor<'_>, peek: bool) -> Result<FetchItem> {
    c.expect(b'[', "a section is missing")?;
    let mut section = Section::default();
    while c.peek().is_some_and(|b| b.is_ascii_digit()) {
        section.part.push(c.nz_number()?);
        if c.peek() == Some(b']') {
            break;
        }
        c.expect(b'.', "a section is malformed")?;
    }
    if c.peek() != Some(b']') {
        let name = c.take_while(|b| b.is_ascii_alphabetic() || b == b'.');
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        section.text = match () {
            () if is("HEADER") => SectionText::Header,
            () if is("HEADER.FIELDS") => SectionText::HeaderFields(header_list(c)?),
            () if is("HEADER.FIELDS.NOT") => SectionText::HeaderFieldsNot(header_list(c)?),
            () if is("TEXT") => SectionText::Text,
            () if is("MIME") && !section.part.is_empty() => SectionText::Mime,
            () => return c.fail("a section is not known"),
        };
    }
    c.expect(b']', "a section is not closed")?;
    let mut partial = None;
    if c.eat(b'<') {
        let start = c.number()?;
        c.expect(b'.', "a partial range is malformed")?;
        let len = c.nz_number()?;
        c.expect(b'>', "a partial range is malformed")?;
        partial = Some(Partial { start, len });
    }
    Ok(FetchItem::Section(BodyItem::new(section, partial, peek)))
}

fn header_list(c: &mut Cursor<'_>) -> Result<Vec<Bytes>> {
    let mut names = Vec::new();
    c.sp()?;
    c.expect(b'(', "a list is missing")?;
    words(c, |c| {
        names.push(c.astring()?);
        Ok(())
    })?;
    if names.is_empty() {
        return c.fail("a header field is missing");
    }
    Ok(names)
}

fn search(c: &mut Cursor<'_>, uid: bool, max_depth: usize) -> Result<Body> {
    c.sp()?;
    let mut returns = None;
    if c.eat_word("RETURN") {
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        let chosen = returns.get_or_insert_with(ReturnOptions::default);
        words(c, |c| {
            match () {
                () if c.eat_word("MIN") => chosen.min = true,
                () if c.eat_word("MAX") => chosen.max = true,
                () if c.eat_word("ALL") => chosen.all = true,
                () if c.eat_word("COUNT") => chosen.count = true,
                () => return c.fail("an option is not known"),
            }
            Ok(())
        })?;
        c.sp()?;
    }
    let mut charset = None;
    if c.eat_word("CHARSET") {
        c.sp()?;
        charset = Some(c.astring()?);
        c.sp()?;
    }
    let mut keys = vec![search_key(c, max_depth)?];
    while c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        keys.push(search_key(c, max_depth)?);
    }
    Ok(Body::Search {
        uid,
        returns,
        charset,
        keys,
    })
}

fn search_key(c: &mut Cursor<'_>, depth: usize) -> Result<SearchKey> {
    let Some(depth) = depth.checked_sub(1) else {
        return c.fail("search keys are nested too deep");
    };
    if c.eat(b'(') {
        let mut keys = Vec::new();
        words(c, |c| {
            keys.push(search_key(c, depth)?);
            Ok(())
        })?;
        return if keys.is_empty() {
            c.fail("a search key is missing")
        } else {
            Ok(SearchKey::And(keys))
        };
    }
    if c.peek().is_some_and(|b| b.is_ascii_digit() || b == b'*') {
        return c.sequence_set().map(SearchKey::Sequence);
    }
    let name = c.atom()?;
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    let header = |c: &mut Cursor<'_>, field: &'static str| {
        let name = Bytes::from_static(field.as_bytes());
        Ok(SearchKey::Header(name, argument(c)?))
    };
    use SearchKey as K;
    Ok(match () {
        () if is("ALL") => K::All,
        () if is("NEW") => K::New,
        () if is("OLD") => K::Old,
        () if is("RECENT") => K::Recent,
        () if is("ANSWERED") => K::Has(Flag::Answered),
        () if is("DELETED") => K::Has(Flag::Deleted),
        () if is("DRAFT") => K::Has(Flag::Draft),
        () if is("FLAGGED") => K::Has(Flag::Flagged),
        () if is("SEEN") => K::Has(Flag::Seen),
        () if is("KEYWORD") => K::Has(keyword(c)?),
        () if is("UNANSWERED") => K::Lacks(Flag::Answered),
        () if is("UNDELETED") => K::Lacks(Flag::Deleted),
        () if is("UNDRAFT") => K::Lacks(Flag::Draft),
        () if is("UNFLAGGED") => K::Lacks(Flag::Flagged),
        () if is("UNSEEN") => K::Lacks(Flag::Seen),
        () if is("UNKEYWORD") => K::Lacks(keyword(c)?),
        () if is("BEFORE") => K::Before(date(c)?),
        () if is("ON") => K::On(date(c)?),
        () if is("SINCE") => K::Since(date(c)?),
        () if is("SENTBEFORE") => K::SentBefore(date(c)?),
        () if is("SENTON") => K::SentOn(date(c)?),
        () if is("SENTSINCE") => K::SentSince(date(c)?),
        () if is("LARGER") => K::Larger(size(c)?),
        () if is("SMALLER") => K::Smaller(size(c)?),
        () if is("BCC") => header(c, "Bcc")?,
        () if is("CC") => header(c, "Cc")?,
        () if is("FROM") => header(c, "From")?,
        () if is("SUBJECT") => header(c, "Subject")?,
        () if is("TO") => header(c, "To")?,
        () if is("HEADER") => {
            let field = argument(c)?;
            K::Header(field, argument(c)?)
        }
        () if is("BODY") => K::Body(argument(c)?),
        () if is("TEXT") => K::Text(argument(c)?),
        () if is("UID") => {
            c.sp()?;
            K::Uid(c.sequence_set()?)
        }
        () if is("NOT") => {
            c.sp()?;
            K::Not(Box::new(search_key(c, depth)?))
        }
        () if is("OR") => {
            c.sp()?;
            let left = search_key(c, depth)?;
            c.sp()?;
            K::Or(Box::new(left), Box::new(search_key(c, depth)?))
        }
        () => return c.fail("a search key is not known"),
    })
}

fn argument(c: &mut Cursor<'_>) -> Result<Bytes> {
    c.sp()?;
    c.astring()
}

fn size(c: &mut Cursor<'_>) -> Result<u64> {
    c.sp()?;
    c.number64()
}

fn keyword(c: &mut Cursor<'_>) -> Result<Flag> {
    c.sp()?;
    match Keyword::new(c.atom()?) {
        Some(keyword) => Ok(Flag::Keyword(keyword)),
        None => c.fail("a keyword is malformed"),
    }
}

fn date(c: &mut Cursor<'_>) -> Result<Date> {
    match Date::parse(&argument(c)?) {
        Some(date) => Ok(date),
        None => c.fail("a date is malformed"),
    }
}
