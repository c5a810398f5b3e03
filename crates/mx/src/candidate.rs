//! A host and what is known of its addresses

use crate::config::is_usable;
use crate::random::Random;
use crate::search::{Search, Way};
use crate::{Families, Target, TlsRule, Via};
use core::net::IpAddr;
use mailwright_dns::{Answer, Failure, Question, RecordType, Security};

/// A host that may get the mail.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) host: Target,
    pub(crate) port: u16,
    pub(crate) via: Via,
    pub(crate) preference: u16,
    /// The security of the answer that named the host; `None` if no answer did.
    pub(crate) security: Option<Security>,
    /// What the operator asks of TLS.
    pub(crate) rule: TlsRule,
    /// Where the TLSA records are.
    pub(crate) search: Search,
    families: [Family; 2],
}

/// The addresses of one family.
#[derive(Debug)]
struct Family {
    record_type: RecordType,
    addresses: Vec<IpAddr>,
    unusable: Vec<IpAddr>,
    security: Option<Security>,
    failure: Option<(Question, Failure)>,
    /// Whether an answer is owed.
    open: bool,
    way: Option<Way>,
}

impl Candidate {
    pub(crate) fn new(host: Target, port: u16, via: Via, preference: u16) -> Self {
        let mut families = [RecordType::A, RecordType::Aaaa].map(|record_type| Family {
            record_type,
            addresses: Vec::new(),
            unusable: Vec::new(),
            security: None,
            failure: None,
            open: false,
            way: None,
        });
        if let Target::Address(address) = host {
            families[usize::from(address.is_ipv6())].add(address);
        }
        Self {
            host,
            port,
            via,
            preference,
            security: None,
            rule: TlsRule::Automatic,
            search: Search::default(),
            families,
        }
    }

    /// Gives the host these addresses; nothing is looked up then.
    pub(crate) fn fix_addresses(&mut self, addresses: &[IpAddr]) {
        for address in addresses {
            self.families[usize::from(address.to_canonical().is_ipv6())].add(*address);
        }
    }

    /// The questions whose answers tell the addresses.
    pub(crate) fn questions(&mut self, families: Families) -> impl Iterator<Item = Question> {
        let fixed = self.addresses().next().is_some();
        let name = match &self.host {
            Target::Name(name) if !fixed => Some(name),
            _ => None,
        };
        let wanted = [families.ipv4(), families.ipv6()];
        self.families
            .iter_mut()
            .zip(wanted)
            .filter_map(move |(family, wanted)| {
                let name = name.filter(|_| wanted)?;
                family.open = true;
                Some(Question::new(name.clone(), family.record_type))
            })
    }

    /// Whether all is known of the addresses.
    pub(crate) fn is_resolved(&self) -> bool {
        self.families.iter().all(|family| !family.open)
    }

    /// How the answers about addresses were reached, those that say "none" included.
    pub(crate) fn ways(&self) -> impl Iterator<Item = &Way> + Clone {
        self.families.iter().filter_map(|family| family.way.as_ref())
    }

    /// Takes an answer, if it is about this host.
    pub(crate) fn on_answer(&mut self, question: &Question, answer: &Answer) {
        if !matches!(&self.host, Target::Name(name) if *name == question.name) {
            return;
        }
        let family = self
            .families
            .iter_mut()
            .find(|family| family.record_type == question.record_type);
        let Some(family) = family else { return };
        family.open = false;
        match answer {
            Answer::Records(records) => {
                family.security = Some(records.security());
                family.way = Some(Way {
                    canonical: records.canonical_name().clone(),
                    security: records.security(),
                    first_security: records.first_security(),
                });
                records.addresses().for_each(|address| family.add(address));
            }
            Answer::NoData(negative) | Answer::NxDomain(negative) => {
                family.way = Some(Way {
                    canonical: negative.canonical_name().clone(),
                    security: negative.security(),
                    first_security: negative.first_security(),
                });
            }
            Answer::Failure(failure) => family.failure = Some((question.clone(), failure.clone())),
        }
    }

    /// The usable addresses, as they came.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.families
            .iter()
            .flat_map(|family| family.addresses.iter().copied())
    }

    pub(crate) fn take_unusable(&mut self) -> Vec<IpAddr> {
        self.families
            .iter_mut()
            .flat_map(|family| core::mem::take(&mut family.unusable))
            .collect()
    }

    /// The weakest security among the answers that gave addresses.
    pub(crate) fn address_security(&self) -> Security {
        let known = self.families.iter().filter_map(|family| family.security);
        known.max().unwrap_or(Security::Indeterminate)
    }

    /// The first lookup of the host that failed, and keeps mail from it.
    pub(crate) fn failure(&self) -> Option<(&Question, &Failure)> {
        let addresses = self.families.iter().find_map(|family| family.failure.as_ref());
        let failure = addresses.or(match &self.search {
            Search::Failed(failed) => Some(failed),
            _ => None,
        });
        failure.map(|(question, failure)| (question, failure))
    }

    /// The usable addresses in the order of the attempts, each with the weakest security that led to it: either family
    /// in random order, and the two in turn, so that a limit leaves some of both.
    pub(crate) fn in_order(&self, families: Families, random: &mut Random) -> Vec<(IpAddr, Security)> {
        let mut lists = [&self.families[0], &self.families[1]].map(|family| {
            let security = self.security.into_iter().chain(family.security).max();
            let security = security.unwrap_or(Security::Indeterminate);
            let mut list: Vec<_> = family
                .addresses
                .iter()
                .map(|address| (*address, security))
                .collect();
            random.shuffle(&mut list);
            list
        });
        if families == Families::PreferIpv6 {
            lists.reverse();
        }
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        (0..longest)
            .flat_map(|i| lists.each_ref().map(|list| list.get(i).copied()))
            .flatten()
            .collect()
    }
}

impl Family {
    fn add(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        let list = if is_usable(address) {
            &mut self.addresses
        } else {
            &mut self.unusable
        };
        if !list.contains(&address) {
            list.push(address);
        }
    }
}
