//! The reader of address lists

use std::borrow::Cow;

use crate::DefectKind;
use crate::encoded_word;
use crate::lex::{Report, Token, Tokens, is_space, unquote_into, unquoted};

/// An item before charsets and encoded words are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawItem<'a> {
    Mailbox(RawMailbox<'a>),
    GroupStart(Cow<'a, [u8]>),
    GroupEnd,
}

/// A mailbox before charsets and encoded words are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawMailbox<'a> {
    pub(crate) name: Option<Cow<'a, [u8]>>,
    pub(crate) route: Option<Cow<'a, [u8]>>,
    pub(crate) local_part: Cow<'a, [u8]>,
    pub(crate) domain: Cow<'a, [u8]>,
}

/// Reads a list and hands out its items; says whether there were more than `max`.
pub(crate) fn walk<'a>(value: &'a [u8], max: usize, mut sink: impl FnMut(RawItem<'a>)) -> bool {
    let mut walker = Walker::new(value, max);
    while let Some(item) = walker.next(&mut ()) {
        sink(item);
    }
    walker.cut
}

/// Reads one item after the other.
///
/// Members of the two common forms, `Name <a@b>` and `a@b`, are recognised at a glance and borrowed as they are;
/// all others are read token by token. Both ways have the same result for what the first one accepts.
#[derive(Debug, Clone)]
pub(super) struct Walker<'a> {
    tokens: Tokens<'a>,
    entry: Entry<'a>,
    in_group: bool,
    /// The next item, where one member gave two.
    queued: Option<RawItem<'a>>,
    /// A semicolon came: the group ends when the entry is handed out.
    closing: bool,
    /// The entry goes on: its comma was missing.
    resumed: bool,
    left: usize,
    cut: bool,
    /// Whether an odd number of quotes is left, once that mattered.
    odd_quotes: Option<bool>,
}

/// The member that is being read. Its vectors are used again for the next one.
#[derive(Debug, Clone, Default)]
struct Entry<'a> {
    /// Words before the angle bracket, or of a bare address.
    outer: Vec<Piece<'a>>,
    /// Words inside of the angle brackets.
    inner: Vec<Piece<'a>>,
    /// Words behind the angle brackets.
    after: Vec<Piece<'a>>,
    /// How much of `outer` is handed out.
    taken: usize,
    /// The last comment outside of the angle brackets.
    comment: Option<&'a [u8]>,
    angle: Angle,
    /// How much of `inner` is the source route.
    route: usize,
    /// Whether an `@` came.
    at: bool,
    space: bool,
    /// Where it starts in the value.
    start: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Angle {
    #[default]
    None,
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Piece<'a> {
    token: Token<'a>,
    space: bool,
    /// Where the token is in the value.
    start: usize,
    end: usize,
}

/// Why an entry ends.
#[derive(PartialEq)]
enum Stop {
    Comma,
    Semicolon,
    Colon,
    /// A second angle bracket opens: there should have been a comma.
    Angle,
    End,
}

impl<'a> Walker<'a> {
    pub(super) fn new(value: &'a [u8], max: usize) -> Self {
        Self {
            tokens: Tokens::new(value),
            entry: Entry::default(),
            in_group: false,
            queued: None,
            closing: false,
            resumed: false,
            left: max,
            cut: false,
            odd_quotes: None,
        }
    }

