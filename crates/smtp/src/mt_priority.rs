//! MT-PRIORITY: the order in which messages are carried (RFC 6710)

use std::fmt;

/// The value of `MT-PRIORITY` on MAIL: -9 to 9, where more is sooner (RFC 6710 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority(i8);

impl Priority {
    /// Makes one; `None` if it is out of range.
    pub fn new(level: i8) -> Option<Self> {
        (-9..=9).contains(&level).then_some(Self(level))
    }

    /// RFC 6710 §7: a digit, perhaps with a minus; no plus, no leading zero, no `-0`.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        match *value.as_bytes() {
            [digit @ b'0'..=b'9'] => Some(Self((digit - b'0') as i8)),
            [b'-', digit @ b'1'..=b'9'] => Some(Self(-((digit - b'0') as i8))),
            _ => None,
        }
    }

    /// The level: -9 to 9, 0 for ordinary messages.
    pub fn level(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a priority assignment policy, told with MT-PRIORITY (RFC 6710 §7): 1 to 20 letters, digits, dots,
/// dashes and underscores.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Profile(Box<str>);

impl Profile {
    /// Makes one; `None` if the text is none.
    pub fn new(name: &str) -> Option<Self> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let valid = (1..=20).contains(&name.len()) && name.bytes().all(letter);
        valid.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
