//! Mail programs set themselves up: their settings over HTTP, and the MTA-STS policy (RFC 8461 §3.3)
//!
//! | who | asks |
//! |---|---|
//! | Thunderbird, Evolution, KMail | `GET /mail/config-v1.1.xml`, `GET /.well-known/autoconfig/mail/config-v1.1.xml`; without TLS too |
//! | Outlook | `POST /autodiscover/autodiscover.xml`, `GET /autodiscover/autodiscover.json` |
//! | iPhone, iPad, Mac | `GET /apple.mobileconfig?email=ADDRESS` |
//! | mail servers | `GET /.well-known/mta-sts.txt` of the host `mta-sts.DOMAIN` |
//!
//! All that is told is what listeners offer, whatever the address: whether an account is there is not. Without TLS
//! the rest is led to HTTPS.

mod autoconfig;
mod autodiscover;
mod mobileconfig;
mod monitor;
mod xml;

use crate::Stream;
use crate::config::Config;
use crate::domains::Domains;
use crate::http::server::{self, Limits, Method, Reply, Request};
use crate::metrics::Status;
use crate::names::domain_key;
use crate::offer::{self, Service};
use crate::publish::sts_policy;
use crate::shared::Shared;
use autodiscover::Refusal;
use hyper::header;
use mailwright_address::{Domain, EmailAddress};
use mailwright_mailbox::Store;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) use monitor::serve as serve_monitor;

/// Serves one connection until it ends.
pub(crate) async fn serve<S: Store>(shared: Arc<Shared<S>>, stream: Stream, peer: SocketAddr) {
    let secure = stream.is_tls() || shared.config.web.behind_tls;
    let answer = |request: Request| {
        let reply = Site::new(&shared.config, &shared.domains, secure).answer(&request);
        shared.metrics.requests.of(Status::of(reply.status)).count();
        let (method, path, status) = (&request.method, &request.path, reply.status);
        tracing::debug!(%peer, %method, path, host = request.host, status, "HTTP");
        std::future::ready(reply)
    };
    let served = server::serve(stream, Limits::default(), &shared.shutdown, answer).await;
    if let Err(error) = served {
        tracing::debug!(%peer, "HTTP: {error}");
    }
}

/// What a server tells over HTTP.
struct Site<'a> {
    config: &'a Config,
    domains: &'a Domains,
    /// Nobody on the way can read or change what is told.
    secure: bool,
}

const XML: &str = "text/xml; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

impl<'a> Site<'a> {
    fn new(config: &'a Config, domains: &'a Domains, secure: bool) -> Self {
        Self {
            config,
            domains,
            secure,
        }
    }

    fn answer(&self, request: &Request) -> Reply {
        let path = request.path.to_ascii_lowercase();
        let page: fn(&Self, &Request) -> Reply = match path.as_str() {
            "/mail/config-v1.1.xml" | "/.well-known/autoconfig/mail/config-v1.1.xml" => Self::autoconfig,
            // Outlook posts, and asks by GET only to be led elsewhere.
            "/autodiscover/autodiscover.xml" if self.secure => return self.autodiscover(request),
            _ if !self.secure => Self::to_https,
            "/.well-known/mta-sts.txt" => Self::policy,
            "/apple.mobileconfig" => Self::mobileconfig,
            json if json.starts_with("/autodiscover/autodiscover.json") => Self::autodiscover_json,
            _ => return not_found(),
        };
        match request.method {
            Method::GET | Method::HEAD => page(self, request),
            _ => Reply::text(405, "Only GET is known here").with(header::ALLOW, "GET, HEAD"),
        }
    }

    fn autoconfig(&self, request: &Request) -> Reply {
        let domain = match request.parameter("emailaddress") {
            Some(address) => self.address(&address).map(|(_, domain)| domain),
            None => self.domain_of(&request.host, "autoconfig."),
        };
        let services = self.services();
        match domain.filter(|_| !services.is_empty()) {
            Some(domain) => Reply::new(200, XML, autoconfig::document(&domain, &services)),
            None => not_found(),
        }
    }

