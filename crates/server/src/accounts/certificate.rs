//! Logins by certificate: EXTERNAL (RFC 4422 Appendix A)

use super::{Accounts, account_of};
use crate::config::Fingerprint;
use crate::tls::{fingerprint, mail_addresses};
use mailwright_sasl::Answer;

impl Accounts {
    /// The account that the certificate of a client, which an authority of ours has vouched for, may act as: `authzid`,
    /// or the first it stands for. It stands for the account whose entry has its fingerprint, and for those that it names
    /// as mail addresses.
    pub fn of_certificate(&self, certificate: &[u8], authzid: Option<&str>) -> Option<String> {
        let known = {
            let known = self.current();
            let of_print = Fingerprint::new(fingerprint(certificate));
            known.by_certificate.get(&of_print).map(ToString::to_string)
        };
        let wanted = authzid.map(|name| self.find(name));
        let named = mail_addresses(certificate);
        let all = known.into_iter().chain(named);
        // An address is the whole name of an account; anything else would be completed.
        let entries = all
            .filter(|name| name.contains('@'))
            .filter_map(|name| self.entry(&name));
        let mut fitting = entries.filter(|entry| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.as_ref() == Some(&account_of(entry)))
        });
        // Where everybody has an account, certificates prove nothing.
        let entry = fitting.next().filter(|_| !self.anybody)?;
        Some(entry.name.to_string())
    }

    /// Answers the question of EXTERNAL for a client with a certificate.
    pub fn answer_external(&self, certificate: Option<&[u8]>, authzid: Option<&str>) -> Answer {
        match certificate.and_then(|certificate| self.of_certificate(certificate, authzid)) {
            Some(name) => Answer::AcceptAs(name),
            None => Answer::Deny,
        }
    }
}
