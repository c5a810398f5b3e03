//! Dates (RFC 5322 §3.3, §4.3)

use crate::lex::{Report, skip_cfws};
use crate::{Defect, DefectKind};

/// A moment, and the time zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DateTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: i64,
    /// Minutes east of UTC. A zone that tells nothing (`-0000`, military letters, unknown names) is 0.
    pub offset: i16,
}

impl DateTime {
    /// A moment in the time zone `offset` minutes east of UTC.
    pub const fn new(unix: i64, offset: i16) -> Self {
        Self { unix, offset }
    }

    /// The date and time of day on a clock in this time zone.
    pub fn civil(self) -> Civil {
        let local = self.unix.saturating_add(i64::from(self.offset) * 60);
        let (days, second) = (local.div_euclid(86_400), local.rem_euclid(86_400) as u32);
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: (second / 3600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            weekday: (days + 4).rem_euclid(7) as u8,
        }
    }
}

/// A date and time of day without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Civil {
    /// Of the proleptic Gregorian calendar.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

/// Reads a date: the current and the obsolete forms of RFC 5322, and of others those of the C library's `ctime`
/// and RFC 3339.
///
/// Comments and white space may stand between all tokens. A year of two digits is 1950 to 2049, one of three
/// digits counts from 1900 (RFC 5322 §4.3). The day of week is not checked. A leap second is the first second
/// behind it. Without a zone the time is UTC, and without a time it is midnight.
///
/// ```
/// use mailwright_message::date;
/// let date = date::parse(b"21 Nov 97 09:55:06 GMT").unwrap();
/// assert_eq!((date.unix, date.offset), (880_106_106, 0));
/// assert_eq!(date::format(date), "Fri, 21 Nov 1997 09:55:06 +0000");
/// ```
pub fn parse(value: &[u8]) -> Option<DateTime> {
    read(value, &mut ())
}

/// As [`parse`]; what is odd is appended to `defects`, with offsets in `value`.
///
/// A date that is odd in form is [`DefectKind::InvalidDate`], and one whose zone is missing or tells nothing is
/// [`DefectKind::UnknownZone`].
pub fn parse_with(value: &[u8], defects: &mut Vec<Defect>) -> Option<DateTime> {
    let date = read(value, defects);
    if date.is_none() {
        defects.defect(DefectKind::InvalidDate, 0);
    }
    date
}

fn read(value: &[u8], report: &mut impl Report) -> Option<DateTime> {
    if let Some(date) = glance(value) {
        return Some(date);
    }
    let mut scan = Scan { input: value, at: 0 };
    let mut word = scan.word();
    if !word.is_empty() && month(word).is_none() {
        scan.eat(b',');
        word = scan.word();
    }
    let date = match word.is_empty() {
        true if scan.digits_ahead() == 4 => iso(&mut scan, report),
        true => rfc(&mut scan, report),
        false => ctime(month(word)?, &mut scan, report),
    }?;
    if scan.peek().is_some() {
        report.defect(DefectKind::InvalidDate, scan.at);
    }
    Some(date)
}

