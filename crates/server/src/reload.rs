//! Taking up another configuration while connections go on
//!
//! ```text
//!  Config ─▶ everything is made from it and checked ── a mistake: nothing has changed
//!               │
//!               ├─▶ sockets of listeners that were not there
//!               ├─▶ another Shared in force: connections and decisions from here on
//!               └─▶ listeners that are gone are closed; who came in by them stays
//! ```

use crate::accounts::Accounts;
use crate::config::{Config, ListenerConfig};
use crate::delivery;
use crate::filter;
use crate::reloads::Reloaded;
use crate::rules;
use crate::server::{Running, StartError, all_listeners, bind, open};
use crate::shared::{Made, Names, Shared};
use mailwright_mailbox::Store;
use std::sync::Arc;

impl<S: Store> Running<S> {
    /// Takes up another configuration. Connections that are open keep what they began with, but for their accounts;
    /// those that come later, the next attempts of the queue, and all other decisions go by the other one.
    ///
    /// # Errors
    ///
    /// When accounts, certificates, keys or an address of it cannot be used, or the data folder is another. The server
    /// goes on as it was then.
    pub async fn reload(&mut self, mut config: Config) -> Result<Reloaded, StartError> {
        let old = self.shared.clone();
        if old.config.data != config.data {
            return Err(StartError::NeedsRestart("`data`"));
        }
        if old.config.store != config.store {
            return Err(StartError::NeedsRestart("`store`"));
        }
        config.anybody = old.config.anybody;
        let mut done = Reloaded {
            changed: changed(&old.config, &config),
            restart: needs_restart(&old.config, &config),
            ..Reloaded::default()
        };
        let prepared = Accounts::prepare(&config)?;
        let names = Names::load(&config)?;
        let tls = old.tls.reloaded(&config)?;
        let dns = old.dns.reloaded(&old.config, &config);
        let before = Some((&old.config, &self.built_in));
        let built_in = filter::from_config(&config, &dns, &self.alarms, before);
        let judges = [&built_in.all[..], &self.brought.filters].concat();
        let judge = old.judge.reloaded(&config, dns.clone(), judges);
        let judge = judge.map_err(|(file, error)| StartError::Dkim { file, error })?;
        let listeners = all_listeners(&config);
        let mut bound = Vec::new();
        let is_fresh = |listener: &&ListenerConfig| {
            let mut entrances = self.entrances.iter();
            !entrances.any(|(entrance, _)| entrance.suits(listener))
        };
        let mut fresh: Vec<_> = listeners.iter().filter(is_fresh).collect();
        // What was handed over comes last: it must not be lost when another address cannot be had.
        fresh.sort_by_key(|listener| self.sockets.has(&listener.name, listener.address));
        for listener in fresh {
            bound.extend(bind(listener.clone(), &mut self.sockets)?);
        }
        // Nothing can fail from here on.
        old.accounts.take_up(prepared);
        let made = Made {
            names,
            rules: rules::of_server(&config, self.brought.rules.clone()),
            tls,
            dns,
            judge,
        };
        let shared = Arc::new(old.reloaded(config, made));
        self.built_in = built_in;
        self.shared = shared.clone();
        self.live.replace(shared.clone());
        self.adjust_entrances(&listeners, &shared, &mut done);
        for listener in bound {
            let (entrance, id) = open(listener, &mut self.listeners, &shared, &self.gate);
            done.opened.push(entrance.address());
            self.entrances.push((entrance, id));
        }
        self.note_addresses();
        for account in shared.accounts.all() {
            let made = delivery::inbox(&shared.store, &account, &shared.config.delivery.folders).await;
            if let Err(error) = made {
                tracing::error!(%account, "the folders of an account could not be made: {error}");
            }
        }
        Ok(done)
    }

    /// Tells the entrances that stay of the other configuration, and closes the others.
    fn adjust_entrances(
        &mut self,
        listeners: &[ListenerConfig],
        shared: &Arc<Shared<S>>,
        done: &mut Reloaded,
    ) {
        for (mut entrance, id) in std::mem::take(&mut self.entrances) {
            match listeners.iter().find(|listener| entrance.suits(listener)) {
                Some(listener) => {
                    entrance.adjust(listener.clone(), shared.clone());
                    self.entrances.push((entrance, id));
                }
                None => {
                    done.closed.push(entrance.config().name.clone());
                    self.listeners.release(id);
                    entrance.close();
                }
            }
        }
    }
}