    pub(super) fn next(&mut self, report: &mut impl Report) -> Option<RawItem<'a>> {
        loop {
            if let Some(item) = self.queued.take() {
                return Some(item);
            }
            if self.cut {
                return self.end_group();
            }
            if self.entry.taken < self.entry.outer.len() {
                return self.bare(report);
            }
            if std::mem::take(&mut self.closing) {
                self.entry.clear();
                match self.end_group() {
                    None => continue,
                    end => return end,
                }
            }
            if !self.resumed {
                self.entry.clear();
                if let Some((mailbox, end)) = self.glance() {
                    if self.take_one(self.tokens.position(), report) {
                        self.tokens.seek(end);
                        return Some(RawItem::Mailbox(mailbox));
                    }
                    continue;
                }
            }
            self.resumed = false;
            let stop = self.read_entry(report);
            let empty = self.entry.outer.is_empty() && self.entry.angle == Angle::None;
            match stop {
                Stop::Colon => return self.start_group(report),
                Stop::Semicolon => self.closing = true,
                Stop::End if empty => {
                    if self.in_group {
                        report.defect(DefectKind::UnclosedGroup, self.tokens.position());
                    }
                    return self.end_group();
                }
                Stop::Comma | Stop::Angle | Stop::End => {}
            }
            if !empty && self.entry.angle == Angle::None {
                return self.bare(report);
            }
            self.entry.taken = self.entry.outer.len();
            if !empty && self.take_one(self.entry.start, report) {
                let mailbox = self.angled(report);
                if stop == Stop::Angle {
                    report.defect(DefectKind::MissingComma, self.tokens.position() - 1);
                    self.entry.restart(self.tokens.position() - 1);
                    self.resumed = true;
                }
                return Some(RawItem::Mailbox(mailbox));
            }
        }
    }

    /// Recognises a member of a common form; the second is the position behind it and its comma.
    fn glance(&self) -> Option<(RawMailbox<'a>, usize)> {
        let input = self.tokens.input();
        let start = skip_space(input, self.tokens.position());
        let mut at = start;
        let name = if input.get(at) == Some(&b'"') {
            let len = input[at + 1..].iter().position(|b| !is_qtext(*b))?;
            let name = &input[at + 1..at + 1 + len];
            at = skip_space(input, at + 2 + len);
            let closed = input[start + 1 + len] == b'"' && input.get(at) == Some(&b'<');
            (closed && !name.trim_ascii().is_empty()).then_some(name)?
        } else {
            loop {
                let word = at;
                at = plain_end(input, at, true)?;
                match *input.get(at)? {
                    b'@' if word == start && at > start => return bare_at(input, start, at),
                    b'<' => break &input[start..at],
                    byte if is_space(byte) => {}
                    _ => return None,
                }
                let next = skip_space(input, at);
                match *input.get(next)? {
                    b'<' => {
                        let name = &input[start..at];
                        at = next;
                        break name;
                    }
                    byte if next == at + 1 && input[at] == b' ' && PLAIN[usize::from(byte)] => at = next,
                    _ => return None,
                }
            }
        };
        let local = at + 1;
        let at_sign = plain_end(input, local, false)?;
        let domain = at_sign + 1;
        let end = (input.get(at_sign) == Some(&b'@')).then(|| plain_end(input, domain, false))??;
        if at_sign == local || end == domain || input.get(end) != Some(&b'>') {
            return None;
        }
        let mailbox = RawMailbox {
            name: (!name.is_empty()).then_some(Cow::Borrowed(name)),
            route: None,
            local_part: Cow::Borrowed(&input[local..at_sign]),
            domain: Cow::Borrowed(&input[domain..end]),
        };
        Some((mailbox, member_end(input, end + 1)?))
    }

    /// Reads tokens into the entry up to what ends it.
    fn read_entry(&mut self, report: &mut impl Report) -> Stop {
        loop {
            let Some((token, space)) = self.tokens.next() else {
                if self.entry.angle == Angle::Open {
                    report.defect(DefectKind::Unbalanced, self.tokens.position());
                }
                return Stop::End;
            };
            let start = self.tokens.start();
            let end = self.tokens.position();
            let stray = matches!(token, Token::Quoted(inner) if self.is_stray(start, inner));
            let entry = &mut self.entry;
            let open = entry.angle == Angle::Open;
            entry.space |= space;
            match token {
                Token::Special(b'<') if entry.angle == Angle::None => entry.angle = Angle::Open,
                Token::Special(b'<') if entry.angle == Angle::Closed => return Stop::Angle,
                Token::Special(b'>') if open => {
                    entry.angle = Angle::Closed;
                    entry.space = true;
                }
                Token::Special(b',') if !(open && entry.in_route()) => {
                    if open {
                        report.defect(DefectKind::Unbalanced, start);
                    }
                    return Stop::Comma;
                }
                Token::Special(b';') => return Stop::Semicolon,
                Token::Special(b':') if open && entry.in_route() => entry.route = entry.inner.len(),
                Token::Special(b':') if entry.angle == Angle::None && !entry.at => return Stop::Colon,
                Token::Comment(comment) => {
                    entry.space = true;
                    if !open && !comment.is_empty() {
                        entry.comment = Some(comment);
                    }
                }
                _ if stray => {
                    report.defect(DefectKind::Unbalanced, start);
                    self.tokens.seek(start + 1);
                }
                Token::Special(b'.' | b'@' | b',' | b':')
                | Token::Word(_)
                | Token::Quoted(_)
                | Token::Literal(_) => {
                    entry.at |= token == Token::Special(b'@');
                    if entry.outer.is_empty() && entry.inner.is_empty() {
                        entry.start = start;
                    }
                    let pieces = match entry.angle {
                        Angle::None => &mut entry.outer,
                        Angle::Open => &mut entry.inner,
                        Angle::Closed => &mut entry.after,
                    };
                    pieces.push(Piece {
                        token,
                        space: entry.space,
                        start,
                        end,
                    });
                    entry.space = false;
                }
                Token::Special(_) => report.defect(DefectKind::Unbalanced, start),
            }
        }
    }

    /// Whether the quote at `start` has lost its partner: it would swallow members of the list, and without it
    /// the others pair up.
    fn is_stray(&mut self, start: usize, inner: &[u8]) -> bool {
        if !(inner.contains(&b'>') && inner.contains(&b'@')) {
            return false;
        }
        let input = self.tokens.input();
        let odd = *self.odd_quotes.get_or_insert_with(|| {
            let mut escaped = false;
            let is_quote = |byte: &u8| {
                let quote = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                quote
            };
            input[start..].iter().copied().filter(is_quote).count() % 2 == 1
        });
        if odd {
            self.odd_quotes = Some(false);
        }
        odd
    }

    fn start_group(&mut self, report: &mut impl Report) -> Option<RawItem<'a>> {
        let at = self.tokens.position() - 1;
        let end = self.end_group();
        if end.is_some() {
            report.defect(DefectKind::UnclosedGroup, at);
        }
        let mut start = None;
        if self.take_one(at, report) {
            let name = phrase(self.tokens.input(), &self.entry.outer);
            start = Some(RawItem::GroupStart(name));
            self.in_group = true;
        }
        self.entry.clear();
        match end {
            Some(end) => {
                self.queued = start;
                Some(end)
            }
            None => start,
        }
    }

    fn end_group(&mut self) -> Option<RawItem<'a>> {
        std::mem::take(&mut self.in_group).then_some(RawItem::GroupEnd)
    }

    fn take_one(&mut self, at: usize, report: &mut impl Report) -> bool {
        if self.left == 0 {
            report.defect(DefectKind::TooManyAddresses, at);
            self.cut = true;
        }
        self.left = self.left.saturating_sub(1);
        !self.cut
    }

    /// The mailbox of an entry with angle brackets.
    fn angled(&self, report: &mut impl Report) -> RawMailbox<'a> {
        let entry = &self.entry;
        let input = self.tokens.input();
        let (route, address) = entry.inner.split_at(entry.route);
        let mut name = phrase(input, &entry.outer);
        if entry.outer.is_empty() {
            name = phrase(input, &entry.after);
        }
        let route = concat(input, route);
        self.mailbox(name, route, address, report)
    }

    /// The next mailbox of an entry without angle brackets.
    fn bare(&mut self, report: &mut impl Report) -> Option<RawItem<'a>> {
        let entry = &self.entry;
        let input = self.tokens.input();
        let pieces = &entry.outer[entry.taken..];
        let start = pieces.first().map_or(entry.start, |piece| piece.start);
        let found = find_bare(pieces);
        let taken = entry.taken + found.taken;
        let name = phrase(input, found.name);
        let mailbox = self.mailbox(name, Cow::Borrowed(&[]), found.address, report);
        if taken < entry.outer.len() {
            report.defect(DefectKind::MissingComma, entry.outer[taken].start);
        }
        self.entry.taken = taken;
        self.take_one(start, report)
            .then_some(RawItem::Mailbox(mailbox))
            .or_else(|| self.end_group())
    }

    fn mailbox(
        &self,
        mut name: Cow<'a, [u8]>,
        route: Cow<'a, [u8]>,
        address: &[Piece<'a>],
        report: &mut impl Report,
    ) -> RawMailbox<'a> {
        let input = self.tokens.input();
        let at = address.iter().rposition(|p| p.token == Token::Special(b'@'));
        let (local, domain) = match at {
            Some(at) => (&address[..at], &address[at + 1..]),
            None => (address, &[][..]),
        };
        let torn = |pieces: &[Piece<'_>]| pieces.windows(2).any(|w| is_torn(&w[0], &w[1]));
        if local.is_empty() || domain.is_empty() || torn(address) {
            report.defect(DefectKind::InvalidAddress, self.entry.start);
        }
        if let (true, false, Some(comment)) = (name.is_empty(), address.is_empty(), self.entry.comment) {
            name = unquoted(comment);
        }
        RawMailbox {
            name: (!name.trim_ascii().is_empty()).then_some(name),
            route: (!route.is_empty()).then_some(route),
            local_part: local_part(input, local),
            domain: concat(input, domain),
        }
    }
}

