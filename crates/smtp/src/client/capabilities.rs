//! What a server offers: the lines of its reply to EHLO (RFC 5321 §4.1.1.1)

use crate::Reply;
use crate::ehlo::Keyword;
use crate::limits::Limits;
use mailwright_sasl::Mechanism;

/// The extensions of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Keyword in capitals, and parameters.
    offered: Vec<(String, String)>,
    keywords: Vec<Keyword>,
}

impl Capabilities {
    pub(super) fn parse(ehlo: &Reply) -> Self {
        // The first line is the server's name. `AUTH=LOGIN` is how some still write `AUTH LOGIN`.
        let keywords = ehlo.lines().skip(1).map(Keyword::parse).collect();
        let offered = (ehlo.lines().skip(1))
            .map(|line| line.split_once([' ', '=']).unwrap_or((line, "")))
            .map(|(keyword, params)| (keyword.to_ascii_uppercase(), params.trim().to_owned()))
            .collect();
        Self { offered, keywords }
    }

    /// Whether it offers the extension of this EHLO keyword, given in capitals.
    pub fn has(&self, keyword: &str) -> bool {
        self.params(keyword).is_some()
    }

    /// The parameters behind an EHLO keyword, given in capitals; `None` if it is not offered.
    pub fn params(&self, keyword: &str) -> Option<&str> {
        (self.offered.iter())
            .find(|(k, _)| k == keyword)
            .map(|(_, params)| params.as_str())
    }

    /// The size of the largest message it takes, in octets; `None` if it does not say (RFC 1870 §4).
    pub fn size_limit(&self) -> Option<u64> {
        self.params("SIZE")?.parse().ok().filter(|size| *size > 0)
    }

    /// What it offers, line by line.
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// What it says of its limits (RFC 9422); nothing if it does not.
    pub fn limits(&self) -> Limits {
        let limits = self.keywords.iter().find_map(|keyword| match keyword {
            Keyword::Limits(limits) => Some(*limits),
            _ => None,
        });
        limits.unwrap_or_default()
    }

    /// The mechanisms of AUTH that this crate knows, too.
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        let lines = self.offered.iter().filter(|(keyword, _)| keyword == "AUTH");
        lines
            .flat_map(|(_, params)| params.split(' '))
            .filter_map(Mechanism::from_name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_say() {
        let reply = "mx.example greets you\nSIZE 1000\n8bitmime\nauth=LOGIN X-OWN\nAUTH PLAIN";
        let capabilities = Capabilities::parse(&Reply::received(250, reply));
        assert!(capabilities.has("8BITMIME") && !capabilities.has("MX.EXAMPLE"));
        assert_eq!(capabilities.size_limit(), Some(1000));
        assert_eq!(capabilities.mechanisms(), [Mechanism::Login, Mechanism::Plain]);
        for none in ["SIZE", "SIZE 0", "SIZE 99999999999999999999", "SIZE x"] {
            let capabilities = Capabilities::parse(&Reply::received(250, &format!("mx\n{none}")));
            assert_eq!(capabilities.size_limit(), None, "{none}");
        }
    }
}
