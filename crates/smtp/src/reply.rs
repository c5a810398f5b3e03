//! Replies and enhanced status codes (RFC 5321 §4.2, RFC 2034, RFC 3463)

use mailwright_wire::SendBuf;
use std::borrow::Cow;
use std::fmt;

/// A reply of a server: code, enhanced status code and text of one or more lines.
///
/// If it can be built, it can be sent: the text holds no control characters, and lines that do not fit the 512
/// octets of RFC 5321 §4.5.3.1.5 are sent as several. Characters outside of ASCII are sent as `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    /// Lines separated by LF; no other control character.
    text: Cow<'static, str>,
}

/// Octets of text in one line of a reply, which leaves room for both codes and the line ending.
const MAX_TEXT: usize = 480;

impl Reply {
    /// Makes a reply. Control characters in `text` become spaces, except LF, which separates lines.
    ///
    /// # Errors
    ///
    /// [`BadCode`] if `code` is not between 200 and 599, or if `enhanced` belongs to another class.
    pub fn new(code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Result<Self, BadCode> {
        let fits = enhanced.is_none_or(|e| u16::from(e.class) == code / 100);
        if !(200..=599).contains(&code) || !fits {
            return Err(BadCode);
        }
        Ok(Self::of(code, enhanced, text))
    }

    /// For codes that this crate chose itself.
    pub(crate) fn of(code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Self {
        Self {
            code,
            enhanced,
            text: Cow::Owned(clean(text)),
        }
    }

    /// `text` is one line of ASCII, as all are that this crate has of its own.
    pub(crate) const fn fixed(code: u16, enhanced: EnhancedCode, text: &'static str) -> Self {
        debug_assert!(text.is_ascii() && text.len() <= MAX_TEXT);
        Self {
            code,
            enhanced: Some(enhanced),
            text: Cow::Borrowed(text),
        }
    }

    /// Likewise.
    pub(crate) const fn plain(code: u16, text: &'static str) -> Self {
        debug_assert!(text.is_ascii() && text.len() <= MAX_TEXT);
        Self {
            code,
            enhanced: None,
            text: Cow::Borrowed(text),
        }
    }

    /// A reply as a peer sent it, from lines without their codes; the text is cleaned but not refused.
    pub(crate) fn received(code: u16, text: &str) -> Self {
        let class = (code / 100) as u8;
        let mut enhanced = None;
        let mut lines = Vec::new();
        for line in text.split('\n') {
            // RFC 2034 §3: the code stands at the start of every line.
            let split = line.split_once(' ').unwrap_or((line, ""));
            match EnhancedCode::parse(split.0).filter(|e| e.class == class) {
                Some(code) => {
                    enhanced.get_or_insert(code);
                    lines.push(split.1);
                }
                None => lines.push(line),
            }
        }
        Self::of(code, enhanced, &lines.join("\n"))
    }

    /// The same reply with another text, cleaned like that of [`new`](Reply::new).
    #[must_use]
    pub fn with_text(&self, text: &str) -> Self {
        Self::of(self.code, self.enhanced, text)
    }

    /// The three digits: 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code, if there is one.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The lines of the text; at least one, which may be empty.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// The lines of the text, joined by LF.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a 2xx reply: done.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether it is a 4xx reply: the same may succeed later.
    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// Whether it is a 5xx reply: the same will fail again.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Queues a challenge of AUTH, already in base64, which must not be wrapped (RFC 4954 §4).
    pub(crate) fn write_challenge(data: &str, out: &mut SendBuf) {
        out.put(b"334 ");
        out.put(data.as_bytes());
        out.put(b"\r\n");
    }

    /// Queues the reply; the enhanced code only if the session has it (RFC 2034 §4).
    pub(crate) fn write(&self, out: &mut SendBuf, enhanced: bool) {
        self.write_text(out, enhanced, false);
    }

    /// Queues the reply with characters outside of ASCII as they are: where the client asked for them (RFC 6531
    /// §3.7.4.2).
    pub(crate) fn write_utf8(&self, out: &mut SendBuf, enhanced: bool) {
        self.write_text(out, enhanced, true);
    }

    fn write_text(&self, out: &mut SendBuf, enhanced: bool, utf8: bool) {
        let mut head = Head::default();
        head.set(self.code, self.enhanced.filter(|_| enhanced));
        let mut text = match &self.text {
            Cow::Borrowed(line) => return out.put_all([head.as_bytes(), line.as_bytes(), b"\r\n"]),
            Cow::Owned(lines) => lines.as_str(),
        };
        loop {
            let most = floor(text, MAX_TEXT);
            let (line, rest) = match memchr::memchr(b'\n', &text.as_bytes()[..most]) {
                Some(lf) => (&text[..lf], Some(&text[lf + 1..])),
                None if most == text.len() => (text, None),
                // Where a line is as long as that, its LF is no line of its own.
                None => (
                    &text[..most],
                    Some(text[most..].strip_prefix('\n').unwrap_or(&text[most..])),
                ),
            };
            head.set_last(rest.is_none());
            out.put(head.as_bytes());
            if utf8 || line.is_ascii() {
                out.put(line.as_bytes());
            } else {
                let line: String = line.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
                out.put(line.as_bytes());
            }
            out.put(b"\r\n");
            match rest {
                Some(rest) => text = rest,
                None => return,
            }
        }
    }
}

/// What stands before the text in every line of a reply: `250-2.1.5 `.
#[derive(Default)]
struct Head {
    octets: [u8; Self::MAX],
    len: usize,
}

impl Head {
    /// `250-2.999.999 `
    const MAX: usize = 14;

    #[inline]
    fn set(&mut self, code: u16, enhanced: Option<EnhancedCode>) {
        self.number(code);
        self.octet(b' ');
        if let Some(code) = enhanced {
            self.number(code.class.into());
            self.octet(b'.');
            self.number(code.subject);
            self.octet(b'.');
            self.number(code.detail);
            self.octet(b' ');
        }
    }

    /// Up to 999.
    #[inline]
    fn number(&mut self, n: u16) {
        if n >= 100 {
            self.octet(b'0' + (n / 100) as u8);
        }
        if n >= 10 {
            self.octet(b'0' + (n / 10 % 10) as u8);
        }
        self.octet(b'0' + (n % 10) as u8);
    }

    fn octet(&mut self, octet: u8) {
        self.octets[self.len] = octet;
        self.len += 1;
    }

    /// Says whether this line is the last: RFC 5321 §4.2.1.
    fn set_last(&mut self, last: bool) {
        self.octets[3] = if last { b' ' } else { b'-' };
    }

    fn as_bytes(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// The last boundary between characters up to `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// `550 5.1.1 No such user`, lines separated by LF. Nothing in it can break a log line or a header field
/// but that LF.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, line) in self.lines().enumerate() {
            f.write_str(if i > 0 { "\n" } else { "" })?;
            write!(f, "{}", self.code)?;
            if let Some(enhanced) = self.enhanced {
                write!(f, " {enhanced}")?;
            }
            if !line.is_empty() {
                write!(f, " {line}")?;
            }
        }
        Ok(())
    }
}

/// Replaces control characters; CRLF becomes LF.
fn clean(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    // No early end, so that compilers look at many octets at once. Outside of ASCII, control characters begin
    // with 0xC2.
    let suspect = |b: u8| (b < b' ' && b != b'\n') || b == 0x7f || b == 0xc2;
    if !text.bytes().fold(false, |seen, b| seen | suspect(b)) {
        return text.to_owned();
    }
    text.chars()
        .filter(|c| *c != '\r')
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect()
}

/// A reply that says no: its code is 4xx or 5xx, by construction.
///
/// A rejection with code 421 also ends the session (RFC 5321 §3.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection(Reply);

impl Rejection {
    /// `550 5.1.1`: the mailbox does not exist.
    pub const NO_SUCH_USER: Self = Self::fixed(550, EnhancedCode::new(5, 1, 1), "No such user here");
    /// `550 5.7.1`: mail for other systems is not taken from this peer.
    pub const RELAYING_DENIED: Self = Self::fixed(550, EnhancedCode::new(5, 7, 1), "Relaying denied");
    /// `550 5.7.1`: policy forbids it.
    pub const POLICY: Self = Self::fixed(550, EnhancedCode::new(5, 7, 1), "Refused by policy");
    /// `451 4.3.0`: something failed on this side; the peer should try again.
    pub const TRY_AGAIN: Self = Self::fixed(
        451,
        EnhancedCode::new(4, 3, 0),
        "Local error in processing, try again later",
    );
    /// `452 4.3.1`: there is no room to store the message.
    pub const NO_STORAGE: Self = Self::fixed(452, EnhancedCode::new(4, 3, 1), "Insufficient system storage");
    /// `452 4.2.2`: the mailbox is full.
    pub const OVER_QUOTA: Self = Self::fixed(452, EnhancedCode::new(4, 2, 2), "Mailbox is over its quota");
    /// `452 4.5.3`: more recipients than one transaction may have.
    pub const TOO_MANY_RECIPIENTS: Self = Self::fixed(452, EnhancedCode::new(4, 5, 3), "Too many recipients");
    /// `552 5.3.4`: the message is larger than the limit.
    pub const TOO_BIG: Self = Self::fixed(
        552,
        EnhancedCode::new(5, 3, 4),
        "Message is larger than the limit",
    );
    /// `550 5.6.0`: the body has a CR or LF that is not part of a CRLF.
    pub const BARE_NEWLINE: Self = Self::fixed(
        550,
        EnhancedCode::new(5, 6, 0),
        "Message holds a bare CR or LF (RFC 5321 section 2.3.8)",
    );
    /// `554 5.4.6`: the message came by here too often.
    pub const LOOP: Self = Self::fixed(554, EnhancedCode::new(5, 4, 6), "Routing loop detected");
    /// `421 4.3.2`: the service is not available; ends the session.
    pub const UNAVAILABLE: Self = Self::fixed(
        421,
        EnhancedCode::new(4, 3, 2),
        "Service not available, closing connection",
    );

