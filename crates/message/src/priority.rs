//! Priority: Importance and Priority (RFC 2156 §5.3, RFC 4021 §2.1), X-Priority and X-MSMail-Priority

use crate::lex;

/// How important the sender says a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[allow(clippy::exhaustive_enums)] // RFC 4021 §2.1.54 knows no fourth
pub enum Priority {
    /// `low`, `non-urgent`, 4 and 5.
    Low,
    /// `normal` and 3.
    #[default]
    Normal,
    /// `high`, `urgent`, 1 and 2.
    High,
}

impl Priority {
    /// Reads the value of any of the fields; `None` when it is none of theirs.
    ///
    /// ```
    /// use mailwright_message::priority::Priority;
    /// assert_eq!(Priority::parse(b"1 (Highest)"), Some(Priority::High));
    /// assert_eq!(Priority::parse(b"non-urgent"), Some(Priority::Low));
    /// ```
    pub fn parse(value: &[u8]) -> Option<Self> {
        let word = lex::token(value);
        let is = |known: &[&str]| {
            known
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
        };
        if is(&["1", "2", "high", "highest", "urgent"]) {
            Some(Self::High)
        } else if is(&["3", "normal"]) {
            Some(Self::Normal)
        } else if is(&["4", "5", "low", "lowest", "non-urgent"]) {
            Some(Self::Low)
        } else {
            None
        }
    }
}
