//! Policy discovery and alignment ([RFC 9989] §4.10, §5.3, RFC 7489 §6.6)
//!
//! ```text
//!   domain of From ─▶ tree walk ─▶ record, organizational domain ─┐
//!   domains of SPF and DKIM that pass ─▶ tree walks, if need be ──┴▶ aligned? ─▶ Ready
//! ```
//!
//! Everything is computed anew from the answers known so far, until no answer is missing: a walk has eight steps at
//! most, so there is no state to keep beside the answers.
//!
//! [RFC 9989]: https://www.rfc-editor.org/rfc/rfc9989

use super::{Alignment, Policy, Reason, Record, Report, suffix};
use crate::{Step, Verdict, names};
use mailwright_dns::{Answer, Name, Question, RecordType};
use std::collections::HashMap;
use std::sync::Arc;

/// How organizational domains are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Discovery {
    /// By walking up the DNS: RFC 9989 §4.10.
    #[default]
    TreeWalk,
    /// By the public suffix list, as RFC 7489 §3.2 has it. Then `pct=` counts too, and `psd=` and `t=` do not.
    PublicSuffixList,
}

/// Settings and limits of checks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How organizational domains are found. Default: by tree walk.
    pub discovery: Discovery,
    /// Domains that passed and are looked at for alignment; others do not count. Default 8, each of which may cost
    /// eight questions.
    pub max_identifiers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            discovery: Discovery::TreeWalk,
            max_identifiers: 8,
        }
    }
}

/// What other checks found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Authenticated {
    /// The domain that passed SPF: that of MAIL FROM, or of HELO where MAIL FROM was empty.
    pub spf: Option<String>,
    /// The domains whose DKIM signatures passed.
    pub dkim: Vec<String>,
    /// Whether SPF or DKIM could not be checked for the time being: then a failure is no final one (RFC 9989 §5.3.5).
    pub temporary_error: bool,
}

/// The check of one message.
///
/// The walk from the domain of the author begins at once; [`authenticated`](Self::authenticated) tells the rest when
/// it is known. One question is open at a time.
#[derive(Debug)]
pub struct Check {
    config: Arc<Config>,
    author: Result<Name, Reason>,
    sample: u8,
    authenticated: Option<Authenticated>,
    known: HashMap<Question, Answer>,
    open: Option<Question>,
    report: Option<Report>,
}

/// An answer is missing.
struct Missing(Question);

/// The records that a walk came by, from the longest name to the shortest.
#[derive(Debug)]
struct Walk {
    found: Vec<(Name, Record)>,
    organization: Name,
    /// The public suffix that ended it.
    suffix: Option<usize>,
}

impl Check {
    /// Begins a check; `author` is the domain in From, as [`author_domain`](super::author_domain) finds it.
    pub fn new(author: Result<&str, Reason>, config: Arc<Config>) -> Self {
        let author = author.and_then(|author| {
            let ascii = names::to_ascii(author).ok_or(Reason::NoAuthor)?;
            names::of_text(&ascii).ok_or(Reason::NoAuthor)
        });
        Self {
            config,
            author,
            sample: 0,
            authenticated: None,
            known: HashMap::new(),
            open: None,
            report: None,
        }
    }

    /// Sets the random number, 0 to 99, that decides whether the message is of those that `pct=` leaves out. Zero by
    /// default: no message is.
    #[must_use]
    pub fn sampled(mut self, sample: u8) -> Self {
        self.sample = sample;
        self
    }

    /// Tells what SPF and DKIM came to.
    pub fn authenticated(&mut self, authenticated: Authenticated) {
        self.authenticated = Some(authenticated);
    }

    /// Says what is needed next. Once the report is there, it stays the same.
    pub fn poll(&mut self) -> Step<Report> {
        if let Some(report) = &self.report {
            return Step::Ready(report.clone());
        }
        if self.open.is_some() {
            return Step::Wait;
        }
        match self.evaluate() {
            Err(Missing(question)) => {
                self.open = Some(question.clone());
                Step::Ask(question)
            }
            Ok(None) => Step::Wait,
            Ok(Some(report)) => Step::Ready(self.report.insert(report).clone()),
        }
    }