    fn autodiscover(&self, request: &Request) -> Reply {
        if request.method != Method::POST {
            return Reply::text(405, "Only POST is known here").with(header::ALLOW, "POST");
        }
        let address = autodiscover::address(&request.body);
        let address = address.and_then(|address| self.address(&address).ok_or(Refusal::Address));
        let text = match address {
            Ok((address, _)) => autodiscover::settings(&address, &self.services()),
            Err(why) => autodiscover::refusal(why),
        };
        Reply::new(200, XML, text)
    }

    /// Asked as `/autodiscover/autodiscover.json?Email=ADDRESS&Protocol=NAME` or
    /// `/autodiscover/autodiscover.json/v1.0/ADDRESS?Protocol=NAME`.
    fn autodiscover_json(&self, request: &Request) -> Reply {
        let of_path = request
            .path
            .rsplit_once('/')
            .map(|(_, last)| last.replace("%40", "@"));
        let address = request.parameter("email").or(of_path);
        let Some((_, domain)) = address.and_then(|address| self.address(&address)) else {
            return not_found();
        };
        let protocol = request.parameter("protocol").unwrap_or_default();
        let url = format!("https://autodiscover.{domain}/autodiscover/autodiscover.xml");
        match autodiscover::whereabouts(&protocol, &url) {
            Some(text) => Reply::new(200, JSON, text),
            None => Reply::new(400, JSON, autodiscover::no_such_protocol()),
        }
    }

    fn mobileconfig(&self, request: &Request) -> Reply {
        let address = request
            .parameter("email")
            .and_then(|address| self.address(&address));
        let profile =
            address.and_then(|(address, domain)| mobileconfig::profile(&address, &domain, &self.services()));
        match profile {
            Some(profile) => Reply::new(200, "application/x-apple-aspen-config", profile).with(
                header::CONTENT_DISPOSITION,
                "attachment; filename=\"mail.mobileconfig\"",
            ),
            None => not_found(),
        }
    }

    fn policy(&self, request: &Request) -> Reply {
        let is_host = request.host.starts_with("mta-sts.");
        match self.domain_of(&request.host, "mta-sts.").filter(|_| is_host) {
            Some(_) => Reply::new(200, "text/plain", sts_policy(self.config)),
            None => not_found(),
        }
    }

    /// Leads to the same page over HTTPS, if the host is one of ours: whoever asks for another is not led anywhere.
    fn to_https(&self, request: &Request) -> Reply {
        let known = ["autoconfig.", "autodiscover.", "mta-sts.", ""];
        let mut known = known
            .iter()
            .filter_map(|prefix| self.domain_of(&request.host, prefix));
        if known.next().is_none() {
            return not_found();
        }
        let query = match request.query.as_str() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        let place = format!("https://{}{}{query}", request.host, request.path);
        Reply::text(302, "This page is to be had over HTTPS").with(header::LOCATION, &place)
    }

    /// The domain that a host stands for: one of ours, with this in front or not. The server's own name stands for the
    /// first one.
    fn domain_of(&self, host: &str, prefix: &str) -> Option<String> {
        if host == domain_key(&self.config.hostname) {
            return self.domains.all().first().map(domain_key);
        }
        let domain = host.strip_prefix(prefix).unwrap_or(host);
        self.local(&Domain::parse(domain).ok()?)
    }

    /// An address in a domain of ours, and the domain.
    fn address(&self, text: &str) -> Option<(String, String)> {
        let address: EmailAddress = text.trim().parse().ok()?;
        let domain = self.local(&address.domain()?)?;
        Some((address.to_string(), domain))
    }

    fn local(&self, domain: &Domain) -> Option<String> {
        let is_local = self.config.anybody || self.domains.has(domain);
        is_local.then(|| domain_key(domain))
    }

    fn services(&self) -> Vec<Service> {
        offer::services(self.config)
    }
}

fn not_found() -> Reply {
    Reply::text(404, "There is nothing here")
}
