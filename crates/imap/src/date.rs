//! Dates of SEARCH, APPEND and INTERNALDATE (RFC 3501 §9 `date`, `date-time`)

use std::fmt;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A day of the calendar, without time or zone: the argument of SEARCH SINCE and its kin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Makes a date; `None` if the day does not exist. Years are 0 to 9999.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let valid = year <= 9999 && (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
        valid.then_some(Self { year, month, day })
    }

    /// Parses `1-Feb-1994`, without the optional quotes.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut fields = text.split('-');
        let (day, month, year) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() || !matches!(day.len(), 1 | 2) || year.len() != 4 {
            return None;
        }
        Self::new(digits(year)?, month_number(month)?, digits(day)? as u8)
    }

    /// The year.
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    pub fn month(self) -> u8 {
        self.month
    }

    /// The day, 1 to 31.
    pub fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01.
    pub fn unix_days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        // Years start in March, so that the leap day comes last.
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The date that is `days` after 1970-01-01, held within the years 0 to 9999.
    pub fn from_unix_days(days: i64) -> Self {
        let first = Self {
            year: 0,
            month: 1,
            day: 1,
        };
        let last = Self {
            year: 9999,
            month: 12,
            day: 31,
        };
        let days = days.clamp(first.unix_days(), last.unix_days()) + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = (shifted + 2) % 12 + 1;
        Self {
            year: (era * 400 + year_of_era + i64::from(month <= 2)) as u16,
            month: month as u8,
            day: (of_year - (153 * shifted + 2) / 5 + 1) as u8,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = MONTHS[usize::from(self.month) - 1];
        write!(f, "{}-{month}-{:04}", self.day, self.year)
    }
}

/// A moment with the zone it was written in: INTERNALDATE and the date of APPEND.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    unix: i64,
    offset: i16,
}

impl DateTime {
    /// Makes a moment from seconds since 1970-01-01T00:00:00Z and the zone's minutes east of UTC.
    ///
    /// Zones reach from -99:59 to +99:59 on the wire; what is beyond is taken for UTC, as are moments outside
    /// of the years 0 to 9999 for the nearest one inside.
    pub fn new(unix: i64, offset_minutes: i16) -> Self {
        let offset = if offset_minutes.abs() < 6000 {
            offset_minutes
        } else {
            0
        };
        // A week is more than any zone can shift.
        let unix = unix.clamp(-62_167_219_200 + 604_800, 253_402_300_799 - 604_800);
        Self { unix, offset }
    }

    /// Parses `17-Jul-1996 02:44:25 -0700`, without the quotes. The day may be padded with a space.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim_start_matches(' ');
        let mut fields = text.split(' ');
        let (date, time, zone) = (fields.next()?, fields.next()?, fields.next()?);
        let date = Date::parse(date.as_bytes())?;
        let clock: Vec<u16> = time
            .split(':')
            .map(|t| (t.len() == 2).then(|| digits(t)).flatten())
            .collect::<Option<_>>()?;
        let &[hour, minute, second] = clock.as_slice() else {
            return None;
        };
        let sign = match zone.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let zone = digits(zone.get(1..).filter(|z| z.len() == 4)?)?;
        // 60 is a leap second; it is counted as the first second of the next minute.
        if fields.next().is_some() || hour > 23 || minute > 59 || second > 60 || zone % 100 > 59 {
            return None;
        }
        let offset = sign * (zone / 100 * 60 + zone % 100) as i16;
        let local = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Some(Self::new(
            date.unix_days() * 86_400 + local - i64::from(offset) * 60,
            offset,
        ))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix(self) -> i64 {
        self.unix
    }

    /// The zone, in minutes east of UTC.
    pub fn offset_minutes(self) -> i16 {
        self.offset
    }

    /// The calendar day in the moment's own zone: what SEARCH compares (RFC 3501 §6.4.4).
    pub fn date(self) -> Date {
        Date::from_unix_days((self.unix + i64::from(self.offset) * 60).div_euclid(86_400))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.unix + i64::from(self.offset) * 60;
        let (date, clock) = (self.date(), local.rem_euclid(86_400));
        let month = MONTHS[usize::from(date.month) - 1];
        let sign = if self.offset < 0 { '-' } else { '+' };
        let zone = self.offset.unsigned_abs();
        write!(
            f,
            "{:>2}-{month}-{:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            date.day,
            date.year,
            clock / 3600,
            clock / 60 % 60,
            clock % 60,
            zone / 60,
            zone % 60,
        )
    }
}

fn digits(text: &str) -> Option<u16> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn month_number(name: &str) -> Option<u8> {
    let at = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name))?;
    Some(at as u8 + 1)
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        for (text, unix) in [
            ("17-Jul-1996 02:44:25 -0700", 837_596_665),
            (" 1-Jan-1970 00:00:00 +0000", 0),
            ("29-Feb-2000 23:59:59 +0130", 951_863_399),
            ("31-Dec-1969 23:59:59 +0000", -1),
        ] {
            let moment = DateTime::parse(text.as_bytes()).unwrap();
            assert_eq!(moment.unix(), unix, "{text}");
            assert_eq!(moment.to_string(), text);
        }
        assert_eq!(DateTime::parse(b"1-Jan-1970 00:00:00 +0000").unwrap().unix(), 0);
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        for text in [
            "29-Feb-1900",
            "31-Apr-2020",
            "0-Jan-2020",
            "1-Foo-2020",
            "1-Jan-20",
            "001-Jan-2020",
            "1-Jan-2020-",
            "+1-Jan-2020",
            "",
            "é-Jan-2020",
        ] {
            assert_eq!(Date::parse(text.as_bytes()), None, "{text}");
        }
        for text in [
            "1-Jan-2020 24:00:00 +0000",
            "1-Jan-2020 00:60:00 +0000",
            "1-Jan-2020 0:00:00 +0000",
            "1-Jan-2020 00:00:00 0000",
            "1-Jan-2020 00:00:00 +0060",
            "1-Jan-2020 00:00:00 +00000",
            "1-Jan-2020 00:00 +0000",
            "1-Jan-2020 00:00:00 +0000 ",
            "1-Jan-2020 00:00:00 é00",
        ] {
            assert_eq!(DateTime::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn moments_print_and_parse(unix in -62_000_000_000i64..253_000_000_000, offset in -5999i16..=5999) {
            let moment = DateTime::new(unix, offset);
            prop_assert_eq!(DateTime::parse(moment.to_string().as_bytes()), Some(moment));
        }

        #[test]
        fn days_follow_each_other(days in -719_000i64..2_900_000) {
            let date = Date::from_unix_days(days);
            prop_assert_eq!(date.unix_days(), days);
            prop_assert_eq!(Date::new(date.year, date.month, date.day), Some(date));
            prop_assert!(Date::from_unix_days(days + 1) > date);
            prop_assert_eq!(Date::parse(date.to_string().as_bytes()), Some(date));
        }

        #[test]
        fn no_moment_is_too_far(unix: i64, offset: i16) {
            let moment = DateTime::new(unix, offset);
            prop_assert_eq!(DateTime::parse(moment.to_string().as_bytes()), Some(moment));
        }
    }
}
