//! Local delivery: from an address to the mailboxes it stands for, and what else becomes of a message on its way there
//!
//! ```text
//!  address ─▶ destination ─▶ Targets ─┬─ accounts ─▶ Rules ─▶ Plan ─┬─▶ mailbox   ┐
//!             aliases, lists,         │                             ├─▶ forwarded ├─ ONE commit
//!             SRS, accounts           ├─ lists ─────────────────────┴─▶ members   │
//!                                     └─ elsewhere ─▶ queue ──────────────────────┘
//!                                                                   └─▶ reply of who is away: a commit of its own,
//!                                                                       after that
//! ```
//!
//! # What can be lost, and what can come twice
//!
//! The copy that is kept, what is forwarded and what a list sends are one commit: all of it is durable when the sender is
//! told so, or nothing is, and then the sender comes back. So nothing that was accepted is lost, and nothing comes twice
//! but where any mail can: a client that was not told in time that its message was taken sends it again, and so does the
//! queue of this server where an outcome was lost ([`outbound`](crate::outbound)).
//!
//! The reply of who is away, and the memory of it, are one commit that follows. A crash in between loses the reply, and
//! never makes it two; whatever fails there is logged, and changes nothing about the message. The warning about a quota
//! and the memory of that are one commit as well.
//!
//! Mail that goes in circles: a copy that is forwarded, or sent on by a list, says so by Delivered-To. An account that
//! sees itself there keeps the copy and forwards nothing, so who is in a circle gets a second copy at most. A list that
//! sees itself there, or in List-Id, takes nothing, and the sender is told (5.4.6).

mod away;
mod folders;
mod list;
mod post;
pub mod srs;
pub mod vacation;
mod written;

use crate::config::{Aliases, Config, ConfigError, Lists};
use crate::names;
use crate::shared::Shared;
use mailwright_address::{Domain, EmailAddress, Host, ReversePath};
use mailwright_mailbox::Account;
use std::collections::HashSet;
use std::sync::Arc;

pub use crate::rules::{Arrival, Place, Plan, Rules};
pub use folders::inbox;
pub use list::MailingList;
pub use written::{MessageWriter, WrittenMessage};

pub(crate) use away::is_own as is_own_annotation;
pub(crate) use post::{Directly, Landing, Post, Prepared, Refused, Rest, Stop};

/// Checks the files of aliases, domains and lists that a configuration names.
///
/// # Errors
///
/// When one is there and cannot be understood.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    let aliases = crate::aliases::Aliases::load(config)?;
    crate::lists::Lists::load(config, aliases.domains().clone())?;
    Ok(())
}

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// To accounts and lists here, and to addresses elsewhere that an alias leads to. At least one of them.
    Here(Targets),
    /// To another server: the domain is not one of ours.
    Elsewhere,
    /// Nowhere for the time being: the account whose address it is takes no mail.
    Disabled,
    /// Nowhere: the domain is one of ours, and nobody has this address.
    Nobody,
}

/// Whom an address of ours stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Targets {
    /// Accounts, each once.
    pub accounts: Vec<Account>,
    /// Addresses in other domains, each once.
    pub elsewhere: Vec<EmailAddress>,
    /// Lists, each once.
    pub lists: Vec<Arc<MailingList>>,
    /// What stood behind the names of the accounts that were reached so.
    pub(crate) details: Vec<(Account, String)>,
}

