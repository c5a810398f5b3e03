//! Where mail goes: the planner of `mailwright-mx`, with a resolver and the MTA-STS policies of the world.
//!
//! ```text
//!  destination ─▶ Planner ─┬─ questions ─▶ Dns
//!                          └─ policy ────▶ Policies ─▶ memory, file, HTTPS
//! ```

use crate::config::{Config, Endpoint, EndpointHost, FixedRoute, Protocol, RouteTls, SmartHostTls};
use crate::dns::{Asker, Dns, gone};
use crate::policies::Policies;
use crate::random::entropy;
use mailwright_dns::{Config as DnsConfig, Name, SelfTest, Verdict};
use mailwright_mx::sts::Known;
use mailwright_mx::{
    Config as MxConfig, Demand, Destination, Planner, Relay, Route, Rule, Step, Target, TlsRule,
};
use std::sync::Arc;

/// Plans routes; cheap to clone.
#[derive(Debug, Clone)]
pub struct Router {
    dns: Dns,
    mx: Arc<MxConfig>,
    policies: Option<Policies>,
}

impl Router {
    /// A router that knows no MTA-STS policies.
    pub fn new(dns: Dns, mx: MxConfig) -> Self {
        Self {
            dns,
            mx: Arc::new(mx),
            policies: None,
        }
    }

    /// The same router, which looks up MTA-STS policies.
    #[must_use]
    pub fn with_policies(self, policies: Policies) -> Self {
        Self {
            policies: Some(policies),
            ..self
        }
    }

    /// Plans the way of mail to a destination. Dropping the future gives it up.
    pub async fn route(&self, destination: impl Into<Destination>) -> Route {
        self.route_for(destination, Demand::Usual).await
    }

    /// Plans the way of a message whose sender has wishes about TLS. Dropping the future gives it up.
    pub async fn route_for(&self, destination: impl Into<Destination>, demand: Demand) -> Route {
        let seed = u64::from_ne_bytes(entropy());
        let mut planner = Planner::with_demand(destination.into(), self.mx.clone(), seed, demand);
        let mut asker = Asker::new(&self.dns);
        loop {
            match planner.poll() {
                Step::Ask(question) => asker.ask(question),
                Step::Policy(request) => planner.policy(match &self.policies {
                    Some(policies) => policies.find(&request).await,
                    None => Known::default(),
                }),
                Step::Wait => match asker.next().await {
                    Some((question, answer)) => planner.answer(&question, answer),
                    None => asker
                        .give_up()
                        .for_each(|question| planner.answer(&question, gone())),
                },
                Step::Ready(route) => return route,
            }
        }
    }

    /// The resolver.
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// The policies it knows, if it looks them up.
    pub(crate) fn policies(&self) -> Option<&Policies> {
        self.policies.as_ref()
    }

    /// The settings of routes.
    pub fn config(&self) -> &MxConfig {
        &self.mx
    }
}

/// Finds out whether the servers of these settings validate DNSSEC, without which there is no DANE.
pub async fn self_test(config: &DnsConfig) -> Verdict {
    let test = SelfTest::new(config);
    let dns = Dns::start(test.config(config));
    let mut answers = Vec::new();
    for question in test.questions() {
        answers.push((question.clone(), dns.resolve(question.clone()).await));
    }
    test.verdict(&answers)
}

/// The settings of routes that a server's configuration asks for.
///
/// With another port than 25 other servers may live on the addresses of this one, told apart by their ports; then only
/// the listeners on that port are this host.
pub fn mx_config(config: &Config) -> MxConfig {
    let outbound = &config.outbound;
    let mut mx = MxConfig::default();
    mx.port = outbound.port;
    mx.dane = outbound.tls_policies;
    mx.sts = outbound.tls_policies;
    mx.loopback_is_own = outbound.port == SMTP_PORT;
    mx.own_names = Name::try_from(&config.hostname).into_iter().collect();
    let listeners = config
        .listeners
        .iter()
        .filter(|listener| listener.protocol == Protocol::Smtp);
    let addresses = listeners
        .map(|listener| listener.address)
        .filter(|address| address.port() == outbound.port);
    mx.own_addresses = addresses
        .map(|address| address.ip())
        .filter(|address| !address.is_unspecified())
        .collect();
    mx.smart_hosts = outbound
        .smart_host
        .iter()
        .filter_map(|smart_host| Some(relay(&smart_host.endpoint)?.with_tls(smart_host.tls.into())))
        .collect();
    for (domain, route) in &outbound.routes {
        if let (Ok(domain), Some(rule)) = (Name::try_from(domain), rule(route)) {
            mx.add_rule(domain, rule);
        }
    }
    mx
}

/// `None` for a host whose name IDNA has no A-labels for.
fn rule(route: &FixedRoute) -> Option<Rule> {
    let tls = TlsRule::from(route.tls);
    let mut rule = match &route.endpoint {
        Some(endpoint) => Rule::to([relay(endpoint)?.with_tls(tls)]),
        None => Rule::by_mx(tls),
    };
    rule.subdomains = route.subdomains;
    Some(rule)
}

impl From<RouteTls> for TlsRule {
    fn from(tls: RouteTls) -> Self {
        match tls {
            RouteTls::Automatic => Self::Automatic,
            RouteTls::None => Self::Cleartext,
            RouteTls::Opportunistic => Self::Opportunistic,
            RouteTls::Encrypted => Self::Encrypted,
            RouteTls::Verified => Self::Verified,
            RouteTls::Implicit => Self::Implicit,
        }
    }
}

impl From<SmartHostTls> for TlsRule {
    fn from(tls: SmartHostTls) -> Self {
        match tls {
            SmartHostTls::Implicit => Self::Implicit,
            SmartHostTls::Starttls => Self::Verified,
            SmartHostTls::Opportunistic => Self::Opportunistic,
            SmartHostTls::None => Self::Cleartext,
        }
    }
}

/// `None` for a name that IDNA has no A-labels for.
fn relay(endpoint: &Endpoint) -> Option<Relay> {
    let host = match &endpoint.host {
        EndpointHost::Name(name) => Target::Name(Name::try_from(name).ok()?),
        EndpointHost::Address(address) => Target::Address(*address),
    };
    Some(Relay::new(host, endpoint.port))
}

const SMTP_PORT: u16 = 25;