    const fn fixed(code: u16, enhanced: EnhancedCode, text: &'static str) -> Self {
        Self(Reply::fixed(code, enhanced, text))
    }

    /// Makes a rejection; `text` is cleaned like that of [`Reply::new`].
    ///
    /// # Errors
    ///
    /// [`BadCode`] if `code` is not between 400 and 599, or if `enhanced` belongs to another class.
    pub fn new(code: u16, enhanced: EnhancedCode, text: &str) -> Result<Self, BadCode> {
        Reply::new(code, Some(enhanced), text)?.try_into()
    }

    /// The same rejection with another text.
    #[must_use]
    pub fn with_text(&self, text: &str) -> Self {
        Self(self.0.with_text(text))
    }

    /// The reply that says it.
    pub fn reply(&self) -> &Reply {
        &self.0
    }

    /// Whether the session ends with it.
    pub(crate) fn closes(&self) -> bool {
        self.0.code == 421
    }
}

impl TryFrom<Reply> for Rejection {
    type Error = BadCode;
    fn try_from(reply: Reply) -> Result<Self, BadCode> {
        if reply.is_temporary() || reply.is_permanent() {
            Ok(Self(reply))
        } else {
            Err(BadCode)
        }
    }
}

impl From<Rejection> for Reply {
    fn from(rejection: Rejection) -> Self {
        rejection.0
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The code is out of its range, or the enhanced code is of another class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadCode;

impl fmt::Display for BadCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reply code out of range, or of another class than the enhanced code")
    }
}

impl core::error::Error for BadCode {}

/// `class.subject.detail` of RFC 3463.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedCode {
    /// Makes a code.
    ///
    /// # Panics
    ///
    /// Panics if `class` is not 2, 4 or 5, or if a number is above 999.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        assert!(matches!(class, 2 | 4 | 5), "the class is 2, 4 or 5");
        assert!(subject <= 999 && detail <= 999, "three digits at most");
        Self {
            class,
            subject,
            detail,
        }
    }

    /// Parses `class.subject.detail`; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |part: Option<&str>| {
            let part = part?;
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| digits)
        };
        let mut parts = text.split('.');
        let class = number(parts.next()).filter(|c| matches!(c, 2 | 4 | 5))?;
        let (subject, detail) = (number(parts.next())?, number(parts.next())?);
        parts.next().is_none().then_some(Self {
            class: class as u8,
            subject,
            detail,
        })
    }

    /// 2 (success), 4 (temporary) or 5 (permanent).
    pub fn class(self) -> u8 {
        self.class
    }

    /// The subject, 0 to 999: RFC 3463 §3.
    pub fn subject(self) -> u16 {
        self.subject
    }

    /// The detail, 0 to 999.
    pub fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(reply: &Reply, enhanced: bool) -> String {
        let mut out = SendBuf::new();
        reply.write(&mut out, enhanced);
        String::from_utf8(out.data().to_vec()).unwrap()
    }

    #[test]
    fn no_text_can_inject_a_line() {
        let code = EnhancedCode::new(5, 7, 1);
        let reply = Reply::new(550, Some(code), "a\r250 ok\0\r\nzw\u{f6}lf\r\n").unwrap();
        assert_eq!(sent(&reply, true), "550-5.7.1 a250 ok \r\n550 5.7.1 zw?lf\r\n");
        assert_eq!(sent(&reply, false), "550-a250 ok \r\n550 zw?lf\r\n");
        assert_eq!(reply.to_string(), "550 5.7.1 a250 ok \n550 5.7.1 zw\u{f6}lf");
    }

    #[test]
    fn long_text_is_wrapped_to_the_rfc_limit() {
        let reply = Reply::new(250, Some(EnhancedCode::new(2, 999, 999)), &"x".repeat(2000)).unwrap();
        let sent = sent(&reply, true);
        assert!(sent.split_inclusive("\r\n").all(|line| line.len() <= 512));
        assert_eq!(sent.matches('x').count(), 2000);
        assert_eq!(sent.lines().last().unwrap().chars().nth(3), Some(' '));
    }

    #[test]
    fn rejections_cannot_say_yes() {
        assert_eq!(
            Rejection::new(250, EnhancedCode::new(2, 0, 0), "ok"),
            Err(BadCode)
        );
        assert_eq!(
            Rejection::new(354, EnhancedCode::new(5, 0, 0), "ok"),
            Err(BadCode)
        );
        assert_eq!(
            Rejection::new(450, EnhancedCode::new(5, 0, 0), "no"),
            Err(BadCode)
        );
        assert_eq!(
            Rejection::new(600, EnhancedCode::new(5, 0, 0), "no"),
            Err(BadCode)
        );
        assert!(Rejection::new(599, EnhancedCode::new(5, 0, 0), "no").is_ok());
        assert_eq!(Reply::new(199, None, ""), Err(BadCode));
    }

    #[test]
    fn enhanced_codes_parse_and_print() {
        for code in ["2.0.0", "5.7.11", "4.999.999"] {
            assert_eq!(EnhancedCode::parse(code).unwrap().to_string(), code);
        }
        for wrong in [
            "", "3.0.0", "5.7", "5.7.1.1", "5.1000.0", "5..1", "+5.1.1", "5.+1.1", "5.1.1 ",
        ] {
            assert_eq!(EnhancedCode::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn received_replies_keep_their_meaning() {
        let reply = Reply::received(550, "5.1.1 no\n5.1.1 such user");
        assert_eq!(reply.enhanced(), Some(EnhancedCode::new(5, 1, 1)));
        assert_eq!(reply.text(), "no\nsuch user");
        // A code of another class is text.
        let reply = Reply::received(250, "4.0.0 is the version");
        assert_eq!((reply.enhanced(), reply.text()), (None, "4.0.0 is the version"));
    }
}
