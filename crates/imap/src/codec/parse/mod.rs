//! Parsing commands (RFC 3501 §9)

mod acl;
mod append;
mod apple_push;
mod fetch;
mod mailboxes;
mod metadata;
mod notify;
mod quota;
mod search;
mod select;
mod sort;

use super::cursor::{Cursor, ParseError, Result, is_astring_char, is_atom_char};
use super::{Body, Command};
use crate::StoreAction;
pub(crate) use append::{AppendHead, AppendParser, AppendToken, Form};
use append::{append, replace};
use bytes::Bytes;
use fetch::fetch;
use mailboxes::{create, list, lsub, status};
use mailwright_sasl::Secret;
use search::search;
use select::select;

/// Parses the arguments of a command.
type Arguments = fn(&mut Cursor<'_>, usize) -> Result<Body>;

/// In the order of their names.
const COMMANDS: &[(&str, Arguments)] = &[
    ("APPEND", |c, _| append(c)),
    ("AUTHENTICATE", |c, _| authenticate(c)),
    ("CAPABILITY", |_, _| Ok(Body::Capability)),
    ("CHECK", |_, _| Ok(Body::Check)),
    ("CLOSE", |_, _| Ok(Body::Close)),
    ("COMPRESS", |c, _| compress(c)),
    ("COPY", |c, _| copy(c, false, false)),
    ("CREATE", |c, _| create(c)),
    ("DELETE", |c, _| mailbox(c).map(Body::Delete)),
    ("DELETEACL", |c, _| acl::delete(c)),
    ("ENABLE", |c, _| enable(c)),
    ("ESEARCH", sort::esearch),
    ("EXAMINE", |c, _| select(c, true)),
    ("EXPUNGE", |_, _| Ok(Body::Expunge(None))),
    ("FETCH", |c, _| fetch(c, false)),
    ("GETACL", |c, _| acl::get(c)),
    ("GETMETADATA", |c, _| metadata::get(c)),
    ("GETQUOTA", |c, _| quota::get(c)),
    ("GETQUOTAROOT", |c, _| quota::roots(c)),
    ("ID", |c, _| id(c)),
    ("IDLE", |_, _| Ok(Body::Idle)),
    ("LIST", |c, _| list(c)),
    ("LISTRIGHTS", |c, _| acl::list(c)),
    ("LOGIN", |c, _| login(c)),
    ("LOGOUT", |_, _| Ok(Body::Logout)),
    ("LSUB", |c, _| lsub(c)),
    ("MOVE", |c, _| copy(c, false, true)),
    ("MYRIGHTS", |c, _| acl::mine(c)),
    ("NAMESPACE", |_, _| Ok(Body::Namespace)),
    ("NOOP", |_, _| Ok(Body::Noop)),
    ("NOTIFY", |c, _| notify::notify(c)),
    ("RENAME", |c, _| rename(c)),
    ("REPLACE", |c, _| replace(c, false)),
    ("SEARCH", |c, depth| search(c, false, depth)),
    ("SELECT", |c, _| select(c, false)),
    ("SETACL", |c, _| acl::set(c)),
    ("SETMETADATA", |c, _| metadata::set(c)),
    ("SETQUOTA", |c, _| quota::set(c)),
    ("SORT", |c, depth| sort::sort(c, false, depth)),
    ("STARTTLS", |_, _| Ok(Body::StartTls)),
    ("STATUS", |c, _| status(c)),
    ("STORE", |c, _| store(c, false)),
    ("SUBSCRIBE", |c, _| mailbox(c).map(Body::Subscribe)),
    ("THREAD", |c, depth| sort::thread(c, false, depth)),
    ("UID", uid),
    ("UNAUTHENTICATE", |_, _| Ok(Body::Unauthenticate)),
    ("UNSELECT", |_, _| Ok(Body::Unselect)),
    ("UNSUBSCRIBE", |c, _| mailbox(c).map(Body::Unsubscribe)),
    ("XAPPLEPUSHSERVICE", |c, _| apple_push::apple_push(c)),
];

/// A name in upper case as numbers, in whose order names are: to find one takes no call for each that it is not.
type Word = [u64; 3];

/// [`COMMANDS`], to be searched.
static WORDS: [Word; COMMANDS.len()] = {
    let mut words = [[0; 3]; COMMANDS.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = known(COMMANDS[at].0);
        at += 1;
    }
    words
};

/// `None` if the name is longer than any there is.
const fn word(name: &[u8]) -> Option<Word> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let mut octets = [0; 24];
    octets.split_at_mut(name.len()).0.copy_from_slice(name);
    octets.make_ascii_uppercase();
    let ([a, b, c], []) = octets.as_chunks::<8>() else {
        return None;
    };
    let word = [
        u64::from_be_bytes(*a),
        u64::from_be_bytes(*b),
        u64::from_be_bytes(*c),
    ];
    Some(word)
}

/// A name there is.
const fn known(name: &str) -> Word {
    match word(name.as_bytes()) {
        Some(word) => word,
        None => panic!("the name is too long"),
    }
}

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
        let verb = c.take_while(is_atom_char);
        if verb.is_empty() {
            return c.fail("an atom is missing");
        }
        let known = word(verb).and_then(|word| WORDS.binary_search(&word).ok());
        let Some((_, arguments)) = known.and_then(|at| COMMANDS.get(at)) else {
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

fn compress(c: &mut Cursor<'_>) -> Result<Body> {
    c.sp()?;
    let algorithm = c.atom()?;
    Ok(Body::Compress(c.slice(algorithm.as_bytes())))
}

fn rename(c: &mut Cursor<'_>) -> Result<Body> {
    let from = mailbox(c)?;
    let to = mailbox(c)?;
    Ok(Body::Rename { from, to })
}

fn uid(c: &mut Cursor<'_>, max_depth: usize) -> Result<Body> {
    c.sp()?;
    match () {
        () if c.eat_word("FETCH") => fetch(c, true),
        () if c.eat_word("STORE") => store(c, true),
        () if c.eat_word("SEARCH") => search(c, true, max_depth),
        () if c.eat_word("SORT") => sort::sort(c, true, max_depth),
        () if c.eat_word("THREAD") => sort::thread(c, true, max_depth),
        () if c.eat_word("COPY") => copy(c, true, false),
        () if c.eat_word("MOVE") => copy(c, true, true),
        () if c.eat_word("REPLACE") => replace(c, true),
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
    let mut unchanged_since = None;
    if c.eat(b'(') {
        if !c.eat_word("UNCHANGEDSINCE") {
            return c.fail("a modifier is not known");
        }
        c.sp()?;
        unchanged_since = Some(c.mod_seq()?);
        c.expect(b')', "a list is not closed")?;
        c.sp()?;
    }
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
        unchanged_since,
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

/// A name in upper case, to look it up; `None` if it is longer than any there is.
fn upper_case<'a>(name: &[u8], buffer: &'a mut [u8; LONGEST_NAME]) -> Option<&'a [u8]> {
    let upper = buffer.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    Some(upper)
}

/// No command, data item or search key has a longer name.
const LONGEST_NAME: usize = 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found() {
        assert!(COMMANDS.is_sorted_by_key(|(name, _)| name));
        assert!(COMMANDS.iter().all(|(name, _)| name.len() <= LONGEST_NAME));
        let mut buffer = [0; LONGEST_NAME];
        assert_eq!(upper_case(b"body.Peek", &mut buffer), Some(&b"BODY.PEEK"[..]));
        assert_eq!(upper_case(&[b'x'; LONGEST_NAME + 1], &mut buffer), None);
    }
}
