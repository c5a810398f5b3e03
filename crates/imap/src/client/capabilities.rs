//! What a server says it can do (RFC 3501 §7.2.1)

use mailwright_sasl::Mechanism;

/// The capabilities of a server, in its order; compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<Box<str>>);

impl Capabilities {
    /// The most that are kept.
    const MOST: usize = 500;

    pub(super) fn parse(text: &[u8]) -> Self {
        let words = text
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .take(Self::MOST);
        Self(words.map(|word| String::from_utf8_lossy(word).into()).collect())
    }

    /// Whether the server has the capability, such as `IDLE` or `AUTH=PLAIN`.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|c| c.eq_ignore_ascii_case(name))
    }

    /// What stands behind `name=`, such as 35651584 for `APPENDLIMIT`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|c| {
            let (key, value) = c.split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The SASL mechanisms that are known to `mailwright-sasl`.
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        let names = self.0.iter().filter_map(|c| {
            let (key, name) = c.split_once('=')?;
            key.eq_ignore_ascii_case("AUTH").then_some(name)
        });
        names.filter_map(Mechanism::from_name).collect()
    }

    /// Each capability as the server writes it.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|c| &**c)
    }
}
