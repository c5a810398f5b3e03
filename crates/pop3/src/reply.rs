//! Status lines and response codes (RFC 1939 §3, RFC 2449 §8, RFC 3206, RFC 6856 §5)

use crate::language::Language;
use crate::text::Text;
use core::fmt;
use mailwright_wire::SendBuf;
use std::borrow::Cow;

/// Why a command was refused, for programs: RFC 2449 §8 and RFC 3206.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseCode {
    /// `IN-USE`: another session has the maildrop (RFC 2449 §8.1.2).
    InUse,
    /// `LOGIN-DELAY`: the user logged in too recently (RFC 2449 §8.1.1).
    LoginDelay,
    /// `SYS/TEMP`: the server's fault, try again later (RFC 3206 §4).
    SysTemp,
    /// `SYS/PERM`: the server's fault, and only its operator can help (RFC 3206 §4).
    SysPerm,
    /// `AUTH`: the credentials are at fault (RFC 3206 §5).
    Auth,
    /// `UTF8`: the message holds UTF-8, and the client is not in UTF-8 mode (RFC 6856 §5).
    Utf8,
}

impl ResponseCode {
    const ALL: [Self; 6] = [
        Self::InUse,
        Self::LoginDelay,
        Self::SysTemp,
        Self::SysPerm,
        Self::Auth,
        Self::Utf8,
    ];

    /// The code as it stands between the brackets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Auth => "AUTH",
            Self::Utf8 => "UTF8",
        }
    }

    /// The code of this name. One that says more than is known here, behind a slash, is what is known of it
    /// (RFC 2449 §8).
    fn from_name(name: &str) -> Option<Self> {
        let is_name = |code: &Self| {
            let (start, more) = name.split_at_checked(code.as_str().len())?;
            let ends = more.is_empty() || more.starts_with('/');
            (ends && start.eq_ignore_ascii_case(code.as_str())).then_some(())
        };
        Self::ALL.into_iter().find(|code| is_name(code).is_some())
    }
}

/// A refusal by the embedder of a server: `-ERR [CODE] text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    code: Option<ResponseCode>,
    text: Sentence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sentence {
    Known(Text),
    Own(Cow<'static, str>),
}

impl Rejection {
    /// Another session has the maildrop open (RFC 1939 §4, RFC 2449 §8.1.2).
    pub const IN_USE: Self = Self::known(Some(ResponseCode::InUse), Text::InUse);
    /// Something is wrong here that is likely to pass.
    pub const UNAVAILABLE: Self = Self::known(Some(ResponseCode::SysTemp), Text::Unavailable);
    /// The deleted messages stay, because nobody may remove messages of this maildrop.
    pub const READ_ONLY: Self = Self::known(Some(ResponseCode::SysPerm), Text::ReadOnly);
    /// The message cannot be given, though it is listed.
    pub const NO_SUCH_MESSAGE: Self = Self::known(None, Text::NoSuchMessage);
    /// The message cannot be given, because it holds UTF-8 where only ASCII may be, and the client is not in
    /// UTF-8 mode (RFC 6856 §5).
    pub const UTF8: Self = Self::known(Some(ResponseCode::Utf8), Text::Utf8Needed);

    /// Makes a refusal. What does not fit on one line is made to: control characters become `?`, and so does
    /// what is not ASCII as long as the client has chosen no language; the end is cut off.
    pub fn new(code: Option<ResponseCode>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: Sentence::Own(text.into()),
        }
    }

    const fn known(code: Option<ResponseCode>, text: Text) -> Self {
        Self {
            code,
            text: Sentence::Known(text),
        }
    }
}

/// A status line that a server sent: what stands behind `+OK` or `-ERR`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The response code, if it is one that is known here; another one is left in the text.
    pub code: Option<ResponseCode>,
    /// The text for people, as the server sent it but for control characters and what is not UTF-8, which
    /// are replaced.
    pub text: String,
}

