//! Timestamps of reports ([RFC 3339])
//!
//! [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339

/// Prints seconds since 1970 as `2026-11-23T00:00:00Z`.
pub(super) fn format(seconds: u64) -> String {
    let (days, rest) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads such a time, with any offset and with fractions of a second, which are dropped; `None` before 1970.
pub(super) fn parse(text: &str) -> Option<u64> {
    let number = |range: core::ops::Range<usize>| -> Option<u64> {
        let digits = text.get(range)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let at = |place: usize, of: &str| text.get(place..=place).filter(|c| of.contains(*c));
    at(4, "-")?;
    at(7, "-")?;
    at(10, "Tt ")?;
    at(13, ":")?;
    at(16, ":")?;
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let sound = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !sound || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    let zone = text.get(19..)?;
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    let offset = |zone: &str| -> Option<u64> {
        let (hours, minutes) = zone.split_once(':')?;
        let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)
    };
    match zone.chars().next()? {
        'Z' | 'z' if zone.len() == 1 => Some(local),
        '+' => local.checked_sub(offset(&zone[1..])?),
        '-' => Some(local + offset(&zone[1..])?),
        _ => None,
    }
}

/// Year, month and day of a day since 1970. Years are taken to begin in March, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + TO_1970;
    let era = shifted / DAYS_OF_400_YEARS;
    let of_era = shifted % DAYS_OF_400_YEARS;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// The inverse, for years from 1970 on.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year % 400;
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    year / 400 * DAYS_OF_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - TO_1970
}

const DAY: u64 = 86_400;
const DAYS_OF_400_YEARS: u64 = 146_097;
/// From 1 March of the year 0 to 1970.
const TO_1970: u64 = 719_468;
