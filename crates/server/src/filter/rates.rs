//! Rate limits

use super::marks::refusal;
use crate::config::{Protocol, RateLimits};
use crate::judge::{Client, Filter, Judging, Ruling};
use mailwright_filter::client_network;
use mailwright_filter::rate::{Limiter, Rate};
use mailwright_mailbox::Account;
use mailwright_smtp::{Mail, Rcpt};
use std::future::ready;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Counts what clients, senders and accounts do, and has those wait who do it too often.
#[derive(Debug)]
pub struct Rates {
    connections: Table<IpAddr>,
    by_address: Table<IpAddr>,
    by_network: Table<IpAddr>,
    by_sender: Table<String>,
    by_account: Table<String>,
    by_account_daily: Table<String>,
    messages_by_account: Table<String>,
    messages_by_account_daily: Table<String>,
    /// Accounts that the postmaster heard of, and until when nothing more is said of them.
    told: Table<String>,
    alarms: Option<mpsc::Sender<Alarm>>,
}

/// An account sends more than it may: it is broken, or in the hands of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) account: Account,
    /// What there is too much of.
    pub(crate) what: &'static str,
}

/// One kind of limit, if there is one.
#[derive(Debug)]
struct Table<K>(Option<Mutex<Limiter<K>>>);

impl Rates {
    /// Counts from nothing.
    pub fn new(limits: &RateLimits) -> Self {
        Self {
            connections: Table::new(limits.connections_per_address, limits.entries),
            by_address: Table::new(limits.messages_per_address, limits.entries),
            by_network: Table::new(limits.messages_per_network, limits.entries),
            by_sender: Table::new(limits.messages_per_sender, limits.entries),
            by_account: Table::new(limits.recipients_per_account, limits.entries),
            by_account_daily: Table::new(limits.recipients_per_account_daily, limits.entries),
            messages_by_account: Table::new(limits.messages_per_account, limits.entries),
            messages_by_account_daily: Table::new(limits.messages_per_account_daily, limits.entries),
            told: Table::new(Some(Rate::new(1, Duration::from_secs(86_400))), limits.entries),
            alarms: None,
        }
    }

    /// Tells of each account that sends too much, once a day.
    pub(crate) fn telling(self, alarms: mpsc::Sender<Alarm>) -> Self {
        Self {
            alarms: Some(alarms),
            ..self
        }
    }

    fn of_connection(&self, client: &Client) -> Result<(), Busy> {
        if client.trusted || is_near(client) || client.protocol == Protocol::Lmtp {
            return Ok(());
        }
        self.connections.take(
            client_network(client.address.ip(), 32, 64),
            "connections from your address",
        )
    }

    fn of_message(&self, client: &Client, mail: &Mail) -> Result<(), Busy> {
        if let Some(account) = &client.account {
            const WHAT: &str = "messages of this account";
            let name = account.as_str().to_owned();
            self.messages_by_account_daily.check(&name, WHAT)?;
            self.messages_by_account.take(name.clone(), WHAT)?;
            return self.messages_by_account_daily.take(name, WHAT);
        }
        if !client.is_stranger() || is_near(client) {
            return Ok(());
        }
        let ip = client.address.ip();
        // One that is refused for one reason costs nothing of the others.
        let (address, network) = (client_network(ip, 32, 128), client_network(ip, 24, 64));
        let sender = mail.path.address().map(|address| address.as_str().to_lowercase());
        self.by_network.check(&network, "messages from your network")?;
        if let Some(sender) = &sender {
            self.by_sender.check(sender, "messages of this sender")?;
        }
        self.by_address.take(address, "messages from your address")?;
        self.by_network.take(network, "messages from your network")?;
        match sender {
            Some(sender) => self.by_sender.take(sender, "messages of this sender"),
            None => Ok(()),
        }
    }

    fn of_recipient(&self, client: &Client) -> Result<(), Busy> {
        const WHAT: &str = "recipients of this account";
        let Some(account) = &client.account else {
            return Ok(());
        };
        let name = account.as_str().to_owned();
        self.by_account_daily.check(&name, WHAT)?;
        self.by_account.take(name.clone(), WHAT)?;
        self.by_account_daily.take(name, WHAT)
    }

    /// Tells of an account that is held back.
    fn tell(&self, client: &Client, counted: &Result<(), Busy>) {
        let (Some(alarms), Some(account), Err(Busy(what, _))) = (&self.alarms, &client.account, counted)
        else {
            return;
        };
        if self.told.take(account.as_str().to_owned(), what).is_ok() {
            let account = account.clone();
            // If nobody listens, or many tell at once, the log has it.
            let _ = alarms.try_send(Alarm { account, what });
        }
    }
}

/// What there was too much of, and how long to wait.
struct Busy(&'static str, Duration);

impl<K: Hash + Eq + Clone> Table<K> {
    fn new(rate: Option<Rate>, entries: usize) -> Self {
        Self(rate.map(|rate| Mutex::new(Limiter::new(rate, entries))))
    }

    fn take(&self, key: K, what: &'static str) -> Result<(), Busy> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter
            .take(key, 1, super::connect::now())
            .map_err(|wait| Busy(what, wait))
    }

    fn check(&self, key: &K, what: &'static str) -> Result<(), Busy> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        let limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter
            .check(key, super::connect::now())
            .map_err(|wait| Busy(what, wait))
    }
}

/// Whether a client is this machine.
fn is_near(client: &Client) -> bool {
    client.address.ip().to_canonical().is_loopback()
}

impl Filter for Rates {
    fn name(&self) -> &str {
        "rate limits"
    }

    fn reads(&self, _: &Client) -> bool {
        false
    }

    fn connection<'a>(&'a self, client: &'a Client) -> Judging<'a> {
        rule(self.of_connection(client), 421)
    }

    fn sender<'a>(&'a self, client: &'a Client, mail: &'a Mail) -> Judging<'a> {
        let counted = self.of_message(client, mail);
        self.tell(client, &counted);
        rule(counted, 450)
    }

    fn recipient<'a>(&'a self, client: &'a Client, _: &'a Mail, _: &'a Rcpt) -> Judging<'a> {
        let counted = self.of_recipient(client);
        self.tell(client, &counted);
        rule(counted, 450)
    }
}

fn rule<'a>(counted: Result<(), Busy>, code: u16) -> Judging<'a> {
    Box::pin(ready(match counted {
        Ok(()) => Ruling::accept(),
        Err(Busy(what, wait)) => {
            let seconds = wait.as_secs().max(1);
            let words = format!("Too many {what}, try again in {seconds} seconds");
            Ruling::refuse(refusal(code, &words)).because(words)
        }
    }))
}
