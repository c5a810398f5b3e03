//! The lines of a reply to EHLO: keywords and their parameters (RFC 5321 §4.1.1.1)

use crate::futurerelease::{DateTime, Interval};
use crate::limits::Limits;
use crate::number::decimal;
use std::fmt;

/// A service extension as a server offers it: one line of its reply to EHLO.
///
/// What a server says is taken as far as it makes sense: parameters that do not parse are as if they were not
/// there, and a keyword that is not known is [`Other`](Keyword::Other).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keyword {
    /// `PIPELINING`: RFC 2920.
    Pipelining,
    /// `SIZE`: RFC 1870. The largest message in octets; `None` if it is not told or has no bound.
    Size(Option<u64>),
    /// `8BITMIME`: RFC 6152.
    EightBitMime,
    /// `SMTPUTF8`: RFC 6531.
    SmtpUtf8,
    /// `CHUNKING`: RFC 3030.
    Chunking,
    /// `BINARYMIME`: RFC 3030.
    BinaryMime,
    /// `DSN`: RFC 3461.
    Dsn,
    /// `ENHANCEDSTATUSCODES`: RFC 2034.
    EnhancedStatusCodes,
    /// `STARTTLS`: RFC 3207.
    StartTls,
    /// `AUTH`: RFC 4954, with the names of the mechanisms as they were written.
    Auth(Vec<String>),
    /// `DELIVERBY`: RFC 2852, with the smallest number of seconds that is taken for [`Mode::Return`].
    ///
    /// [`Mode::Return`]: crate::deliverby::Mode::Return
    DeliverBy(Option<u32>),
    /// `FUTURERELEASE`: RFC 4865, with the longest time and the last moment.
    FutureRelease(Option<(Interval, DateTime)>),
    /// `MT-PRIORITY`: RFC 6710, with the name of a profile.
    MtPriority(Option<String>),
    /// `REQUIRETLS`: RFC 8689.
    RequireTls,
    /// `LIMITS`: RFC 9422.
    Limits(Limits),
    /// `ETRN`: RFC 1985.
    Etrn,
    /// `VRFY`: RFC 5321 §3.5.2.
    Vrfy,
    /// `EXPN`: RFC 5321 §3.5.2.
    Expn,
    /// `HELP`: RFC 5321 §4.1.1.8.
    Help,
    /// `XCLIENT`, with the names of its attributes.
    Xclient(String),
    /// `XFORWARD`, with the names of its attributes.
    Xforward(String),
    /// Any other keyword, in capitals, with its parameters as they were written.
    Other(String, String),
}

impl Keyword {
    /// Parses a line without its code. `AUTH=LOGIN` is how some still write `AUTH LOGIN`.
    pub fn parse(line: &str) -> Self {
        let (keyword, params) = line.split_once([' ', '=']).unwrap_or((line, ""));
        let params = params.trim();
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => Self::Pipelining,
            "SIZE" => Self::Size(decimal(params, 20).filter(|size| *size > 0)),
            "8BITMIME" => Self::EightBitMime,
            "SMTPUTF8" => Self::SmtpUtf8,
            "CHUNKING" => Self::Chunking,
            "BINARYMIME" => Self::BinaryMime,
            "DSN" => Self::Dsn,
            "ENHANCEDSTATUSCODES" => Self::EnhancedStatusCodes,
            "STARTTLS" => Self::StartTls,
            "AUTH" => Self::Auth(words(params)),
            "DELIVERBY" => {
                // RFC 2852 §3: extension tokens may follow a comma.
                let least = params.split(',').next().and_then(|min| decimal(min, 9));
                Self::DeliverBy(least.and_then(|min| u32::try_from(min).ok()))
            }
            "FUTURERELEASE" => {
                let bounds = params.split_once(' ').and_then(|(interval, until)| {
                    Interval::parse(interval).zip(DateTime::parse(until.trim()))
                });
                Self::FutureRelease(bounds)
            }
            "MT-PRIORITY" => Self::MtPriority(words(params).into_iter().next()),
            "REQUIRETLS" => Self::RequireTls,
            "LIMITS" => Self::Limits(Limits::parse(params)),
            "ETRN" => Self::Etrn,
            "VRFY" => Self::Vrfy,
            "EXPN" => Self::Expn,
            "HELP" => Self::Help,
            "XCLIENT" => Self::Xclient(params.into()),
            "XFORWARD" => Self::Xforward(params.into()),
            other => Self::Other(other.into(), params.into()),
        }
    }

    /// The keyword in capitals.
    pub fn name(&self) -> &str {
        match self {
            Self::Pipelining => "PIPELINING",
            Self::Size(_) => "SIZE",
            Self::EightBitMime => "8BITMIME",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Chunking => "CHUNKING",
            Self::BinaryMime => "BINARYMIME",
            Self::Dsn => "DSN",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::StartTls => "STARTTLS",
            Self::Auth(_) => "AUTH",
            Self::DeliverBy(_) => "DELIVERBY",
            Self::FutureRelease(_) => "FUTURERELEASE",
            Self::MtPriority(_) => "MT-PRIORITY",
            Self::RequireTls => "REQUIRETLS",
            Self::Limits(_) => "LIMITS",
            Self::Etrn => "ETRN",
            Self::Vrfy => "VRFY",
            Self::Expn => "EXPN",
            Self::Help => "HELP",
            Self::Xclient(_) => "XCLIENT",
            Self::Xforward(_) => "XFORWARD",
            Self::Other(name, _) => name,
        }
    }
}