/// Reads a date that is written as nearly all are, `Fri, 21 Nov 1997 09:55:06 -0600`, without looking for comments.
fn glance(value: &[u8]) -> Option<DateTime> {
    let text = value.trim_ascii();
    let text = match text {
        [a, b, c, b',', b' ', rest @ ..] if [a, b, c].iter().all(|l| l.is_ascii_alphabetic()) => rest,
        _ => text,
    };
    let (day, text) = match text {
        [a, b' ', rest @ ..] => (number([b'0', *a])?, rest),
        [a, b, b' ', rest @ ..] => (number([*a, *b])?, rest),
        _ => return None,
    };
    let (name, text) = text.split_at_checked(3)?;
    let month = month(name)?;
    let &[
        b' ',
        y1,
        y2,
        y3,
        y4,
        b' ',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        b' ',
        sign,
        zh1,
        zh2,
        zm1,
        zm2,
    ] = text
    else {
        return None;
    };
    let year = number([y1, y2])? * 100 + number([y3, y4])?;
    let time = (number([h1, h2])?, number([m1, m2])?, number([s1, s2])?);
    let (hours, minutes) = (number([zh1, zh2])?, number([zm1, zm2])?);
    let offset = (hours * 60 + minutes) as i16;
    let offset = match sign {
        b'+' => offset,
        // `-0000` tells nothing.
        b'-' if offset != 0 => -offset,
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(())?;
    moment(year, month, day, time, offset)
}

fn number([tens, ones]: [u8; 2]) -> Option<i64> {
    let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
    is_number.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// `21 Nov 1997 09:55:06 -0600`, the day of week having been read.
fn rfc(scan: &mut Scan<'_>, report: &mut impl Report) -> Option<DateTime> {
    let day = scan.number(2)?;
    let dashed = scan.eat(b'-');
    let month = month(scan.word())?;
    scan.eat(b'-');
    let year = scan.year()?;
    if dashed {
        report.defect(DefectKind::InvalidDate, 0);
    }
    let time = scan.time_or_midnight(report)?;
    let offset = scan.zone_or_utc(report);
    moment(year, month, day, time, offset)
}

/// `Nov 21 09:55:06 1997`, with a zone before or behind the year; or with the year before the time.
fn ctime(month: u8, scan: &mut Scan<'_>, report: &mut impl Report) -> Option<DateTime> {
    report.defect(DefectKind::InvalidDate, 0);
    let day = scan.number(2)?;
    scan.eat(b',');
    if scan.digits_ahead() == 4 {
        let year = scan.year()?;
        let time = scan.time_or_midnight(report)?;
        let offset = scan.zone_or_utc(report);
        return moment(year, month, day, time, offset);
    }
    let time = scan.time()?;
    let zone = match scan.peek() {
        Some(byte) if byte.is_ascii_alphabetic() => zone_name(scan.word()),
        _ => None,
    };
    let year = scan.year()?;
    let offset = zone.unwrap_or_else(|| scan.zone_or_utc(report));
    moment(year, month, day, time, offset)
}

/// `1997-11-21T09:55:06-06:00` (RFC 3339), or with a space for the `T`.
fn iso(scan: &mut Scan<'_>, report: &mut impl Report) -> Option<DateTime> {
    report.defect(DefectKind::InvalidDate, 0);
    let year = scan.year()?;
    scan.eat(b'-').then_some(())?;
    let month = u8::try_from(scan.number(2)?)
        .ok()
        .filter(|month| (1..=12).contains(month))?;
    scan.eat(b'-').then_some(())?;
    let day = scan.number(2)?;
    if matches!(scan.peek(), Some(b'T' | b't')) {
        scan.at += 1;
    }
    let time = scan.time_or_midnight(report)?;
    let offset = scan.zone_or_utc(report);
    moment(year, month, day, time, offset)
}

/// Prints a date as RFC 5322 §3.3 has it: `Fri, 21 Nov 1997 09:55:06 -0600`.
///
/// Years before 1900 and after 9999, which the format does not have, print as the nearest it has.
pub fn format(date: DateTime) -> String {
    let mut out = Vec::with_capacity(32);
    push(date, &mut out);
    String::from_utf8(out).expect("digits and the names of days and months are ASCII")
}

/// As [`format`], appended to `out`.
pub(crate) fn push(date: DateTime, out: &mut Vec<u8>) {
    const DAYS: [&[u8; 5]; 7] = [
        b"Sun, ", b"Mon, ", b"Tue, ", b"Wed, ", b"Thu, ", b"Fri, ", b"Sat, ",
    ];
    const FIRST: i64 = -2_208_902_400;
    const LAST: i64 = 253_402_214_400;
    let date = DateTime {
        unix: date.unix.clamp(FIRST, LAST),
        offset: date.offset.clamp(-1439, 1439),
    };
    let civil = date.civil();
    let minutes = u32::from(date.offset.unsigned_abs());
    let two = |number: u32| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    let [tens, ones] = two(u32::from(civil.day));
    out.extend_from_slice(DAYS[usize::from(civil.weekday)]);
    if tens != b'0' {
        out.push(tens);
    }
    out.extend_from_slice(&[ones, b' ']);
    out.extend_from_slice(MONTHS[usize::from(civil.month) - 1].as_bytes());
    out.push(b' ');
    // FIRST and LAST bound the year.
    let year = u32::try_from(civil.year).unwrap_or_default();
    out.extend_from_slice(&two(year / 100));
    out.extend_from_slice(&two(year % 100));
    for (mark, number) in [
        (b' ', u32::from(civil.hour)),
        (b':', u32::from(civil.minute)),
        (b':', u32::from(civil.second)),
    ] {
        out.push(mark);
        out.extend_from_slice(&two(number));
    }
    out.extend_from_slice(if date.offset < 0 { b" -" } else { b" +" });
    out.extend_from_slice(&two(minutes / 60));
    out.extend_from_slice(&two(minutes % 60));
}

/// Hour, minute, second.
type Time = (i64, i64, i64);

fn moment(year: i64, month: u8, day: i64, (hour, minute, second): Time, offset: i16) -> Option<DateTime> {
    if day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(DateTime::new(local - i64::from(offset) * 60, offset))
}

/// Tokens of a date.
struct Scan<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&mut self) -> Option<u8> {
        self.at = skip_cfws(self.input, self.at);
        self.input.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The letters that come next, perhaps none; a full stop behind them is dropped.
    fn word(&mut self) -> &'a [u8] {
        self.peek();
        let from = self.at;
        while self.input.get(self.at).is_some_and(u8::is_ascii_alphabetic) {
            self.at += 1;
        }
        let word = &self.input[from..self.at];
        if !word.is_empty() && self.input.get(self.at) == Some(&b'.') {
            self.at += 1;
        }
        word
    }

    fn digits(&mut self) -> &'a [u8] {
        self.peek();
        let from = self.at;
        while self.input.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        &self.input[from..self.at]
    }

    /// A number of at most `max` digits; `max` is small enough for no overflow.
    fn number(&mut self, max: usize) -> Option<i64> {
        let digits = self.digits();
        (1..=max).contains(&digits.len()).then(|| value(digits))
    }

    fn year(&mut self) -> Option<i64> {
        let digits = self.digits();
        let year = match digits.len() {
            2..=4 => value(digits),
            _ => return None,
        };
        Some(match digits.len() {
            2 if year < 50 => year + 2000,
            2 | 3 => year + 1900,
            _ => year,
        })
    }

    /// How many digits come next.
    fn digits_ahead(&mut self) -> usize {
        self.peek();
        let rest = &self.input[self.at..];
        rest.iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(rest.len())
    }

    fn time_or_midnight(&mut self, report: &mut impl Report) -> Option<Time> {
        // `November 21, 1997 at 9:55:06 AM`: what people see, and some programs copy.
        if self.eat_word(b"at") {
            report.defect(DefectKind::InvalidDate, self.at);
        }
        if self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return self.time();
        }
        report.defect(DefectKind::InvalidDate, self.at);
        Some((0, 0, 0))
    }

    fn time(&mut self) -> Option<Time> {
        let hour = self.number(2)?;
        if !self.eat(b':') && !self.eat(b'.') {
            return None;
        }
        let minute = self.number(2)?;
        let mut second = 0;
        if self.eat(b':') || self.eat(b'.') {
            second = self.number(2)?;
            if self.input.get(self.at) == Some(&b'.') {
                self.at += 1;
                self.digits();
            }
        }
        let hour = match hour {
            1..=11 if self.eat_word(b"pm") => hour + 12,
            12 if self.eat_word(b"am") => 0,
            1..=12 => {
                let _ = self.eat_word(b"am") || self.eat_word(b"pm");
                hour
            }
            _ => hour,
        };
        Some((hour, minute, second))
    }

    /// Passes over a word that comes next, in any case.
    fn eat_word(&mut self, word: &[u8]) -> bool {
        self.peek();
        let rest = &self.input[self.at..];
        let found = rest
            .get(..word.len())
            .is_some_and(|w| w.eq_ignore_ascii_case(word))
            && !rest.get(word.len()).is_some_and(u8::is_ascii_alphabetic);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn zone_or_utc(&mut self, report: &mut impl Report) -> i16 {
        let at = self.at;
        self.zone().unwrap_or_else(|| {
            report.defect(DefectKind::UnknownZone, at);
            0
        })
    }

    fn zone(&mut self) -> Option<i16> {
        let name = match self.peek()? {
            b'+' | b'-' => None,
            _ => Some(zone_name(self.word())),
        };
        // `GMT+0200` is what programs of the web write: the number says how far from GMT.
        let sign = match (name, self.input.get(self.at)) {
            (None | Some(Some(0)), Some(b'+')) => 1,
            (None | Some(Some(0)), Some(b'-')) => -1,
            (name, _) => return name.flatten(),
        };
        self.at += 1;
        let digits = self.digits();
        let (hours, minutes) = match digits.len() {
            1 | 2 => (value(digits), 0),
            // `+02:00` is not of this RFC, but common.
            3 => (value(&digits[..1]), value(&digits[1..])),
            4 => (value(&digits[..2]), value(&digits[2..])),
            _ => return None,
        };
        let minutes = if digits.len() == 2 && self.eat(b':') {
            self.number(2)?
        } else {
            minutes
        };
        (hours < 24 && minutes < 60).then(|| sign * (hours * 60 + minutes) as i16)
    }
}