impl Entry<'_> {
    fn clear(&mut self) {
        self.outer.clear();
        self.inner.clear();
        self.after.clear();
        self.taken = 0;
        self.comment = None;
        self.angle = Angle::None;
        self.route = 0;
        self.at = false;
        self.space = false;
    }

    /// Begins the next entry with the words behind the angle brackets of this one, and open brackets.
    fn restart(&mut self, start: usize) {
        std::mem::swap(&mut self.outer, &mut self.after);
        self.after.clear();
        self.inner.clear();
        self.taken = self.outer.len();
        self.comment = None;
        self.angle = Angle::Open;
        self.route = 0;
        self.at = false;
        self.space = false;
        self.start = start;
    }

    fn in_route(&self) -> bool {
        self.route == 0
            && self
                .inner
                .first()
                .is_some_and(|p| p.token == Token::Special(b'@'))
    }
}

/// The first address among pieces that came without angle brackets.
struct Bare<'p, 'a> {
    name: &'p [Piece<'a>],
    address: &'p [Piece<'a>],
    /// How many pieces are used up; behind them another address follows.
    taken: usize,
}

/// Splits what came without angle brackets: an address is an `@` with the words around it that full stops join.
fn find_bare<'p, 'a>(pieces: &'p [Piece<'a>]) -> Bare<'p, 'a> {
    let is = |piece: &Piece<'_>, byte| piece.token == Token::Special(byte);
    let binds = |piece: &Piece<'_>| is(piece, b'.') || is(piece, b'@');
    let joined = |a: &Piece<'_>, b: &Piece<'_>| !b.space || binds(a) || binds(b);
    let mut start = 0;
    let mut has_at = false;
    let mut end = pieces.len();
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 && !joined(&pieces[i - 1], piece) {
            if has_at {
                end = i;
                break;
            }
            start = i;
        }
        has_at |= is(piece, b'@');
    }
    if !has_at {
        // A word alone is a local part: `root`. Several are a name without an address.
        let quoted = pieces.iter().any(|p| matches!(p.token, Token::Quoted(_)));
        let dot = |piece: &Piece<'_>| is(piece, b'.');
        let several = pieces.windows(2).any(|w| !dot(&w[0]) && !dot(&w[1]));
        let (name, address) = match several || quoted {
            true => (pieces, &[][..]),
            false => (&[][..], pieces),
        };
        return Bare {
            name,
            address,
            taken: pieces.len(),
        };
    }
    let another = pieces[end..].iter().any(|piece| is(piece, b'@'));
    Bare {
        name: match start {
            0 if !another => &pieces[end..],
            _ => &pieces[..start],
        },
        address: &pieces[start..end],
        taken: if another { end } else { pieces.len() },
    }
}

