//! Address lists (RFC 5322 §3.4, §4.4; RFC 6854)

use mailwright_address::EmailAddress;

use crate::lex::{Token, Tokens, unquote_into};
use crate::{charset, encoded_word};

/// A member of an address list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 5322 §3.4: an address is a mailbox or a group
pub enum Address {
    /// One mailbox.
    Mailbox(Mailbox),
    /// A named list of mailboxes.
    Group(Group),
}

/// A named list of mailboxes, often empty: `undisclosed-recipients:;`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// The display name, decoded.
    pub name: String,
    /// Its members.
    pub mailboxes: Vec<Mailbox>,
}

/// A mailbox as a header has it: perhaps not one that mail can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Mailbox {
    /// The display name, decoded; for an address without one, the comment behind it.
    pub name: Option<String>,
    /// The obsolete source route, `@a.example,@b.example`.
    pub route: Option<String>,
    /// The local part. One that was quoted still is.
    pub local_part: String,
    /// The domain or literal; empty when the header gave none.
    pub domain: String,
}

impl Mailbox {
    /// The address, if mail can be sent to it.
    pub fn address(&self) -> Option<EmailAddress> {
        EmailAddress::parse(&format!("{}@{}", self.local_part, self.domain)).ok()
    }
}

/// Reads an address list, and whatever stands in its place.
///
/// Obsolete forms are read with their meaning: empty members, routes, white space and comments between all
/// tokens, full stops in phrases. Of forms that are in no RFC, it understands a name without angle brackets
/// before an address, words behind an address, missing closing brackets and semicolons, and 8-bit text.
///
/// ```
/// use mailwright_message::address_list::{self, Address};
/// let list = address_list::parse(b"Joe Q. Public <john.q.public@example.com>, , jdoe@test  . example");
/// let [Address::Mailbox(joe), Address::Mailbox(jdoe)] = list.as_slice() else { panic!() };
/// assert_eq!(joe.name.as_deref(), Some("Joe Q. Public"));
/// assert_eq!(jdoe.address().unwrap().to_string(), "jdoe@test.example");
/// ```
pub fn parse(value: &[u8]) -> Vec<Address> {
    parse_limited(value, usize::MAX).0
}

/// As [`parse`], with at most `max` mailboxes and groups; says whether some were left out.
pub fn parse_limited(value: &[u8], max: usize) -> (Vec<Address>, bool) {
    let mut list = Vec::new();
    let mut group: Option<Group> = None;
    let cut = walk(value, max, |item| match item {
        Item::Mailbox(raw) => match &mut group {
            Some(group) => group.mailboxes.push(raw.into()),
            None => list.push(Address::Mailbox(raw.into())),
        },
        Item::GroupStart(name) => {
            group = Some(Group {
                name: encoded_word::decode(name).into_owned(),
                mailboxes: Vec::new(),
            });
        }
        Item::GroupEnd => list.extend(group.take().map(Address::Group)),
    });
    (list, cut)
}

/// What an address list is made of, in order. Every start of a group has an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Mailbox(RawMailbox<'a>),
    GroupStart(&'a [u8]),
    GroupEnd,
}

/// A mailbox before charsets and encoded words are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawMailbox<'a> {
    pub(crate) name: Option<&'a [u8]>,
    pub(crate) route: Option<&'a [u8]>,
    pub(crate) local_part: &'a [u8],
    pub(crate) domain: &'a [u8],
}

impl From<RawMailbox<'_>> for Mailbox {
    fn from(raw: RawMailbox<'_>) -> Self {
        let text = |octets| charset::guess(octets).into_owned();
        Self {
            name: raw.name.map(|name| encoded_word::decode(name).into_owned()),
            route: raw.route.map(text),
            local_part: text(raw.local_part),
            domain: text(raw.domain),
        }
    }
}