fn value(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0'))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The month of a name or of a name cut short, from three letters on.
fn month(word: &[u8]) -> Option<u8> {
    let start = word.get(..3)?;
    let at = MONTHS
        .iter()
        .position(|name| start.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(at as u8 + 1)
}

/// The zones of RFC 822 that say where they are. RFC 5322 §4.3 has all others, the military letters among them,
/// say nothing about the offset.
fn zone_name(name: &[u8]) -> Option<i16> {
    let hours = match name.to_ascii_uppercase().as_slice() {
        b"UT" | b"UTC" | b"GMT" | b"Z" => 0,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => return None,
    };
    Some(hours * 60)
}

fn days_in_month(year: i64, month: u8) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day comes last.
fn days_from_civil(year: i64, month: u8, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    } as u8;
    let year = year_of_era + days.div_euclid(146_097) * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_of_rfc_5322_appendix_a() {
        for (input, want) in [
            (
                "Fri, 21 Nov 1997 09:55:06 -0600",
                "Fri, 21 Nov 1997 09:55:06 -0600",
            ),
            ("Tue, 1 Jul 2003 10:52:37 +0200", "Tue, 1 Jul 2003 10:52:37 +0200"),
            (
                "Thu, 13 Feb 1969 23:32:54 -0330",
                "Thu, 13 Feb 1969 23:32:54 -0330",
            ),
            (
                "Mon, 24 Nov 1997 14:22:01 -0800",
                "Mon, 24 Nov 1997 14:22:01 -0800",
            ),
            // A.5
            (
                "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
                "Thu, 13 Feb 1969 23:32:00 -0330",
            ),
            // A.6.2
            ("21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000"),
            // A.6.3
            (
                "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
                "Fri, 21 Nov 1997 09:55:06 -0600",
            ),
        ] {
            assert_eq!(format(parse(input.as_bytes()).expect(input)), want, "{input}");
        }
    }

    #[test]
    fn the_forms_of_the_wild() {
        for (input, unix, offset) in [
            ("Fri Nov 21 09:55:06 1997", 880_106_106, 0),
            ("Fri Nov 21 09:55:06 EST 1997", 880_124_106, -300),
            ("Fri Nov 21 09:55:06 1997 -0500", 880_124_106, -300),
            ("21-Nov-97 09:55:06 PDT", 880_131_306, -420),
            ("Friday, 21 November 1997 09:55:06 +01:00", 880_102_506, 60),
            ("21 nov 1997 9:55 z", 880_106_100, 0),
            ("21 Nov 1997 09:55:06.123 -0000", 880_106_106, 0),
            ("21 Nov 097 09:55:06 A", 880_106_106, 0),
            ("31 Dec 2016 23:59:60 UT", 1_483_228_800, 0),
            ("29 Feb 2000 00:00 +0000", 951_782_400, 0),
            ("1 Jan 49 00:00 +0000", 2_493_072_000, 0),
            ("1 Jan 50 00:00 +0000", -631_152_000, 0),
            ("21 Nov 1997", 880_070_400, 0),
            ("November 21, 1997 at 9:55:06 AM EST", 880_124_106, -300),
            ("November 21, 1997 at 12:00:01 am", 880_070_401, 0),
            ("21 Nov 1997 3:00 PM GMT", 880_124_400, 0),
            ("21 Nov 1997 12:00 PM +0000", 880_113_600, 0),
            ("21 Nov 1997 3:00 P", 880_081_200, 0),
            ("1997-11-21T09:55:06-05:00", 880_124_106, -300),
            ("1997-11-21 09:55:06Z", 880_106_106, 0),
            ("Fri Nov 21 1997 09:55:06 GMT-0500 (EST)", 880_124_106, -300),
            ("21 Nov 1997 09:55:06 +530", 880_086_306, 330),
        ] {
            let date = parse(input.as_bytes()).expect(input);
            assert_eq!((date.unix, date.offset), (unix, offset), "{input}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for input in [
            "",
            "Fri",
            "Fri,",
            "21",
            "21 Nov",
            "21 Nov 1997 09",
            "1997-13-01",
            "1997-1",
            "21 Xyz 1997 09:55",
            "0 Nov 1997 09:55",
            "31 Nov 1997 09:55",
            "29 Feb 1900 09:55",
            "21 Nov 1997 24:00",
            "21 Nov 1997 09:60",
            "21 Nov 1997 09:55:61",
            "211 Nov 1997 09:55",
            "21 Nov 19977 09:55",
            "99999999999999999999 Nov 1997 09:55",
            "(",
        ] {
            assert_eq!(parse(input.as_bytes()), None, "{input}");
        }
        assert_eq!(parse(b"14 Oct 2012 16:09:01 ---0700").map(|d| d.offset), Some(0));
    }

    #[test]
    fn what_is_odd_is_told() {
        use DefectKind::*;
        for (input, want) in [
            ("Fri, 21 Nov 1997 09:55:06 -0600 (comment)", &[][..]),
            ("21 Nov 97 09:55 GMT", &[]),
            ("21 Nov 1997 09:55:06 Q", &[UnknownZone]),
            ("21 Nov 1997 09:55:06", &[UnknownZone]),
            ("21 Nov 1997", &[InvalidDate, UnknownZone]),
            ("Fri Nov 21 09:55:06 1997", &[InvalidDate, UnknownZone]),
            ("21 Nov 1997 09:55:06 +0000 x", &[InvalidDate]),
            ("next week", &[InvalidDate]),
        ] {
            let mut defects = Vec::new();
            let _ = parse_with(input.as_bytes(), &mut defects);
            assert_eq!(
                defects.iter().map(|d| d.kind).collect::<Vec<_>>(),
                want,
                "{input}"
            );
        }
    }

    #[test]
    fn years_that_the_format_does_not_have() {
        assert_eq!(
            format(DateTime::new(i64::MAX, i16::MAX)),
            "Fri, 31 Dec 9999 23:59:00 +2359"
        );
        assert_eq!(
            format(DateTime::new(i64::MIN, i16::MIN)),
            "Mon, 1 Jan 1900 00:01:00 -2359"
        );
        let _ = DateTime::new(i64::MAX, 1).civil();
        let _ = DateTime::new(i64::MIN, -1).civil();
    }

    proptest! {
        #[test]
        fn format_then_parse(unix in -2_208_902_400i64..253_402_214_400, offset in -1439i16..=1439) {
            let date = DateTime::new(unix, offset);
            prop_assert_eq!(parse(format(date).as_bytes()), Some(date));
        }

        #[test]
        fn any_octets_parse(value in "[0-9A-Za-z:,+(). -]{0,60}") {
            let _ = parse(value.as_bytes());
        }
    }
}