/// The text of a phrase: words with one space where there was any, quoted strings without their quotes.
fn phrase<'a>(input: &'a [u8], pieces: &[Piece<'a>]) -> Cow<'a, [u8]> {
    if let [piece] = pieces {
        return text(piece);
    }
    let is_verbatim = |w: &[Piece<'_>]| match w[1].start - w[0].end {
        0 => !w[1].space,
        1 => w[1].space && input[w[0].end] == b' ',
        _ => false,
    };
    if let Some(span) = verbatim(input, pieces, is_verbatim) {
        return Cow::Borrowed(span);
    }
    let mut out = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 && piece.space {
            out.push(b' ');
        }
        out.extend_from_slice(&text(piece));
    }
    Cow::Owned(out)
}

/// The pieces without any space, but for that between two words: nothing may join those to a word of its own, or
/// mail would go to somebody else.
fn concat<'a>(input: &'a [u8], pieces: &[Piece<'a>]) -> Cow<'a, [u8]> {
    if let Some(span) = verbatim(input, pieces, |w| w[0].end == w[1].start) {
        return Cow::Borrowed(span);
    }
    let mut out = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 && is_torn(&pieces[i - 1], piece) {
            out.push(b' ');
        }
        match piece.token {
            Token::Literal(literal) => out.extend(literal.iter().filter(|b| **b > b' ')),
            _ => out.extend_from_slice(&text(piece)),
        }
    }
    Cow::Owned(out)
}

