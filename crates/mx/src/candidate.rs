//! A host and what is known of its addresses

use crate::config::is_usable;
use crate::random::Random;
use crate::{Families, Target, Via};
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
}

impl Candidate {
    pub(crate) fn new(host: Target, port: u16, via: Via, preference: u16) -> Self {
        let mut families = [RecordType::A, RecordType::Aaaa].map(|record_type| Family {
            record_type,
            addresses: Vec::new(),
            unusable: Vec::new(),
            security: None,
            failure: None,
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
            families,
        }
    }

    /// The questions whose answers tell the addresses.
    pub(crate) fn questions(&self, families: Families) -> Vec<Question> {
        let Target::Name(name) = &self.host else {
            return Vec::new();
        };
        let wanted = [
            (families.ipv4(), RecordType::A),
            (families.ipv6(), RecordType::Aaaa),
        ];
        let wanted = wanted.into_iter().filter(|(wanted, _)| *wanted);
        wanted
            .map(|(_, record_type)| Question::new(name.clone(), record_type))
            .collect()
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
        match answer {
            Answer::Records(records) => {
                family.security = Some(records.security());
                records.addresses().for_each(|address| family.add(address));
            }
            Answer::NoData(_) | Answer::NxDomain(_) => {}
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

    /// The first lookup of the host that failed.
    pub(crate) fn failure(&self) -> Option<(&Question, &Failure)> {
        self.families
            .iter()
            .find_map(|family| family.failure.as_ref().map(|(q, f)| (q, f)))
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
