//! Addresses that make the server misbehave.

use mailwright_smtp::{EnhancedCode, Rejection};
use std::time::Duration;

/// What a local part asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Magic {
    /// The command that names the address is refused.
    Refuse(Rejection),
    /// The message is refused.
    RefuseMessage(Rejection),
    /// The answer takes its time.
    Slow(Duration),
}

impl Magic {
    pub(crate) fn of(local_part: &str) -> Option<Self> {
        if let Some(seconds) = local_part.strip_prefix("slow-") {
            let seconds: u64 = seconds.parse().ok()?;
            return Some(Self::Slow(Duration::from_secs(seconds.min(300))));
        }
        match local_part.strip_prefix("data-") {
            Some(code) => rejection(code).map(Self::RefuseMessage),
            None => rejection(local_part).map(Self::Refuse),
        }
    }
}

/// Reads `550` or `550-5.2.2`.
fn rejection(text: &str) -> Option<Rejection> {
    let (code, enhanced) = match text.split_once('-') {
        Some((code, enhanced)) => (code, Some(EnhancedCode::parse(enhanced)?)),
        None => (text, None),
    };
    let digits = code.len() == 3 && code.bytes().all(|digit| digit.is_ascii_digit());
    let code: u16 = code.parse().ok().filter(|_| digits)?;
    let general = match code {
        400..500 => EnhancedCode::new(4, 0, 0),
        500..600 => EnhancedCode::new(5, 0, 0),
        _ => return None,
    };
    Rejection::new(code, enhanced.unwrap_or(general), "As the address asks for").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(local_part: &str) -> Option<String> {
        match Magic::of(local_part)? {
            Magic::Refuse(rejection) => Some(rejection.reply().to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn codes_are_read_and_other_names_are_just_names() {
        let text = |code: &str| Some(format!("{code} As the address asks for"));
        assert_eq!(refusal("550"), text("550 5.0.0"));
        assert_eq!(refusal("451-4.7.1"), text("451 4.7.1"));
        for name in [
            "bob",
            "250",
            "600",
            "5500",
            "+50",
            "550-",
            "550-4.7.1",
            "550-x",
            "data-",
            "slow-x",
            "slow-",
        ] {
            assert_eq!(Magic::of(name), None, "{name}");
        }
        assert!(matches!(Magic::of("data-554"), Some(Magic::RefuseMessage(_))));
        assert_eq!(Magic::of("slow-3"), Some(Magic::Slow(Duration::from_secs(3))));
        assert_eq!(
            Magic::of("slow-999999"),
            Some(Magic::Slow(Duration::from_secs(300)))
        );
    }
}