impl<S> Shared<S> {
    /// Finds out where mail for an address goes.
    ///
    /// Of aliases, lists and accounts, in this order, the whole local part is tried first, then what is in front of
    /// its separator (`+`, or what [`separators`](crate::config::Delivery::separators) says); then comes the alias of the
    /// whole domain. Local parts are compared without regard to case. Postmaster is always there (RFC 5321 §4.5.1):
    /// without alias or account, the first account is.
    pub fn destination(&self, address: &EmailAddress) -> Destination {
        match address.domain() {
            Some(domain) if self.is_local(&domain) => {}
            _ => return Destination::Elsewhere,
        }
        let mut search = Search {
            shared: self,
            aliases: self.aliases.all(),
            lists: self.lists.all(),
            targets: Targets::default(),
            seen: HashSet::new(),
            met_disabled: false,
        };
        search.follow(address);
        match search.targets {
            targets if targets == Targets::default() && search.met_disabled => Destination::Disabled,
            targets if targets == Targets::default() => Destination::Nobody,
            targets => Destination::Here(targets),
        }
    }

    /// Whether an account may send mail from an address: one that leads to it, or that it is granted.
    pub fn may_send_as(&self, account: &Account, address: &EmailAddress) -> bool {
        let leads_there = match self.destination(address) {
            Destination::Here(targets) => targets.accounts.contains(account),
            _ => false,
        };
        leads_there || self.accounts.is_granted(account, address)
    }

    /// Whether mail for a domain ends here, however it is written: case does not count, and A-labels are as good as
    /// U-labels.
    pub fn is_local(&self, domain: &Domain) -> bool {
        self.config.anybody || self.domains.has(domain)
    }

    /// The address behind `<postmaster>`, which has no domain.
    pub fn postmaster(&self) -> Option<EmailAddress> {
        let domain = self.config.domains.first()?;
        EmailAddress::new("postmaster", Host::Domain(domain.clone())).ok()
    }

    /// The sender that mail of another domain has when it leaves here for a third one, if that is not the one it came
    /// with.
    pub(crate) fn rewritten(&self, sender: &ReversePath) -> Option<ReversePath> {
        let address = sender.address()?;
        let is_own = address.domain().is_some_and(|domain| self.is_local(&domain));
        let rewriter = self.rewriter.current().filter(|_| !is_own)?;
        let rewritten = rewriter.forward(address, now());
        if rewritten.is_none() {
            tracing::info!(sender = %address, "the address is too long to be rewritten: it stays as it is");
        }
        rewritten.map(ReversePath::Address)
    }

    /// Whether an address is in one of our domains.
    pub(crate) fn is_here(&self, address: &EmailAddress) -> bool {
        address.domain().is_some_and(|domain| self.is_local(&domain))
    }
}

struct Search<'a, S> {
    shared: &'a Shared<S>,
    aliases: Arc<Aliases>,
    lists: Arc<Lists>,
    targets: Targets,
    /// What was followed already: aliases may lead in circles.
    seen: HashSet<String>,
    /// Whether it came to an account that takes no mail.
    met_disabled: bool,
}

