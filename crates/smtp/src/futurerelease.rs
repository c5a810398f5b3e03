//! FUTURERELEASE: messages that are held until a time (RFC 4865)

use crate::number::{decimal, positive};
use std::fmt;

/// The value of `HOLDFOR` or `HOLDUNTIL` on MAIL (RFC 4865 §4); a transaction has one of them at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 4865 §4: an interval or a date
pub enum Hold {
    /// `HOLDFOR`: for this long.
    For(Interval),
    /// `HOLDUNTIL`: until this moment.
    Until(DateTime),
}

/// A number of seconds from 1 to 999999999, 31 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(u32);

impl Interval {
    /// 30 days.
    pub(crate) const DEFAULT_MAX: Self = Self(30 * 86_400);

    /// Makes one; `None` if it is out of range.
    pub fn new(seconds: u32) -> Option<Self> {
        (1..=999_999_999).contains(&seconds).then_some(Self(seconds))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        positive(text, 9).and_then(Self::new)
    }

    /// The number of seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment in UTC, to the second: a `date-time` of RFC 3339 in the years 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(u64);

impl DateTime {
    /// Makes one from seconds since 1970; `None` after the year 9999.
    pub fn from_unix(seconds: u64) -> Option<Self> {
        (seconds <= LAST_SECOND).then_some(Self(seconds))
    }

    /// Seconds since 1970.
    pub fn unix(self) -> u64 {
        self.0
    }

    /// Parses `1999-12-31T23:59:59Z`. A fraction of a second is dropped; an offset other than `Z` is refused
    /// (RFC 4865 §4: normalised to UTC).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let time = rest.strip_prefix(['T', 't'])?.strip_suffix(['Z', 'z'])?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        // Nine digits are nanoseconds.
        decimal(fraction, 9)?;
        let field = |text: &str, at: usize, len: usize| decimal(text.get(at..at + len)?, len);
        let dashes = date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-';
        let colons = time.len() == 8 && time.as_bytes()[2] == b':' && time.as_bytes()[5] == b':';
        if !dashes || !colons {
            return None;
        }
        let (year, month, day) = (field(date, 0, 4)?, field(date, 5, 2)?, field(date, 8, 2)?);
        let (hour, minute, second) = (field(time, 0, 2)?, field(time, 3, 2)?, field(time, 6, 2)?);
        let valid = year >= 1970
            && (1..=12).contains(&month)
            && (1..=month_length(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        valid.then(|| Self(days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second))
    }
}

impl DateTime {
    /// The form of RFC 5322 §3.3: `Mon, 23 Nov 2026 10:30:00 +0000`.
    pub fn rfc5322(self) -> String {
        let (year, month, day) = self.date();
        // 1970-01-01 was a Thursday.
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(self.0 / 86_400 % 7) as usize];
        let month = MONTHS[month as usize - 1];
        let (hour, minute, second) = self.time();
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
    }

    /// Year, month and day.
    fn date(self) -> (u64, u64, u64) {
        let days = self.0 / 86_400;
        let mut year = 1970 + days / 366;
        while days_before(year + 1, 1, 1) <= days {
            year += 1;
        }
        let mut month = 1;
        while month < 12 && days_before(year, month + 1, 1) <= days {
            month += 1;
        }
        (year, month, days - days_before(year, month, 1) + 1)
    }

    /// Hour, minute and second.
    fn time(self) -> (u64, u64, u64) {
        let second = self.0 % 86_400;
        (second / 3600, second / 60 % 60, second % 60)
    }
}

/// The form of RFC 3339.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((year, month, day), (hour, minute, second)) = (self.date(), self.time());
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_length(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let past = year - 1;
    let to_year = past * 365 + past / 4 - past / 100 + past / 400 - 719_162;
    let to_month: u64 = (1..month).map(|m| month_length(year, m)).sum();
    to_year + to_month + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_both_ways() {
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2007-05-01T00:00:01Z", 1_177_977_601),
            ("2026-11-23T10:30:00Z", 1_795_429_800),
            ("9999-12-31T23:59:59Z", LAST_SECOND),
        ] {
            let moment = DateTime::parse(text).unwrap();
            assert_eq!((moment.unix(), moment.to_string().as_str()), (unix, text));
        }
        assert_eq!(
            DateTime::parse("1970-01-01t00:00:01.999z"),
            DateTime::from_unix(1)
        );
        let moment = DateTime::from_unix(1_795_429_800).unwrap();
        assert_eq!(moment.rfc5322(), "Mon, 23 Nov 2026 10:30:00 +0000");
        // A leap second is the second after it.
        assert_eq!(DateTime::parse("1970-01-01T00:00:60Z"), DateTime::from_unix(60));
        assert_eq!(DateTime::from_unix(LAST_SECOND + 1), None);
        for wrong in [
            "",
            "1969-12-31T23:59:59Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-1-01T00:00:000Z",
            "+026-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2026-01-01T00:00:00.0000000000Z",
            "2026\u{e9}01-01T00:00:00Z",
            "2026-01-01T00:0\u{e9}:0Z",
        ] {
            assert_eq!(DateTime::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_prints_as_it_parses() {
        for day in (0..LAST_SECOND / 86_400).step_by(13) {
            let moment = DateTime(day * 86_400 + 86_399);
            assert_eq!(DateTime::parse(&moment.to_string()), Some(moment));
        }
    }
}