/// Reads a list and hands out its items; says whether there were more than `max`.
pub(crate) fn walk(value: &[u8], max: usize, mut sink: impl FnMut(Item<'_>)) -> bool {
    let mut walk = Walk {
        sink: &mut sink,
        entry: Entry::default(),
        text: Vec::new(),
        in_group: false,
        left: max,
        cut: false,
    };
    for (token, space) in Tokens::new(value) {
        walk.token(token, space);
        if walk.cut {
            break;
        }
    }
    if !walk.cut {
        walk.end_entry();
    }
    walk.end_group();
    walk.cut
}

struct Walk<'a, 's> {
    sink: &'s mut dyn FnMut(Item<'_>),
    entry: Entry<'a>,
    /// The texts of one item, one after the other.
    text: Vec<u8>,
    in_group: bool,
    left: usize,
    cut: bool,
}

/// The member that is being read. Its vectors are used again for the next one.
#[derive(Default)]
struct Entry<'a> {
    /// Words before the angle bracket, or of a bare address.
    outer: Vec<Piece<'a>>,
    /// Words inside of the angle brackets.
    inner: Vec<Piece<'a>>,
    /// The last comment behind the `@` of a bare address.
    comment: Option<&'a [u8]>,
    angle: Angle,
    /// How much of `inner` is the source route.
    route: usize,
    /// Whether an `@` came.
    at: bool,
    space: bool,
}

#[derive(Default, PartialEq)]
enum Angle {
    #[default]
    None,
    Open,
    Closed,
}

#[derive(Clone, Copy)]
struct Piece<'a> {
    token: Token<'a>,
    space: bool,
}

impl<'a> Walk<'a, '_> {
    fn token(&mut self, token: Token<'a>, space: bool) {
        let entry = &mut self.entry;
        let open = entry.angle == Angle::Open;
        entry.space |= space;
        match token {
            Token::Special(b'<') if entry.angle == Angle::None => entry.angle = Angle::Open,
            Token::Special(b'>') if open => entry.angle = Angle::Closed,
            Token::Special(b',') if !(open && entry.in_route()) => self.end_entry(),
            Token::Special(b';') => {
                self.end_entry();
                self.end_group();
            }
            Token::Special(b':') if open => {
                if entry.in_route() {
                    entry.route = entry.inner.len();
                }
            }
            Token::Special(b':') if entry.angle == Angle::None && !entry.at => self.start_group(),
            Token::Comment(comment) => {
                entry.space = true;
                if entry.angle == Angle::None && entry.at {
                    entry.comment = Some(comment);
                }
            }
            Token::Special(b'.' | b'@' | b',') | Token::Word(_) | Token::Quoted(_) | Token::Literal(_) => {
                entry.at |= token == Token::Special(b'@');
                let pieces = match entry.angle {
                    Angle::None => &mut entry.outer,
                    Angle::Open => &mut entry.inner,
                    // Words behind the closing bracket mean nothing.
                    Angle::Closed => return,
                };
                pieces.push(Piece {
                    token,
                    space: entry.space,
                });
                entry.space = false;
            }
            Token::Special(_) => {}
        }
    }

    fn start_group(&mut self) {
        self.end_group();
        if self.take_one() {
            self.text.clear();
            phrase(&self.entry.outer, &mut self.text);
            (self.sink)(Item::GroupStart(&self.text));
            self.in_group = true;
        }
        self.entry.clear();
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.in_group) {
            (self.sink)(Item::GroupEnd);
        }
    }

    fn end_entry(&mut self) {
        let entry = &self.entry;
        if (entry.outer.is_empty() && entry.angle == Angle::None) || !self.take_one() {
            self.entry.clear();
            return;
        }
        let entry = &self.entry;
        let (name, address) = match entry.angle {
            Angle::None => entry.bare(),
            _ => (&entry.outer[..], &entry.inner[entry.route..]),
        };
        let at = address.iter().rposition(|p| p.token == Token::Special(b'@'));
        let (local, domain) = match at {
            Some(at) => (&address[..at], &address[at + 1..]),
            None => (address, &[][..]),
        };
        let text = &mut self.text;
        text.clear();
        phrase(name, text);
        if let (true, Some(comment)) = (text.is_empty(), entry.comment) {
            unquote_into(comment, text);
        }
        let name_end = text.len();
        concat(&entry.inner[..entry.route], text);
        let route_end = text.len();
        local_part(local, text);
        let local_end = text.len();
        concat(domain, text);
        let (name, route) = (text[..name_end].trim_ascii(), &text[name_end..route_end]);
        (self.sink)(Item::Mailbox(RawMailbox {
            name: (!name.is_empty()).then_some(name),
            route: (!route.is_empty()).then_some(route),
            local_part: &text[route_end..local_end],
            domain: &text[local_end..],
        }));
        self.entry.clear();
    }

    fn take_one(&mut self) -> bool {
        self.cut |= self.left == 0;
        self.left = self.left.saturating_sub(1);
        !self.cut
    }
}