/// The line without its code.
impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            // RFC 1870 §4: 0 says that there is no fixed bound.
            Self::Size(size) => write!(f, " {}", size.unwrap_or(0)),
            Self::Auth(mechanisms) => mechanisms.iter().try_for_each(|m| write!(f, " {m}")),
            Self::DeliverBy(Some(least)) => write!(f, " {least}"),
            Self::FutureRelease(Some((interval, until))) => write!(f, " {interval} {until}"),
            Self::MtPriority(Some(profile)) => write!(f, " {profile}"),
            Self::Limits(limits) => write!(f, " {limits}"),
            Self::Xclient(params) | Self::Xforward(params) | Self::Other(_, params) if !params.is_empty() => {
                write!(f, " {params}")
            }
            _ => Ok(()),
        }
    }
}

fn words(params: &str) -> Vec<String> {
    // RFC 5321 §4.1.1.1: no parameter has a control character; what is printed again must have none either.
    let words = params.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_no_part_of_a_parameter() {
        let priority = Keyword::parse("MT-PRIORITY MIXER\u{b}  \u{c}");
        assert_eq!(priority, Keyword::MtPriority(Some("MIXER".into())));
        let auth = Keyword::parse("AUTH PLAIN\u{b}LOGIN");
        assert_eq!(auth.to_string(), "AUTH PLAIN LOGIN");
    }

    #[test]
    fn lines_both_ways() {
        for line in [
            "PIPELINING",
            "SIZE 1000",
            "SIZE 0",
            "AUTH PLAIN LOGIN",
            "DELIVERBY",
            "DELIVERBY 240",
            "FUTURERELEASE 3600 2007-05-01T00:00:00Z",
            "MT-PRIORITY",
            "MT-PRIORITY STANAG4406",
            "LIMITS MAILMAX=5 RCPTMAX=100",
            "XCLIENT NAME ADDR",
            "X-UNKNOWN with words",
        ] {
            assert_eq!(Keyword::parse(line).to_string(), line);
        }
        assert_eq!(Keyword::parse("auth=Plain").to_string(), "AUTH Plain");
        assert_eq!(Keyword::parse("deliverby 30,ext").to_string(), "DELIVERBY 30");
    }

    #[test]
    fn numbers_out_of_range_are_as_if_not_told() {
        for (line, none) in [
            ("SIZE 18446744073709551616", Keyword::Size(None)),
            ("SIZE -1", Keyword::Size(None)),
            ("DELIVERBY 1000000000", Keyword::DeliverBy(None)),
            (
                "FUTURERELEASE 0 2007-05-01T00:00:00Z",
                Keyword::FutureRelease(None),
            ),
            (
                "FUTURERELEASE 1000000000 2007-05-01T00:00:00Z",
                Keyword::FutureRelease(None),
            ),
            ("FUTURERELEASE 3600", Keyword::FutureRelease(None)),
            ("LIMITS RCPTMAX=1000000", Keyword::Limits(Limits::default())),
        ] {
            assert_eq!(Keyword::parse(line), none, "{line}");
        }
    }
}
