//! Command lines (RFC 1939 §3, RFC 2449 §4)

use crate::text::Text;

/// A command of a client, borrowed from its line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    #[cfg(feature = "apop")]
    Apop {
        user: &'a str,
        digest: &'a str,
    },
    /// Without a mechanism, the client asks which there are.
    Auth {
        mechanism: Option<&'a str>,
        initial: Option<&'a str>,
    },
    Capa,
    Dele(u32),
    Lang(Option<&'a str>),
    List(Option<u32>),
    Noop,
    Pass(&'a str),
    Quit,
    Retr(u32),
    Rset,
    Stat,
    Stls,
    Top {
        message: u32,
        lines: u64,
    },
    Uidl(Option<u32>),
    User(&'a str),
    Utf8,
}

impl<'a> Command<'a> {
    /// Parses a line without its ending.
    ///
    /// # Errors
    ///
    /// What to tell the client.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, Text> {
        let line = core::str::from_utf8(line).map_err(|_| Text::NotUtf8)?;
        if line.chars().any(char::is_control) {
            return Err(Text::ControlCharacter);
        }
        let (verb, rest) = match line.split_once(' ') {
            Some((verb, rest)) => (verb, Some(rest)),
            None => (line, None),
        };
        let args = Args(rest.unwrap_or(""));
        let is = |name: &str| verb.eq_ignore_ascii_case(name);
        if is("USER") {
            return Ok(Self::User(
                args.0.trim_matches(' ').non_empty().ok_or(Text::UserMissing)?,
            ));
        }
        if is("PASS") {
            // The one argument there is, so that spaces belong to it (RFC 1939 §7).
            return Ok(Self::Pass(rest.ok_or(Text::PasswordMissing)?));
        }
        if is("AUTH") {
            let [mechanism, initial] = args.split()?;
            return Ok(Self::Auth { mechanism, initial });
        }
        #[cfg(feature = "apop")]
        if is("APOP") {
            let [user, digest] = args.split()?;
            return Ok(Self::Apop {
                user: user.ok_or(Text::UserMissing)?,
                digest: digest.ok_or(Text::DigestMissing)?,
            });
        }
        if is("LANG") {
            let [range] = args.split()?;
            return Ok(Self::Lang(range));
        }
        if is("TOP") {
            let [message, lines] = args.split()?;
            return Ok(Self::Top {
                message: number(message)?.ok_or(Text::MessageMissing)?,
                lines: number(lines)?.ok_or(Text::LinesMissing)?,
            });
        }
        let with_number = [
            ("RETR", Self::Retr as fn(u32) -> Self),
            ("DELE", Self::Dele),
            ("LIST", |n| Self::List(Some(n))),
            ("UIDL", |n| Self::Uidl(Some(n))),
        ];
        if let Some((name, make)) = with_number.iter().find(|(name, _)| is(name)) {
            let [message] = args.split()?;
            return match (number(message)?, *name) {
                (Some(n), _) => Ok(make(n)),
                (None, "LIST") => Ok(Self::List(None)),
                (None, "UIDL") => Ok(Self::Uidl(None)),
                (None, _) => Err(Text::MessageMissing),
            };
        }
        let bare = match () {
            () if is("CAPA") => Self::Capa,
            () if is("NOOP") => Self::Noop,
            () if is("QUIT") => Self::Quit,
            () if is("RSET") => Self::Rset,
            () if is("STAT") => Self::Stat,
            () if is("STLS") => Self::Stls,
            () if is("UTF8") => Self::Utf8,
            () => return Err(Text::UnknownCommand),
        };
        let [] = args.split()?;
        Ok(bare)
    }
}

/// The arguments of a command. Extra spaces between and behind them are forgiven.
struct Args<'a>(&'a str);

impl<'a> Args<'a> {
    fn split<const N: usize>(self) -> Result<[Option<&'a str>; N], Text> {
        let mut words = self.0.split(' ').filter(|w| !w.is_empty());
        let args = core::array::from_fn(|_| words.next());
        match words.next() {
            None => Ok(args),
            Some(_) => Err(Text::TooManyArguments),
        }
    }
}

