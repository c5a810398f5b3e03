//! Settings that are understood, and dangerous.

use super::Findings;
use mailwright_server::config::{AuthMode, Config, Network, PlaintextLogin, Protocol, TlsMode};
use mailwright_server::domains::Domains;
use std::net::IpAddr;

pub(super) fn examine(config: &Config, findings: &mut Findings) {
    relay(config, findings);
    logins(config, findings);
    match config.auth.mode {
        AuthMode::Off => findings.warn(
            "auth",
            "[auth]",
            "mail of others is not checked",
            "set `mode = \"enforce\"`: anybody can write in anybody's name",
        ),
        AuthMode::Mark => findings.warn(
            "auth",
            "[auth]",
            "what fails DMARC is marked, and lands in INBOX",
            "set `mode = \"enforce\"` once you have seen what is marked",
        ),
        _ => findings.ok(
            "auth",
            "[auth]",
            "mail of others is checked, and what fails DMARC is dealt with",
        ),
    }
    let domains = Domains::load(config).map_or_else(|_| config.domains.clone(), |all| all.all().to_vec());
    for domain in &domains {
        let keys = config
            .dkim
            .iter()
            .filter(|key| key.domain.same_as(domain))
            .count();
        match keys {
            0 => findings.warn(
                "dkim",
                domain,
                "its mail is not signed",
                "make a key: mailwright dkim keygen; the largest receivers want one",
            ),
            _ => findings.ok("dkim", domain, format!("keys to sign with: {keys}")),
        }
    }
    if config.listeners.is_empty() {
        findings.fail(
            "listeners",
            "[[listener]]",
            "the server listens nowhere",
            "add listeners",
        );
    }
}

/// Whether strangers could send mail through this server to others.
fn relay(config: &Config, findings: &mut Findings) {
    let mut open = Vec::new();
    for listener in config
        .listeners
        .iter()
        .filter(|it| !it.address.ip().is_loopback())
    {
        for (key, networks) in [
            ("xclient", &listener.smtp.xclient),
            ("xforward", &listener.smtp.xforward),
        ] {
            if is_everybody(networks) {
                open.push(format!("listener {}: {key} believes everybody", listener.name));
            }
        }
        if listener.protocol == Protocol::Lmtp {
            open.push(format!("listener {}: LMTP is open to the network", listener.name));
        }
    }
    if is_everybody(&config.auth.trusted) {
        open.push("[auth] trusts everybody".to_owned());
    }
    match open.is_empty() {
        true => findings.ok(
            "relay",
            "settings",
            "mail for other domains is taken from those alone who log in",
        ),
        false => findings.fail(
            "relay",
            "settings",
            open.join("; "),
            "name the networks of your own proxies alone",
        ),
    }
}

/// Whether networks have addresses in them that are far from each other.
fn is_everybody(networks: &[Network]) -> bool {
    let far: [IpAddr; 2] = [[8, 8, 8, 8].into(), [193, 0, 14, 129].into()];
    far.iter()
        .all(|address| networks.iter().any(|network| network.contains(*address)))
}

/// Whether passwords could be read on their way.
fn logins(config: &Config, findings: &mut Findings) {
    match config.plaintext_login {
        PlaintextLogin::Always => findings.fail(
            "login",
            "plaintext_login",
            "passwords may cross the network in the clear",
            "set `plaintext_login = \"never\"`",
        ),
        PlaintextLogin::Loopback => findings.ok(
            "login",
            "plaintext_login",
            "passwords are taken in the clear from this machine alone",
        ),
        PlaintextLogin::Never => findings.ok("login", "plaintext_login", "no password is taken without TLS"),
    }
    let offers_login = |protocol| matches!(protocol, Protocol::Submission | Protocol::Imap | Protocol::Pop3);
    for listener in &config.listeners {
        let is_public = !listener.address.ip().is_loopback();
        if is_public && offers_login(listener.protocol) && listener.tls == TlsMode::None {
            findings.warn(
                "login",
                format!("listener {}", listener.name),
                "it has no TLS: nobody can log in there, or everybody can be listened to",
                "set `tls = \"implicit\"`",
            );
        }
    }
}