/// All of the pieces in one slice, if what they mean is what is written.
fn verbatim<'a>(
    input: &'a [u8],
    pieces: &[Piece<'a>],
    follows: impl Fn(&[Piece<'a>]) -> bool,
) -> Option<&'a [u8]> {
    let plain = |piece: &Piece<'_>| match piece.token {
        Token::Word(word) => !word.contains(&b'\\'),
        Token::Literal(literal) => !literal.iter().any(|b| is_space(*b) || *b == b'\\'),
        Token::Special(_) => true,
        Token::Quoted(_) | Token::Comment(_) => false,
    };
    let (first, last) = (pieces.first()?, pieces.last()?);
    (pieces.iter().all(plain) && pieces.windows(2).all(follows)).then(|| &input[first.start..last.end])
}

/// Whether space stands between two words.
fn is_torn(before: &Piece<'_>, piece: &Piece<'_>) -> bool {
    let is_word = |piece: &Piece<'_>| !matches!(piece.token, Token::Special(_));
    piece.space && is_word(before) && is_word(piece)
}

fn text<'a>(piece: &Piece<'a>) -> Cow<'a, [u8]> {
    match piece.token {
        Token::Word(word) if word.contains(&b'\\') => Cow::Owned(without_escapes(word)),
        Token::Word(word) => Cow::Borrowed(word),
        Token::Quoted(inner) | Token::Literal(inner) => unquoted(inner),
        Token::Special(byte) => Cow::Owned(vec![byte]),
        Token::Comment(_) => Cow::Borrowed(&[]),
    }
}