impl<'a> Entry<'a> {
    fn clear(&mut self) {
        self.outer.clear();
        self.inner.clear();
        self.comment = None;
        self.angle = Angle::None;
        self.route = 0;
        self.at = false;
        self.space = false;
    }

    fn in_route(&self) -> bool {
        self.route == 0
            && self
                .inner
                .first()
                .is_some_and(|p| p.token == Token::Special(b'@'))
    }

    /// Splits what came without angle brackets into a name and an address: the address is the `@` with the
    /// words around it that full stops join.
    fn bare(&self) -> (&[Piece<'a>], &[Piece<'a>]) {
        let pieces = &self.outer;
        let dot = |piece: &Piece<'_>| piece.token == Token::Special(b'.');
        let Some(at) = pieces.iter().rposition(|p| p.token == Token::Special(b'@')) else {
            // A word alone is a local part: `root`. Several are a name without an address.
            return match pieces.windows(2).any(|w| !dot(&w[0]) && !dot(&w[1])) {
                true => (&pieces[..], &[]),
                false => (&[], &pieces[..]),
            };
        };
        let joined = |a: &Piece<'_>, b: &Piece<'_>| !b.space || dot(a) || dot(b);
        let mut start = at.saturating_sub(1);
        while start > 0 && joined(&pieces[start - 1], &pieces[start]) {
            start -= 1;
        }
        let mut end = (at + 2).min(pieces.len());
        while end < pieces.len() && joined(&pieces[end - 1], &pieces[end]) {
            end += 1;
        }
        let name = if start > 0 {
            &pieces[..start]
        } else {
            &pieces[end..]
        };
        (name, &pieces[start..end])
    }
}

/// Appends the text of a phrase: words with one space where there was any, quoted strings without their quotes.
fn phrase(pieces: &[Piece<'_>], out: &mut Vec<u8>) {
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 && piece.space {
            out.push(b' ');
        }
        push(piece, out);
    }
}

/// Appends the pieces without any space.
fn concat(pieces: &[Piece<'_>], out: &mut Vec<u8>) {
    for piece in pieces {
        match piece.token {
            Token::Literal(literal) => out.extend(literal.iter().filter(|b| **b > b' ')),
            _ => push(piece, out),
        }
    }
}

fn push(piece: &Piece<'_>, out: &mut Vec<u8>) {
    match piece.token {
        Token::Word(word) => out.extend_from_slice(word),
        Token::Quoted(inner) => unquote_into(inner, out),
        Token::Literal(literal) => unquote_into(literal, out),
        Token::Special(byte) => out.push(byte),
        Token::Comment(_) => {}
    }
}

/// Appends the local part: in quotes if any word of it was.
fn local_part(pieces: &[Piece<'_>], out: &mut Vec<u8>) {
    if !pieces.iter().any(|p| matches!(p.token, Token::Quoted(_))) {
        return concat(pieces, out);
    }
    let mut plain = Vec::new();
    concat(pieces, &mut plain);
    out.push(b'"');
    for byte in plain {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