    /// Takes the answer to the question that [`poll`](Self::poll) asked.
    ///
    /// # Panics
    ///
    /// Panics if that question is not open.
    pub fn answer(&mut self, question: &Question, answer: Answer) {
        assert!(
            self.open.as_ref() == Some(question),
            "answer to a question that is not open"
        );
        self.open = None;
        self.known.insert(question.clone(), answer);
    }

    /// `None` if what is missing is not an answer, but what SPF and DKIM came to.
    fn evaluate(&self) -> Result<Option<Report>, Missing> {
        let author = match &self.author {
            Ok(author) => author,
            Err(reason) => return Ok(Some(Report::without_record(None, reason.clone()))),
        };
        let walk = match self.walk(author)? {
            Ok(walk) => walk,
            Err(reason) => return Ok(Some(Report::without_record(Some(author), reason))),
        };
        let Some((policy_domain, record)) = walk.policy(author) else {
            let mut report = Report::without_record(Some(author), Reason::NoRecord);
            report.organizational_domain = Some(walk.organization);
            return Ok(Some(report));
        };
        let policy = match policy_domain == author {
            true => record.policy,
            // Only if it makes a difference is it asked whether the author's domain exists.
            false if record.nonexistent() != record.subdomains() && !self.exists(author)? => {
                record.nonexistent()
            }
            false => record.subdomains(),
        };
        let Some(authenticated) = &self.authenticated else {
            return Ok(None);
        };
        let mut report = Report {
            verdict: Verdict::Fail,
            reason: None,
            author_domain: Some(author.clone()),
            organizational_domain: Some(walk.organization.clone()),
            policy_domain: Some(policy_domain.clone()),
            policy,
            disposition: Policy::None,
            spf_aligned: false,
            dkim_aligned: false,
            record: Some(record.clone()),
        };
        let mut failed = None;
        let dkim = authenticated
            .dkim
            .iter()
            .map(|domain| (domain, record.dkim_alignment, true));
        let spf = authenticated
            .spf
            .iter()
            .map(|domain| (domain, record.spf_alignment, false));
        for (domain, alignment, is_dkim) in spf.chain(dkim).take(self.config.max_identifiers) {
            let aligned = if is_dkim {
                &mut report.dkim_aligned
            } else {
                &mut report.spf_aligned
            };
            if *aligned {
                continue;
            }
            match self.is_aligned(domain, author, &walk.organization, alignment)? {
                Ok(found) => *aligned = found,
                Err(reason) => failed = Some(reason),
            }
        }
        if report.spf_aligned || report.dkim_aligned {
            report.verdict = Verdict::Pass;
        } else if let Some(reason) = failed {
            report.verdict = Verdict::TempError;
            report.reason = Some(reason);
        } else if authenticated.temporary_error {
            report.verdict = Verdict::TempError;
            report.reason = Some(Reason::Undecided);
        } else {
            report.disposition = self.disposition(policy, record);
            report.reason = Some(
                match authenticated.spf.is_none() && authenticated.dkim.is_empty() {
                    true => Reason::NothingPassed,
                    false => Reason::NotAligned,
                },
            );
        }
        Ok(Some(report))
    }

    fn disposition(&self, policy: Policy, record: &Record) -> Policy {
        match self.config.discovery {
            // RFC 9989 §4.7, at `t`.
            Discovery::TreeWalk if record.testing => policy.weaker(),
            Discovery::TreeWalk => policy,
            // RFC 7489 §6.6.4.
            Discovery::PublicSuffixList if self.sample >= record.percent => policy.weaker(),
            Discovery::PublicSuffixList => policy,
        }
    }

    fn is_aligned(
        &self,
        domain: &str,
        author: &Name,
        organization: &Name,
        alignment: Alignment,
    ) -> Result<Result<bool, Reason>, Missing> {
        let Some(domain) = names::of_text(domain) else {
            return Ok(Ok(false));
        };
        if domain == *author {
            return Ok(Ok(true));
        }
        // Two domains of one organization have its name at their end.
        if alignment == Alignment::Strict || !domain.is_within(organization) {
            return Ok(Ok(false));
        }
        if self.config.discovery == Discovery::PublicSuffixList {
            return Ok(Ok(suffix::organization(&domain) == *organization));
        }
        Ok(self.walk(&domain)?.map(|walk| walk.organization == *organization))
    }

