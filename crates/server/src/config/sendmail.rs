//! Mail that the users of this machine hand in by `mailwright sendmail`

use super::is_among;
use super::problem::Problems;
use super::values::{Targets, Text};
use mailwright_address::{Domain, EmailAddress, Host};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The socket over which users of this machine hand mail in, and as whom they send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sendmail {
    /// Where the socket is. Its owner and its group may use it.
    pub socket: PathBuf,
    /// The group of the socket; the server's own, without it. The server has to belong to it.
    pub group: Option<String>,
    /// The domain of the addresses that users have without further ado, `USER@DOMAIN`; the hostname of the server, without
    /// it.
    pub domain: Option<Domain>,
    /// What users may send as besides, by their names. The first address is the one that a user sends as who names none.
    pub send_as: BTreeMap<String, Vec<EmailAddress>>,
}

impl Sendmail {
    /// A socket for the server's own group, and users that send in the name of the host.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            group: None,
            domain: None,
            send_as: BTreeMap::new(),
        }
    }

    /// The domain of users on a host.
    pub fn domain_on<'a>(&'a self, hostname: &'a Domain) -> &'a Domain {
        self.domain.as_ref().unwrap_or(hostname)
    }

    /// As whom a user on a host may send; the first one is meant where none is named. None if the name of the user can
    /// stand in no address, and nothing else is said of it.
    pub fn addresses(&self, user: &str, hostname: &Domain) -> Vec<EmailAddress> {
        let mut all = self.send_as.get(user).cloned().unwrap_or_default();
        let host = Host::Domain(self.domain_on(hostname).clone());
        all.extend(EmailAddress::new(user, host).ok());
        all
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendmailSection {
    socket: PathBuf,
    group: Option<String>,
    domain: Option<Text<Domain>>,
    #[serde(default)]
    send_as: BTreeMap<Spanned<String>, Targets>,
}

impl SendmailSection {
    pub(super) fn into_config(self, folder: &Path, local: &[Domain], found: &mut Problems<'_>) -> Sendmail {
        let mut sendmail = Sendmail::new(folder.join(self.socket));
        sendmail.group = self.group;
        sendmail.domain = self.domain.map(|domain| domain.0);
        for (user, Targets(addresses)) in self.send_as {
            let is_ours = |address: &&EmailAddress| {
                let domain = address.domain();
                domain.is_some_and(|domain| is_among(local, &domain))
            };
            if let Some(strange) = addresses.iter().find(|it| !is_ours(it)) {
                found.add(
                    Some(user.span()),
                    format!(
                        "{} cannot send as {strange}: its domain is not one of ours",
                        user.get_ref()
                    ),
                    Some("add the domain to `domains`, or correct the address"),
                );
            }
            sendmail.send_as.insert(user.into_inner(), addresses);
        }
        sendmail
    }
}