impl Reply {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let printable = |c: char| if c.is_control() { '?' } else { c };
        let text: String = String::from_utf8_lossy(text)
            .trim()
            .chars()
            .map(printable)
            .collect();
        let coded = text.strip_prefix('[').and_then(|t| t.split_once(']'));
        match coded.and_then(|(name, rest)| Some((ResponseCode::from_name(name)?, rest))) {
            Some((code, rest)) => Self {
                code: Some(code),
                text: rest.trim_start().to_owned(),
            },
            None => Self { code: None, text },
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "[{}] {}", code.as_str(), self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// How a server speaks to people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Voice {
    /// The language that LANG chose. Only from then on text may be UTF-8 (RFC 6856 §3.2).
    language: Option<Language>,
}

impl Voice {
    pub(crate) fn speak(&mut self, language: Language) {
        self.language = Some(language);
    }

    pub(crate) fn language(&self) -> Option<&Language> {
        self.language.as_ref()
    }

    /// `+OK text`
    pub(crate) fn ok(&self, tx: &mut SendBuf, text: Text) {
        self.ok_with(tx, text, [0; 2]);
    }

    /// `+OK text`, with numbers in it.
    pub(crate) fn ok_with(&self, tx: &mut SendBuf, text: Text, numbers: [u64; 2]) {
        tx.put(b"+OK ");
        self.sentence(tx, text, numbers);
    }

    /// `+OK tag text`: how a change of language is told.
    pub(crate) fn ok_tagged(&self, tx: &mut SendBuf, tag: &str, text: Text) {
        tx.put_all([b"+OK ", tag.as_bytes(), b" "]);
        self.sentence(tx, text, [0; 2]);
    }

    /// `-ERR [CODE] text`
    pub(crate) fn err(&self, tx: &mut SendBuf, code: Option<ResponseCode>, text: Text) {
        put_code(tx, code);
        self.sentence(tx, text, [0; 2]);
    }

    pub(crate) fn reject(&self, tx: &mut SendBuf, rejection: &Rejection) {
        put_code(tx, rejection.code);
        match &rejection.text {
            Sentence::Known(text) => self.sentence(tx, *text, [0; 2]),
            Sentence::Own(text) => self.put(tx, text),
        }
    }

    /// Puts what is left of a line. Texts of the embedder must not be able to break the line or its limit.
    pub(crate) fn put(&self, tx: &mut SendBuf, text: &str) {
        put_line(tx, text, self.language.is_some());
    }

    fn sentence(&self, tx: &mut SendBuf, text: Text, numbers: [u64; 2]) {
        let template = match &self.language {
            Some(language) => language.say(text),
            None => text.as_english(),
        };
        match template.contains('{') {
            false => self.put(tx, template),
            true => {
                let [first, second] = numbers.map(|n| n.to_string());
                self.put(tx, &template.replace("{0}", &first).replace("{1}", &second));
            }
        }
    }
}

/// `+OK text` in ASCII.
pub(crate) fn put_ok(tx: &mut SendBuf, text: &str) {
    tx.put(b"+OK ");
    put_line(tx, text, false);
}

fn put_code(tx: &mut SendBuf, code: Option<ResponseCode>) {
    tx.put(b"-ERR ");
    if let Some(code) = code {
        tx.put_all([b"[", code.as_str().as_bytes(), b"] "]);
    }
}

/// Puts text on what is left of a line, and ends it.
pub(crate) fn put_line(tx: &mut SendBuf, text: &str, may_be_utf8: bool) {
    let mut room = MAX_TEXT;
    for c in text.chars() {
        let c = match c {
            ' '..='~' => c,
            c if may_be_utf8 && !c.is_control() => c,
            _ => '?',
        };
        if c.len_utf8() > room {
            break;
        }
        room -= c.len_utf8();
        tx.put(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    tx.put(b"\r\n");
}

/// RFC 1939 §3: status lines have at most 512 octets, with all that stands around the text.
const MAX_TEXT: usize = 420;