/// The parts of the configuration that differ, by their names in its file.
fn changed(old: &Config, new: &Config) -> Vec<String> {
    named(&[
        ("hostname", old.hostname != new.hostname),
        (
            "domains",
            (&old.domains, &old.domains_file) != (&new.domains, &new.domains_file),
        ),
        (
            "account",
            (&old.accounts, &old.accounts_file) != (&new.accounts, &new.accounts_file),
        ),
        (
            "aliases",
            (&old.aliases, &old.aliases_file) != (&new.aliases, &new.aliases_file),
        ),
        (
            "tls",
            (&old.certificate, &old.tls) != (&new.certificate, &new.tls),
        ),
        ("acme", old.acme != new.acme),
        ("listener", old.listeners != new.listeners),
        ("plaintext_login", old.plaintext_login != new.plaintext_login),
        ("auth", old.auth != new.auth),
        ("dkim", old.dkim != new.dkim),
        ("outbound", old.outbound != new.outbound),
        ("queue", old.queue != new.queue),
        ("control", old.control != new.control),
        ("sendmail", old.sendmail != new.sendmail),
        ("limits", old.limits != new.limits),
        ("login_limits", old.login_limits != new.login_limits),
        ("password_hash", old.password_hash != new.password_hash),
        ("quota", old.quota != new.quota),
        (
            "filter, dns_lists, greylist, rate_limits",
            old.filtering != new.filtering,
        ),
        ("web, mta_sts", old.web != new.web),
        ("metrics, trace, log", old.observing != new.observing),
        ("from_header", old.from_header != new.from_header),
        ("delivery, lists", old.delivery != new.delivery),
    ])
}

/// The settings that differ and are looked at when the server starts alone.
fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let of_acme = |config: &Config| config.acme.as_ref().and_then(|acme| acme.address);
    let socket = |config: &Config| {
        let settings = config.sendmail.as_ref();
        settings.map(|it| (it.socket.clone(), it.group.clone()))
    };
    let (before, limits) = (&old.limits, &new.limits);
    let (watched, watching) = (&old.observing, &new.observing);
    named(&[
        ("control", old.control != new.control),
        ("sendmail.socket, sendmail.group", socket(old) != socket(new)),
        ("user, group, allow_root", old.service != new.service),
        ("listener.reuse_port", is_shared_otherwise(old, new)),
        ("acme.address", of_acme(old) != of_acme(new)),
        (
            "delivery.quota_warnings",
            old.delivery.quota_warnings != new.delivery.quota_warnings,
        ),
        (
            "outbound.tls_reports",
            old.outbound.tls_reports != new.outbound.tls_reports,
        ),
        ("auth.reports", old.auth.reports != new.auth.reports),
        ("greylist", old.filtering.greylist != new.filtering.greylist),
        ("limits.connections", before.connections != limits.connections),
        (
            "limits.connections_per_address",
            before.connections_per_address != limits.connections_per_address,
        ),
        (
            "limits.connections_per_network",
            before.connections_per_network != limits.connections_per_network,
        ),
        ("limits.ipv6_prefix", before.ipv6_prefix != limits.ipv6_prefix),
        (
            "limits.sessions_per_account",
            before.sessions_per_account != limits.sessions_per_account,
        ),
        (
            "limits.commands_per_account",
            before.commands_per_account != limits.commands_per_account,
        ),
        (
            "limits.password_checks",
            before.password_checks != limits.password_checks,
        ),
        (
            "limits.search_threads",
            before.search_threads != limits.search_threads,
        ),
        ("login_limits", old.login_limits != new.login_limits),
        ("password_hash", old.password_hash != new.password_hash),
        ("trace", watched.trace != watching.trace),
        ("log", watched.log != watching.log),
    ])
}

/// Whether an address that stays is to be shared, and was not, or the other way about.
fn is_shared_otherwise(old: &Config, new: &Config) -> bool {
    let same = |a: &ListenerConfig, b: &ListenerConfig| a.address == b.address && a.name == b.name;
    new.listeners.iter().any(|listener| {
        let mut before = old.listeners.iter().filter(|one| same(one, listener));
        before.any(|one| one.reuse_port != listener.reuse_port)
    })
}

fn named(settings: &[(&str, bool)]) -> Vec<String> {
    let differing = settings.iter().filter(|(_, differs)| *differs);
    differing.map(|(name, _)| (*name).to_owned()).collect()
}
