//! Names: the resolver, the server's own name forth and back, and what is published for the domains.

use super::{Findings, sts};
use mailwright_dns::{Answer, Name, Question, Record, RecordType, Verdict};
use mailwright_server::Config;
use mailwright_server::dns::{Dns, dns_config};
use mailwright_server::domains::Domains;
use mailwright_server::http::Client;
use mailwright_server::publish::{Found, Plan, Wanted};
use mailwright_server::route::self_test;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use tokio::task::JoinSet;

pub(super) async fn examine(config: &Config, dns: &Dns, client: &Client, findings: &mut Findings) {
    if !resolver(config, findings).await {
        return;
    }
    hostname(config, dns, findings).await;
    let domains = Domains::load(config).map_or_else(|_| config.domains.clone(), |all| all.all().to_vec());
    for domain in &domains {
        match Plan::new(config, domain) {
            Ok(plan) => {
                records(plan.records.clone(), dns, findings).await;
                sts::examine(config, domain, &plan, dns, client, findings).await;
            }
            Err(error) => findings.unknown(
                "dns.record",
                domain,
                error,
                "run the doctor as root, or as the server's user",
            ),
        }
    }
}

/// Whether there is a resolver that answers; without one nothing else can be asked.
async fn resolver(config: &Config, findings: &mut Findings) -> bool {
    const CHECK: &str = "resolver";
    let dns = dns_config(config);
    let servers: Vec<_> = dns
        .servers
        .iter()
        .map(|server| server.address.to_string())
        .collect();
    let about = match servers.is_empty() {
        true => "none".to_owned(),
        false => servers.join(", "),
    };
    let verdict = self_test(&dns).await;
    let local = "let a resolver that validates run on this machine, such as unbound, and name it in `outbound.resolver`";
    match &verdict {
        Verdict::Validates => findings.ok(CHECK, about, verdict),
        Verdict::NotTrusted => findings.warn(
            CHECK,
            about,
            &verdict,
            format!(
                "its word can be forged on the way: {local}, or say `options trust-ad` in /etc/resolv.conf"
            ),
        ),
        Verdict::NotValidating => findings.warn(
            CHECK,
            about,
            &verdict,
            format!("without it DANE does not protect outgoing mail: {local}"),
        ),
        Verdict::AcceptsBroken => findings.fail(CHECK, about, &verdict, format!("use another one: {local}")),
        Verdict::NotKnown(_) => {
            let advice = "no mail can leave without the DNS: see /etc/resolv.conf and `outbound.resolver`";
            findings.fail(CHECK, about, &verdict, advice);
            return false;
        }
        _ => findings.unknown(CHECK, about, &verdict, local),
    }
    true
}

/// Other servers refuse mail from a machine whose name and address do not belong together.
async fn hostname(config: &Config, dns: &Dns, findings: &mut Findings) {
    let host = &config.hostname;
    let Ok(name) = Name::try_from(host) else {
        let advice = "choose a name that other servers can look up";
        return findings.fail("dns.hostname", host, "it is no name of the DNS", advice);
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for kind in [RecordType::A, RecordType::Aaaa] {
        let answer = dns.resolve(Question::new(name.clone(), kind)).await;
        if let Some(failure) = answer.failure() {
            let advice = "ask the name servers of its domain what is wrong";
            return findings.unknown("dns.hostname", host, failure, advice);
        }
        addresses.extend(answer.records().iter().filter_map(Record::address));
    }
    if addresses.is_empty() {
        let advice = format!("publish: {host}. IN A and AAAA, with the public addresses of this machine");
        return findings.fail("dns.hostname", host, "it has no address", advice);
    }
    for address in addresses {
        match is_ours(address) {
            true => findings.ok(
                "dns.hostname",
                host,
                format!("it is {address}, which is this machine"),
            ),
            false => findings.unknown(
                "dns.hostname",
                host,
                format!("it is {address}, which is no address of this machine itself"),
                "that is right where a router translates addresses, and wrong otherwise",
            ),
        }
        reverse(&name, address, dns, findings).await;
    }
}

async fn reverse(host: &Name, address: IpAddr, dns: &Dns, findings: &mut Findings) {
    const CHECK: &str = "dns.reverse";
    let answer = dns
        .resolve(Question::new(Name::reverse(address), RecordType::Ptr))
        .await;
    let names: Vec<&Name> = answer
        .records()
        .iter()
        .filter_map(|record| match record {
            Record::Ptr(name) => Some(name),
            _ => None,
        })
        .collect();
    let advice = format!("let whoever gave you the address publish that its name is {host}");
    match &answer {
        Answer::Failure(failure) => findings.unknown(CHECK, address, failure, advice),
        _ if names.contains(&host) => findings.ok(CHECK, address, format!("its name is {host}")),
        _ if names.is_empty() => findings.fail(
            CHECK,
            address,
            "it has no name: large receivers refuse its mail",
            advice,
        ),
        _ => {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            let seen = format!(
                "its name is {}: large receivers refuse its mail",
                names.join(", ")
            );
            findings.fail(CHECK, address, seen, advice);
        }
    }
}

/// Whether this machine has an address: what is sent there would come from there.
fn is_ours(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let own = UdpSocket::bind((any, 0)).and_then(|socket| {
        // Nothing is sent by this.
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    own.is_ok_and(|own| own.ip() == address)
}

/// All at once: where the DNS is slow, one patience is enough.
async fn records(wanted: Vec<Wanted>, dns: &Dns, findings: &mut Findings) {
    let mut asked = JoinSet::new();
    for (place, wanted) in wanted.into_iter().enumerate() {
        let dns = dns.clone();
        asked.spawn(async move {
            let found = wanted.check(&dns).await;
            (place, wanted, found)
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(place, ..)| *place);
    for (_, wanted, found) in answers {
        record(&wanted, &found, findings);
    }
}

fn record(wanted: &Wanted, found: &Found, findings: &mut Findings) {
    const CHECK: &str = "dns.record";
    // What depends on the address is checked with the name of the server.
    if wanted.name.contains('<') || wanted.value.contains('<') {
        return;
    }
    let about = format!("{} {}", wanted.name, wanted.kind);
    let advice = format!(
        "{}; publish: {}. IN {} {}",
        wanted.purpose, wanted.name, wanted.kind, wanted.value
    );
    let seen = match found {
        Found::Right { found } => return findings.ok(CHECK, about, found.join(", ")),
        Found::Unknown { why } => return findings.unknown(CHECK, about, why, advice),
        Found::Missing => "there is none".to_owned(),
        Found::Different { found } => format!("there is {}", found.join(", ")),
        _ => "it is not as it should be".to_owned(),
    };
    match wanted.needed {
        true => findings.fail(CHECK, about, seen, advice),
        false => findings.warn(CHECK, about, seen, advice),
    }
}
