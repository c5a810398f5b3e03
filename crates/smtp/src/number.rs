//! Numbers of parameters: digits alone, and never a value that does not fit (RFC 1870 §6, RFC 3030 §2)

/// Reads decimal digits, at most `digits` of them; `None` for anything else, a sign and an overflow included.
pub(crate) fn decimal(text: &str, digits: usize) -> Option<u64> {
    let valid = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| valid)
}

/// Reads a number from 1 up that does not begin with a zero: the `%x31-39 *DIGIT` of RFC 4865 and RFC 9422.
pub(crate) fn positive(text: &str, digits: usize) -> Option<u32> {
    let number = decimal(text, digits).filter(|_| !text.starts_with('0'))?;
    u32::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wraps_or_saturates() {
        assert_eq!(decimal("18446744073709551615", 20), Some(u64::MAX));
        assert_eq!(decimal("0010", 20), Some(10));
        for wrong in [
            "",
            "+1",
            "-1",
            "1 ",
            "0x1",
            "18446744073709551616",
            "000000000000000000001",
        ] {
            assert_eq!(decimal(wrong, 20), None, "{wrong}");
        }
        assert_eq!(positive("999999", 6), Some(999_999));
        for wrong in ["0", "01", "1000000", "-1"] {
            assert_eq!(positive(wrong, 6), None, "{wrong}");
        }
    }
}