    fn walk(&self, start: &Name) -> Result<Result<Walk, Reason>, Missing> {
        let mut walk = Walk {
            found: Vec::new(),
            organization: start.clone(),
            suffix: None,
        };
        let targets = match self.config.discovery {
            Discovery::TreeWalk => targets(start),
            Discovery::PublicSuffixList => {
                walk.organization = suffix::organization(start);
                match walk.organization == *start {
                    true => vec![start.clone()],
                    false => vec![start.clone(), walk.organization.clone()],
                }
            }
        };
        for target in targets {
            // A name with no room for the label has no record either.
            let Ok(name) = target.with_prefix("_dmarc") else {
                continue;
            };
            let question = Question::new(name, RecordType::Txt);
            let record = match self.known.get(&question) {
                None => return Err(Missing(question)),
                Some(Answer::Failure(failure)) => return Ok(Err(Reason::Dns(question, failure.clone()))),
                Some(answer) => match only_record(answer) {
                    Some(record) => record,
                    None => continue,
                },
            };
            let suffix = record.public_suffix;
            walk.found.push((target, record));
            if self.config.discovery == Discovery::TreeWalk && suffix.is_some() {
                break;
            }
        }
        if self.config.discovery == Discovery::TreeWalk {
            walk.find_organization(start);
        }
        Ok(Ok(walk))
    }

    /// RFC 9989 §3.2: a domain does not exist if the answer for it is NXDOMAIN.
    fn exists(&self, domain: &Name) -> Result<bool, Missing> {
        let question = Question::new(domain.clone(), RecordType::A);
        match self.known.get(&question) {
            None => Err(Missing(question)),
            Some(answer) => Ok(!matches!(answer, Answer::NxDomain(_))),
        }
    }
}

impl Walk {
    /// RFC 9989 §4.10.2.
    fn find_organization(&mut self, start: &Name) {
        for (place, (domain, record)) in self.found.iter().enumerate() {
            match record.public_suffix {
                Some(false) => {
                    self.organization = domain.clone();
                    return;
                }
                Some(true) if domain != start => {
                    self.organization = below(domain, start);
                    self.suffix = Some(place);
                    return;
                }
                _ => {}
            }
        }
        if let Some((shortest, _)) = self.found.last() {
            self.organization = shortest.clone();
        }
    }

    /// RFC 9989 §4.10.1: the author's record, that of the organization, or that of the public suffix.
    fn policy(&self, author: &Name) -> Option<(&Name, &Record)> {
        let at = |name: &Name| self.found.iter().find(|(domain, _)| domain == name);
        let found = at(author)
            .or_else(|| at(&self.organization))
            .or_else(|| self.found.get(self.suffix?));
        found.map(|(domain, record)| (domain, record))
    }
}

/// Where a walk looks: the name itself, and up from its parent; of names with eight labels or more, from the last
/// seven on (RFC 9989 §4.10).
fn targets(start: &Name) -> Vec<Name> {
    let mut targets = vec![start.clone()];
    let mut next = start.parent();
    while let Some(name) = next.filter(|name| !name.is_root()) {
        next = name.parent();
        if name.labels().count() <= MAX_LABELS {
            targets.push(name);
        }
    }
    targets
}

/// The name one label below `suffix` on the way to `start`.
fn below(suffix: &Name, start: &Name) -> Name {
    let mut name = start.clone();
    while let Some(parent) = name.parent() {
        if parent == *suffix {
            break;
        }
        name = parent;
    }
    name
}

/// The one DMARC record; none if there are more.
fn only_record(answer: &Answer) -> Option<Record> {
    let Answer::Records(records) = answer else {
        return None;
    };
    let texts: Vec<Vec<u8>> = records.txt().map(mailwright_dns::Txt::joined).collect();
    let mut dmarc = texts.iter().filter(|text| Record::is_dmarc(text));
    let first = dmarc.next()?;
    match dmarc.next() {
        Some(_) => None,
        None => Record::parse(first).ok(),
    }
}

/// RFC 9989 §4.10.
const MAX_LABELS: usize = 7;
