//! CHUNKING: messages in counted pieces (RFC 3030 §2)

use crate::number::decimal;
use std::fmt;

/// The argument of BDAT: how many octets follow its line, and whether the message ends with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, clippy::exhaustive_structs)] // RFC 3030 §2: a number and LAST
pub struct Chunk {
    /// Octets that follow the command line; may be 0.
    pub size: u64,
    /// Whether it is the last chunk of the message.
    pub last: bool,
}

impl Chunk {
    /// The largest size that is taken for one: below 2^63 octets.
    pub const MAX: u64 = i64::MAX as u64;

    /// Parses what follows `BDAT `. A number of more than 20 digits, or one above [`MAX`](Self::MAX), is none:
    /// where the next command begins cannot be known then.
    pub(crate) fn parse(args: &str) -> Option<Self> {
        let (size, last) = match args.split_once(' ') {
            Some((size, last)) if last.trim_ascii().eq_ignore_ascii_case("LAST") => (size, true),
            Some(_) => return None,
            None => (args, false),
        };
        Some(Self {
            size: decimal(size, 20).filter(|size| *size <= Self::MAX)?,
            last,
        })
    }
}

/// What follows `BDAT `.
impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.size, if self.last { " LAST" } else { "" })
    }
}
