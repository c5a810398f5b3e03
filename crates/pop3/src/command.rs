//! Command lines (RFC 1939 §3, RFC 2449 §4)

/// A command of a client, borrowed from its line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    Capa,
    Dele(u32),
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
}

impl<'a> Command<'a> {
    /// Parses a line without its ending.
    ///
    /// # Errors
    ///
    /// What to tell the client.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, &'static str> {
        let line = core::str::from_utf8(line).map_err(|_| "command is not UTF-8")?;
        if line.chars().any(char::is_control) {
            return Err("command holds a control character");
        }
        let (verb, rest) = match line.split_once(' ') {
            Some((verb, rest)) => (verb, Some(rest)),
            None => (line, None),
        };
        let args = Args(rest.unwrap_or(""));
        let is = |name: &str| verb.eq_ignore_ascii_case(name);
        if is("USER") {
            return Ok(Self::User(
                args.0
                    .trim_matches(' ')
                    .non_empty()
                    .ok_or("user name is missing")?,
            ));
        }
        if is("PASS") {
            // The one argument there is, so that spaces belong to it (RFC 1939 §7).
            return Ok(Self::Pass(rest.ok_or("password is missing")?));
        }
        if is("AUTH") {
            let [mechanism, initial] = args.split()?;
            return Ok(Self::Auth {
                mechanism: mechanism.ok_or("mechanism is missing")?,
                initial,
            });
        }
        if is("TOP") {
            let [message, lines] = args.split()?;
            return Ok(Self::Top {
                message: number(message)?.ok_or(MISSING_NUMBER)?,
                lines: number(lines)?.ok_or("number of lines is missing")?,
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
                (None, _) => Err(MISSING_NUMBER),
            };
        }
        let bare = match () {
            () if is("CAPA") => Self::Capa,
            () if is("NOOP") => Self::Noop,
            () if is("QUIT") => Self::Quit,
            () if is("RSET") => Self::Rset,
            () if is("STAT") => Self::Stat,
            () if is("STLS") => Self::Stls,
            () => return Err("unknown command"),
        };
        let [] = args.split()?;
        Ok(bare)
    }
}

/// The arguments of a command. Extra spaces between and behind them are forgiven.
struct Args<'a>(&'a str);

impl<'a> Args<'a> {
    fn split<const N: usize>(self) -> Result<[Option<&'a str>; N], &'static str> {
        let mut words = self.0.split(' ').filter(|w| !w.is_empty());
        let args = core::array::from_fn(|_| words.next());
        match words.next() {
            None => Ok(args),
            Some(_) => Err("too many arguments"),
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

const MISSING_NUMBER: &str = "message number is missing";

/// Digits alone: no sign, nothing that does not fit.
fn number<T: core::str::FromStr>(word: Option<&str>) -> Result<Option<T>, &'static str> {
    let Some(word) = word else { return Ok(None) };
    if !word.bytes().all(|b| b.is_ascii_digit()) {
        return Err("argument is not a number");
    }
    word.parse().map(Some).map_err(|_| "number is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_what_is_wrong_with_them() {
        for (line, want) in [
            ("QUIT", Ok(Command::Quit)),
            ("quit  ", Ok(Command::Quit)),
            ("STAT x", Err("too many arguments")),
            ("LIST", Ok(Command::List(None))),
            ("List  2 ", Ok(Command::List(Some(2)))),
            ("LIST 4294967295", Ok(Command::List(Some(u32::MAX)))),
            ("LIST 4294967296", Err("number is too large")),
            ("LIST -1", Err("argument is not a number")),
            ("LIST +1", Err("argument is not a number")),
            ("LIST 1 2", Err("too many arguments")),
            ("UIDL", Ok(Command::Uidl(None))),
            ("UIDL 007", Ok(Command::Uidl(Some(7)))),
            ("RETR", Err("message number is missing")),
            ("RETR 1", Ok(Command::Retr(1))),
            ("DELE 0", Ok(Command::Dele(0))),
            ("TOP 1", Err("number of lines is missing")),
            ("TOP", Err("message number is missing")),
            ("TOP 1 0", Ok(Command::Top { message: 1, lines: 0 })),
            (
                "TOP 1 18446744073709551615",
                Ok(Command::Top {
                    message: 1,
                    lines: u64::MAX,
                }),
            ),
            ("TOP 1 18446744073709551616", Err("number is too large")),
            ("USER", Err("user name is missing")),
            ("USER  ", Err("user name is missing")),
            ("USER a b ", Ok(Command::User("a b"))),
            ("PASS", Err("password is missing")),
            ("PASS ", Ok(Command::Pass(""))),
            ("pass  a b ", Ok(Command::Pass(" a b "))),
            ("PASS p\u{e4}ss", Ok(Command::Pass("p\u{e4}ss"))),
            ("AUTH", Err("mechanism is missing")),
            (
                "AUTH plain =",
                Ok(Command::Auth {
                    mechanism: "plain",
                    initial: Some("="),
                }),
            ),
            ("AUTH a b c", Err("too many arguments")),
            ("", Err("unknown command")),
            (" STAT", Err("unknown command")),
            ("LAST", Err("unknown command")),
            ("ST\0AT", Err("command holds a control character")),
            ("STAT\r", Err("command holds a control character")),
            ("STAT\t", Err("command holds a control character")),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), want, "{line:?}");
        }
        assert_eq!(Command::parse(b"USER \xff"), Err("command is not UTF-8"));
    }
}