trait NonEmpty {
    fn non_empty(&self) -> Option<&Self>;
}

impl NonEmpty for str {
    fn non_empty(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }
}

/// Digits alone: no sign, nothing that does not fit.
fn number<T: core::str::FromStr>(word: Option<&str>) -> Result<Option<T>, Text> {
    let Some(word) = word else { return Ok(None) };
    if !word.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Text::NotANumber);
    }
    word.parse().map(Some).map_err(|_| Text::NumberTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_what_is_wrong_with_them() {
        for (line, want) in [
            ("QUIT", Ok(Command::Quit)),
            ("quit  ", Ok(Command::Quit)),
            ("STAT x", Err(Text::TooManyArguments)),
            ("LIST", Ok(Command::List(None))),
            ("List  2 ", Ok(Command::List(Some(2)))),
            ("LIST 4294967295", Ok(Command::List(Some(u32::MAX)))),
            ("LIST 4294967296", Err(Text::NumberTooLarge)),
            ("LIST -1", Err(Text::NotANumber)),
            ("LIST +1", Err(Text::NotANumber)),
            ("LIST 1 2", Err(Text::TooManyArguments)),
            ("UIDL", Ok(Command::Uidl(None))),
            ("UIDL 007", Ok(Command::Uidl(Some(7)))),
            ("RETR", Err(Text::MessageMissing)),
            ("RETR 1", Ok(Command::Retr(1))),
            ("DELE 0", Ok(Command::Dele(0))),
            ("TOP 1", Err(Text::LinesMissing)),
            ("TOP", Err(Text::MessageMissing)),
            ("TOP 1 0", Ok(Command::Top { message: 1, lines: 0 })),
            (
                "TOP 1 18446744073709551615",
                Ok(Command::Top {
                    message: 1,
                    lines: u64::MAX,
                }),
            ),
            ("TOP 1 18446744073709551616", Err(Text::NumberTooLarge)),
            ("USER", Err(Text::UserMissing)),
            ("USER  ", Err(Text::UserMissing)),
            ("USER a b ", Ok(Command::User("a b"))),
            ("PASS", Err(Text::PasswordMissing)),
            ("PASS ", Ok(Command::Pass(""))),
            ("pass  a b ", Ok(Command::Pass(" a b "))),
            ("PASS p\u{e4}ss", Ok(Command::Pass("p\u{e4}ss"))),
            (
                "AUTH ",
                Ok(Command::Auth {
                    mechanism: None,
                    initial: None,
                }),
            ),
            (
                "AUTH plain =",
                Ok(Command::Auth {
                    mechanism: Some("plain"),
                    initial: Some("="),
                }),
            ),
            ("AUTH a b c", Err(Text::TooManyArguments)),
            ("", Err(Text::UnknownCommand)),
            (" STAT", Err(Text::UnknownCommand)),
            ("utf8", Ok(Command::Utf8)),
            ("UTF8 USER", Err(Text::TooManyArguments)),
            ("LANG", Ok(Command::Lang(None))),
            ("lang  de-AT ", Ok(Command::Lang(Some("de-AT")))),
            ("LANG de en", Err(Text::TooManyArguments)),
            ("LAST", Err(Text::UnknownCommand)),
            ("ST\0AT", Err(Text::ControlCharacter)),
            ("STAT\r", Err(Text::ControlCharacter)),
            ("STAT\t", Err(Text::ControlCharacter)),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), want, "{line:?}");
        }
        #[cfg(feature = "apop")]
        for (line, want) in [
            (
                "APOP bob c4c9",
                Ok(Command::Apop {
                    user: "bob",
                    digest: "c4c9",
                }),
            ),
            ("APOP bob", Err(Text::DigestMissing)),
            ("APOP", Err(Text::UserMissing)),
            ("APOP bob c4c9 x", Err(Text::TooManyArguments)),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), want, "{line:?}");
        }
        assert_eq!(Command::parse(b"USER \xff"), Err(Text::NotUtf8));
    }
}
