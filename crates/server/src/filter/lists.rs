//! Lists in the DNS (RFC 5782)

use super::marks::{prepend, refusal};
use crate::config::DnsLists;
use crate::dns::Dns;
use crate::judge::{Action, Client, Filter, Judging, Message, Ruling, Transaction};
use crate::metrics::{Task, counted};
use mailwright_address::ForwardPath;
use mailwright_dns::{Name, Question, Record, RecordType};
use mailwright_filter::dns_list::{List, Listing, weigh};
use mailwright_smtp::{Mail, Rcpt};
use std::net::IpAddr;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Looks strangers up in lists.
///
/// Clients above the limit are refused at their recipients, so that the log tells whom they wanted; postmaster hears them
/// all the same (RFC 5321 §4.5.1). The resolver remembers answers, so a question is asked once.
#[derive(Debug)]
pub struct Listed {
    config: DnsLists,
    dns: Dns,
}

/// What lists say of a client.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Standing {
    /// The sum of the weights.
    pub weight: f64,
    /// The zones that list it.
    pub zones: Vec<String>,
}

impl Listed {
    /// Looks clients up by `dns`.
    pub fn new(config: DnsLists, dns: Dns) -> Self {
        Self { config, dns }
    }

    /// Asks all lists about a client at once.
    pub async fn standing(&self, client: IpAddr) -> Standing {
        let mut asking = JoinSet::new();
        for (place, list) in self.config.lists.iter().enumerate() {
            let (dns, list, limit) = (self.dns.clone(), list.clone(), self.config.timeout);
            let asked = async move {
                let asked = timeout(limit, ask(&dns, &list, client)).await;
                (place, asked.unwrap_or(Listing::Broken))
            };
            asking.spawn(counted(Task::Lookup, asked));
        }
        let mut listings = vec![Listing::Broken; self.config.lists.len()];
        while let Some(answered) = asking.join_next().await {
            if let Ok((place, listing)) = answered {
                listings[place] = listing;
            }
        }
        let lists = || self.config.lists.iter().zip(listings.iter().copied());
        for (list, _) in lists().filter(|(_, listing)| *listing == Listing::Broken) {
            tracing::warn!(zone = list.zone, "a list in the DNS does not answer as lists do");
        }
        let zones = lists().filter(|(_, listing)| *listing == Listing::Listed);
        Standing {
            weight: weigh(lists()),
            zones: zones.map(|(list, _)| list.zone.clone()).collect(),
        }
    }
}

async fn ask(dns: &Dns, list: &List, client: IpAddr) -> Listing {
    let Ok(name) = Name::parse(&list.name(client)) else {
        return Listing::Broken;
    };
    let answer = dns.resolve(Question::new(name, RecordType::A)).await;
    if answer.failure().is_some() {
        return Listing::Broken;
    }
    let addresses = answer.records().iter().filter_map(Record::address);
    let codes: Vec<_> = addresses
        .filter_map(|address| match address {
            IpAddr::V4(code) => Some(code),
            IpAddr::V6(_) => None,
        })
        .collect();
    list.listing(&codes)
}

impl Filter for Listed {
    fn name(&self) -> &str {
        "lists in the DNS"
    }

    fn reads(&self, client: &Client) -> bool {
        client.is_stranger()
    }

    fn recipient<'a>(&'a self, client: &'a Client, _: &'a Mail, rcpt: &'a Rcpt) -> Judging<'a> {
        Box::pin(async move {
            let for_postmaster = match &rcpt.path {
                ForwardPath::Address(address) => {
                    address.unquoted_local_part().eq_ignore_ascii_case("postmaster")
                }
                _ => true,
            };
            if !client.is_stranger() || for_postmaster {
                return Ruling::accept();
            }
            let standing = self.standing(client.address.ip()).await;
            if standing.weight < self.config.reject {
                return Ruling::accept();
            }
            let ip = client.address.ip().to_canonical();
            let words = format!("Client host [{ip}] is listed by {}", standing.zones.join(", "));
            Ruling::new(Action::Reject(refusal(550, &words))).because(words)
        })
    }

    fn message<'a>(&'a self, transaction: &'a Transaction, _: &'a Message<'a>) -> Judging<'a> {
        Box::pin(async move {
            if !transaction.client.is_stranger() {
                return Ruling::accept();
            }
            let standing = self.standing(transaction.client.address.ip()).await;
            let mut ruling = Ruling::accept();
            if standing.weight >= self.config.junk {
                ruling = Ruling::new(Action::Quarantine)
                    .because(format!("listed by {}", standing.zones.join(", ")));
            }
            if !standing.zones.is_empty() {
                let text = format!("{:.2} ({})", standing.weight, standing.zones.join(",\r\n\t"));
                ruling.changes.extend(prepend("X-DNS-Lists", &text));
            }
            ruling
        })
    }
}