impl<S> Search<'_, S> {
    fn follow_all(&mut self, addresses: &[EmailAddress]) {
        addresses.iter().for_each(|address| self.follow(address));
    }

    fn follow(&mut self, address: &EmailAddress) {
        let config = &self.shared.config;
        let Some(domain) = address.domain().filter(|domain| self.shared.is_local(domain)) else {
            if !self.targets.elsewhere.contains(address) {
                self.targets.elsewhere.push(address.clone());
            }
            return;
        };
        let aliases = self.aliases.clone();
        let whole = address.unquoted_local_part().to_lowercase();
        let domain = names::domain_key(&domain);
        let (base, detail) = whole
            .split_once(|c| config.delivery.separators.contains(c))
            .filter(|(base, _)| !base.is_empty())
            .unzip();
        for (local, detail) in [(Some(whole.as_str()), None), (base, detail)] {
            // What is an address as a whole has no detail.
            if local != Some(&whole) && self.follow_special(address, &whole, &domain) {
                return;
            }
            let Some(local) = local else { continue };
            // An alias that leads back to its own name means the account of this name.
            let to = alias(&aliases, local, &domain);
            let first = self.seen.insert(format!("{local}@{domain}"));
            if let Some(to) = to.filter(|_| first) {
                return self.follow_all(to);
            }
            if self.add_list(&format!("{local}@{domain}")) {
                return;
            }
            let name = EmailAddress::new(local, address.host().clone());
            if let Some(account) = name.ok().and_then(|name| self.shared.accounts.at(&name)) {
                // Whose account is disabled keeps the address: it is nobody else's meanwhile.
                match self.shared.accounts.takes_mail(&account) {
                    true => self.targets.add(account, detail),
                    false => self.met_disabled = true,
                }
                return;
            }
            // Another alias led here before: that is no reason to go on to the whole domain. Postmaster is always
            // there, even behind an alias that leads nowhere.
            if to.is_some() && local != "postmaster" {
                return;
            }
        }
        let everything = format!("@{domain}");
        if let Some(to) = aliases
            .get(&everything)
            .filter(|_| self.seen.insert(everything.clone()))
        {
            self.follow_all(to);
        } else if base.unwrap_or(&whole) == "postmaster"
            && let Some(account) = {
                let accounts = &self.shared.accounts;
                accounts
                    .all()
                    .into_iter()
                    .find(|account| accounts.takes_mail(account))
            }
        {
            self.targets.add(account, None);
        }
    }

    /// Follows an address that lists and rewritten senders have beside those that were given; whether it is one.
    fn follow_special(&mut self, address: &EmailAddress, local: &str, domain: &str) -> bool {
        if let Some(owner) = self.owner_of_list(local, domain) {
            if self.seen.insert(format!("{local}@{domain} as owner")) {
                self.follow(&owner);
            }
            return true;
        }
        let rewriter = self
            .shared
            .rewriter
            .current()
            .filter(|_| srs::is_rewritten(local));
        let sender = rewriter.map(|it| it.reverse(&address.unquoted_local_part(), now()));
        match &sender {
            // What it stands for is shorter, so this comes to an end.
            Some(Ok(sender)) => self.follow(sender),
            Some(Err(refusal)) => tracing::info!(%address, "{refusal}"),
            None => {}
        }
        sender.is_some()
    }

    /// Adds the list of this name, if there is one.
    fn add_list(&mut self, name: &str) -> bool {
        let Some(list) = self.lists.get(name) else {
            return false;
        };
        let is_known = self.targets.lists.iter().any(|known| known.is(name));
        if !is_known {
            self.targets
                .lists
                .push(Arc::new(MailingList::new(name, list.clone())));
        }
        true
    }

    /// Who answers for a list, if this is one of its further addresses (RFC 2142 §6).
    fn owner_of_list(&self, local: &str, domain: &str) -> Option<EmailAddress> {
        let names = [
            local.strip_prefix("owner-"),
            local.strip_suffix("-owner"),
            local.strip_suffix("-request"),
        ];
        let mut lists = names
            .into_iter()
            .flatten()
            .map(|name| self.lists.get(&format!("{name}@{domain}")));
        lists.find_map(|list| Some(list?.owner.clone()))
    }
}

impl Targets {
    /// What stood behind the name of an account, if it was reached so: `lists` in `alice+lists@example.org`.
    pub fn detail(&self, account: &Account) -> Option<&str> {
        let found = self.details.iter().find(|(known, _)| known == account);
        found.map(|(_, detail)| detail.as_str())
    }

    fn add(&mut self, account: Account, detail: Option<&str>) {
        if !self.accounts.contains(&account) {
            if let Some(detail) = detail {
                self.details.push((account.clone(), detail.into()));
            }
            self.accounts.push(account);
        }
    }
}

fn alias<'a>(aliases: &'a Aliases, local: &str, domain: &str) -> Option<&'a Vec<EmailAddress>> {
    aliases
        .get(&format!("{local}@{domain}"))
        .or_else(|| aliases.get(local))
}

/// The wall clock, in seconds since 1970.
fn now() -> u64 {
    u64::try_from(crate::clock::unix_now()).unwrap_or(0)
}
