//! LIMITS: what a server says of its limits (RFC 9422)

use crate::number::positive;
use std::fmt;

/// The parameters of the EHLO keyword LIMITS; `None` says nothing about that limit (RFC 9422 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// `MAILMAX`: transactions in a session, 1 to 999999.
    pub mail_max: Option<u32>,
    /// `RCPTMAX`: recipients in a transaction, 1 to 999999.
    pub rcpt_max: Option<u32>,
    /// `RCPTDOMAINMAX`: different domains among the recipients of a transaction, 1 to 999999.
    pub rcpt_domain_max: Option<u32>,
}

impl Limits {
    /// The largest number of any limit.
    pub const MAX: u32 = 999_999;

    /// Parses the parameters. Limits that are not known, and values out of range, are passed over: RFC 9422
    /// §3 has the client go on as if they were not there. The first of several stands.
    pub(crate) fn parse(params: &str) -> Self {
        let mut limits = Self::default();
        for param in params.split(' ') {
            let Some((name, value)) = param.split_once('=') else {
                continue;
            };
            let slot = match () {
                () if name.eq_ignore_ascii_case("MAILMAX") => &mut limits.mail_max,
                () if name.eq_ignore_ascii_case("RCPTMAX") => &mut limits.rcpt_max,
                () if name.eq_ignore_ascii_case("RCPTDOMAINMAX") => &mut limits.rcpt_domain_max,
                () => continue,
            };
            *slot = slot.or_else(|| positive(value, 6));
        }
        limits
    }

    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The parameters, separated by spaces. A limit of 0 cannot be told and is left out; one above
/// [`MAX`](Limits::MAX) is told as that.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("MAILMAX", self.mail_max),
            ("RCPTMAX", self.rcpt_max),
            ("RCPTDOMAINMAX", self.rcpt_domain_max),
        ];
        let mut gap = "";
        for (name, value) in all {
            if let Some(value) = value.filter(|v| *v > 0) {
                write!(f, "{gap}{name}={}", value.min(Self::MAX))?;
                gap = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_say_nothing() {
        let limits = Limits::parse("RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1 OTHER=9 RCPTMAX=30");
        assert_eq!(limits.to_string(), "MAILMAX=5 RCPTMAX=20 RCPTDOMAINMAX=1");
        for wrong in [
            "RCPTMAX=0",
            "RCPTMAX=01",
            "RCPTMAX=1000000",
            "RCPTMAX=-1",
            "RCPTMAX=99999999999999999999",
            "RCPTMAX",
            "RCPTMAX=",
            "RCPTMAX=1;2",
        ] {
            assert!(Limits::parse(wrong).is_empty(), "{wrong}");
        }
        let most = Limits {
            mail_max: Some(0),
            rcpt_max: Some(u32::MAX),
            rcpt_domain_max: None,
        };
        assert_eq!(most.to_string(), "RCPTMAX=999999");
    }
}