/// A backslash before a special keeps that from being one, though only quotes should have it.
fn without_escapes(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut bytes = word.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match bytes.peek() {
            Some(next) if byte == b'\\' && crate::lex::is_special(*next) => {
                out.push(*next);
                bytes.next();
            }
            _ => out.push(byte),
        }
    }
    out
}

/// The local part: in quotes if any word of it was.
fn local_part<'a>(input: &'a [u8], pieces: &[Piece<'a>]) -> Cow<'a, [u8]> {
    if !pieces.iter().any(|p| matches!(p.token, Token::Quoted(_))) {
        return concat(input, pieces);
    }
    if pieces.windows(2).any(|w| is_torn(&w[0], &w[1])) {
        return Cow::Owned(as_written(input, pieces));
    }
    if let [piece] = pieces
        && let Token::Quoted(inner) = piece.token
        && inner.iter().all(|b| is_qtext(*b))
    {
        return Cow::Borrowed(&input[piece.start..piece.end]);
    }
    let mut plain = Vec::new();
    for piece in pieces {
        match piece.token {
            Token::Quoted(inner) => unquote_into(inner, &mut plain),
            _ => plain.extend_from_slice(&text(piece)),
        }
    }
    let mut out = vec![b'"'];
    for byte in plain {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    Cow::Owned(out)
}

/// The pieces with their quotes, and a space where there was any between words. Nobody's address looks like that.
fn as_written(input: &[u8], pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 && is_torn(&pieces[i - 1], piece) {
            out.push(b' ');
        }
        let written = input[piece.start..piece.end].iter();
        out.extend(written.filter(|b| !matches!(b, b'\r' | b'\n' | 0)));
    }
    out
}

/// Octets that stand in words as they are: RFC 5322's atext, the full stop, and 8-bit ones.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] =
            byte > 0x20 && byte != 0x7f && !crate::lex::is_special(byte as u8) && byte as u8 != b'\\'
                || byte as u8 == b'.';
        byte += 1;
    }
    table
};

/// Where a run of plain octets ends; `None` if an encoded word in it may not be what it seems.
fn plain_end(input: &[u8], from: usize, may_encode: bool) -> Option<usize> {
    let mut at = from;
    while let Some(byte) = input.get(at) {
        if !PLAIN[usize::from(*byte)] {
            break;
        }
        if *byte == b'=' && input.get(at + 1) == Some(&b'?') {
            if !may_encode || at != from {
                return None;
            }
            let word = encoded_word::match_at(&input[at..])?;
            let inside = &input[at..at + word.len];
            if !inside.iter().all(|b| PLAIN[usize::from(*b)]) {
                return None;
            }
            at += word.len;
            continue;
        }
        at += 1;
    }
    Some(at)
}

/// An address without a name whose `@` is at `at_sign`.
fn bare_at(input: &[u8], start: usize, at_sign: usize) -> Option<(RawMailbox<'_>, usize)> {
    let end = plain_end(input, at_sign + 1, false)?;
    // An encoded word at the front is one word, whatever it holds.
    if end == at_sign + 1 || input[start..].starts_with(b"=?") {
        return None;
    }
    let mailbox = RawMailbox {
        name: None,
        route: None,
        local_part: Cow::Borrowed(&input[start..at_sign]),
        domain: Cow::Borrowed(&input[at_sign + 1..end]),
    };
    Some((mailbox, member_end(input, end)?))
}

/// The position behind a member, if nothing but its end follows.
fn member_end(input: &[u8], at: usize) -> Option<usize> {
    let at = skip_space(input, at);
    match input.get(at) {
        None | Some(b';') => Some(at),
        Some(b',') => Some(at + 1),
        Some(_) => None,
    }
}

fn skip_space(input: &[u8], mut at: usize) -> usize {
    while input.get(at).is_some_and(|b| is_space(*b)) {
        at += 1;
    }
    at
}

/// Means itself inside of quotes. The bracket is left to the slow way, which knows about lost quotes.
fn is_qtext(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0 | b'>')
}
