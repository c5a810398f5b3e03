//! MTA-STS: whether other servers can fetch the policy that is announced, and what it does to mail (RFC 8461 §3, §4).
//!
//! Whether the record has the id of the policy that the configuration makes is seen with the other records.

use super::Findings;
use mailwright_address::Domain;
use mailwright_dns::{Name, Question, Record, RecordType};
use mailwright_mx::sts::{Mode, Policy};
use mailwright_server::Config;
use mailwright_server::dns::Dns;
use mailwright_server::http::Client;
use mailwright_server::publish::{Found, Plan};

const POLICY: &str = "mta-sts.policy";

/// Looks at the policy of a domain, if there is a record that announces one.
pub(super) async fn examine(
    config: &Config,
    domain: &Domain,
    plan: &Plan,
    dns: &Dns,
    client: &Client,
    findings: &mut Findings,
) {
    let record = plan
        .records
        .iter()
        .find(|wanted| wanted.name.starts_with("_mta-sts."));
    let Some(record) = record else { return };
    if matches!(record.check(dns).await, Found::Missing | Found::Unknown { .. }) {
        return;
    }
    let policy = match plan.fetch_policy(client, config.outbound.https_port).await {
        Ok(policy) => policy,
        Err(error) => {
            let advice = format!(
                "other servers do not heed what they cannot fetch: let {} lead to a listener for HTTP of this server at \
                 port 443, with a certificate for that name",
                plan.policy_host()
            );
            return findings.warn(POLICY, &plan.policy_url, error, advice);
        }
    };
    let served: Vec<String> = policy.lines().collect();
    match plan.is_met_by(&policy) {
        true => findings.ok(POLICY, &plan.policy_url, served.join("; ")),
        false => findings.warn(
            POLICY,
            &plan.policy_url,
            format!("another policy is served: {}", served.join("; ")),
            "restart the server if the configuration has changed since it started, or change what serves it in its place",
        ),
    }
    hosts(domain, &policy, dns, findings).await;
}

/// Whether the policy has the hosts that take mail: to others no mail comes where it is enforced.
async fn hosts(domain: &Domain, policy: &Policy, dns: &Dns, findings: &mut Findings) {
    const CHECK: &str = "mta-sts.hosts";

    let Ok(name) = Name::try_from(domain) else { return };
    let answer = dns.resolve(Question::new(name, RecordType::Mx)).await;
    if answer.failure().is_some() || policy.mode() == Mode::None {
        return;
    }
    let exchanges = answer.records().iter().filter_map(|record| match record {
        Record::Mx(mx) => Some(&mx.exchange),
        _ => None,
    });
    let strange: Vec<_> = exchanges
        .filter(|host| !policy.lists(host))
        .map(ToString::to_string)
        .collect();
    if strange.is_empty() {
        return findings.ok(CHECK, domain, "the policy has all hosts that take mail");
    }
    let seen = format!(
        "the policy does not have {}, which takes mail",
        strange.join(", ")
    );
    let advice = "name all of them in `mx` of [mta_sts], or take them out of the DNS";
    match policy.mode() {
        Mode::Enforce => findings.fail(CHECK, domain, seen, advice),
        _ => findings.warn(CHECK, domain, seen, advice),
    }
}
