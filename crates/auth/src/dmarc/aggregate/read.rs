//! Reports, read: XML of RFC 7489 appendix C and of [RFC 9990], and what their writers make of it
//!
//! [RFC 9990]: https://www.rfc-editor.org/rfc/rfc9990

use super::{Aggregate, DkimResult, Limits, PackError, Row, SpfResult, unpack};
use crate::Verdict;
use crate::dmarc::{Alignment, Discovery, Policy};
use mailwright_message::Index;
use quick_xml::Reader;
use quick_xml::events::Event;

/// Why a report cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The message has no report in it.
    #[error("no report in the message")]
    NoReport,
    /// It cannot be unpacked.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// It is not XML, or nested deeper than any report.
    #[error("malformed XML")]
    Xml,
    /// It is XML without a report.
    #[error("no DMARC report in the XML")]
    NotFeedback,
}

impl Aggregate {
    /// Reads the report that a message carries: an attachment of XML, packed or not.
    ///
    /// # Errors
    ///
    /// When there is none, or the first one found cannot be read.
    pub fn from_message(message: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let index = Index::of(message);
        let mut error = ReadError::NoReport;
        for part in index.parts() {
            if part.children().next().is_some() {
                continue;
            }
            let body = part.body();
            let range = usize::try_from(body.start)
                .ok()
                .zip(usize::try_from(body.end).ok());
            let Some(body) = range.and_then(|(start, end)| message.get(start..end)) else {
                continue;
            };
            let octets = part.decode(body);
            match unpack(&octets, limits.max_xml) {
                Err(PackError::Unknown) => {}
                Err(other) => error = other.into(),
                Ok(xml) => match Self::parse(&xml, limits) {
                    Ok(report) => return Ok(report),
                    // A part of HTML is no report either.
                    Err(ReadError::NotFeedback) => {}
                    Err(other) if error == ReadError::NoReport => error = other,
                    Err(_) => {}
                },
            }
        }
        Err(error)
    }

    /// Reads XML. Elements that are not known are passed over, as are values that are malformed.
    ///
    /// # Errors
    ///
    /// When it is no XML, or no report.
    pub fn parse(xml: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let xml = String::from_utf8_lossy(xml);
        let mut reader = Reader::from_str(&xml);
        let mut state = State::default();
        loop {
            match reader.read_event().map_err(|_| ReadError::Xml)? {
                Event::Start(element) => {
                    let name = element.local_name();
                    state.start(name.as_ref(), limits)?;
                }
                Event::Empty(element) => {
                    let name = element.local_name();
                    state.start(name.as_ref(), limits)?;
                    state.end(limits);
                }
                Event::End(_) => state.end(limits),
                Event::Text(text) => state.text(&text),
                Event::CData(text) => state.text(&text),
                Event::GeneralRef(entity) => match entity.resolve_char_ref() {
                    Ok(Some(c)) => state.text(c.encode_utf8(&mut [0; 4])),
                    // Entities of its own a document does not get: nothing grows by them.
                    _ => state.text(match &*entity {
                        "lt" => "<",
                        "gt" => ">",
                        "amp" => "&",
                        "apos" => "'",
                        "quot" => "\"",
                        _ => "",
                    }),
                },
                Event::Eof => break,
                _ => {}
            }
        }
        match state.is_feedback {
            true => Ok(state.report),
            false => Err(ReadError::NotFeedback),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    report: Aggregate,
    /// The names of the open elements.
    path: Vec<String>,
    text: String,
    is_feedback: bool,
    row: Row,
    reason: (String, Option<String>),
    dkim: Option<DkimResult>,
    spf: Option<SpfResult>,
}

impl State {
    fn start(&mut self, name: &str, limits: &Limits) -> Result<(), ReadError> {
        if self.path.len() == MAX_DEPTH {
            return Err(ReadError::Xml);
        }
        let name = name.get(..MAX_NAME).unwrap_or(name);
        self.path.push(name.to_owned());
        self.text.clear();
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path[..] {
            ["feedback"] => self.is_feedback = true,
            ["feedback", "record"] if self.report.rows.len() < limits.max_rows => self.row = Row::default(),
            ["feedback", "record", "row", "policy_evaluated", "reason"] => self.reason = Default::default(),
            ["feedback", "record", "auth_results", "dkim"] => {
                self.dkim = Some(DkimResult {
                    domain: String::new(),
                    selector: String::new(),
                    verdict: Verdict::None,
                    reason: None,
                });
            }
            ["feedback", "record", "auth_results", "spf"] => {
                self.spf = Some(SpfResult {
                    domain: String::new(),
                    helo: None,
                    verdict: Verdict::None,
                    reason: None,
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let room = MAX_TEXT.saturating_sub(self.text.len());
        self.text.extend(text.chars().take(room));
    }

    fn end(&mut self, limits: &Limits) {
        let text = core::mem::take(&mut self.text);
        let text = text.trim().to_owned();
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        if let ["feedback", rest @ ..] = &path[..] {
            match rest {
                ["report_metadata", name @ ..] => metadata(&mut self.report.metadata, name, text),
                ["policy_published", name] => policy(&mut self.report.policy, name, text),
                ["record"] if self.report.rows.len() < limits.max_rows => {
                    self.report.rows.push(core::mem::take(&mut self.row));
                }
                ["record", "row", "policy_evaluated", "reason"] => {
                    self.row.facts.overrides.push(core::mem::take(&mut self.reason));
                }
                ["record", "row", "policy_evaluated", "reason", "type"] => self.reason.0 = text,
                ["record", "row", "policy_evaluated", "reason", "comment"] => {
                    self.reason.1 = Some(text).filter(|text| !text.is_empty());
                }
                ["record", "row", name @ ..] => row(&mut self.row, name, &text),
                ["record", "identifiers" | "identities", name] => identifier(&mut self.row, name, text),
                ["record", "auth_results", "dkim"] => self.row.facts.dkim.extend(self.dkim.take()),
                ["record", "auth_results", "spf"] => self.row.facts.spf.extend(self.spf.take()),
                ["record", "auth_results", "dkim", name] => {
                    if let Some(dkim) = &mut self.dkim {
                        match *name {
                            "domain" => dkim.domain = text,
                            "selector" => dkim.selector = text,
                            "result" => dkim.verdict = verdict(&text),
                            "human_result" => dkim.reason = Some(text).filter(|text| !text.is_empty()),
                            _ => {}
                        }
                    }
                }
                ["record", "auth_results", "spf", name] => {
                    if let Some(spf) = &mut self.spf {
                        match *name {
                            "domain" => spf.domain = text,
                            "scope" => spf.helo = Some(text == "helo"),
                            "result" => spf.verdict = verdict(&text),
                            "human_result" => spf.reason = Some(text).filter(|text| !text.is_empty()),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        self.path.pop();
    }
}

fn metadata(metadata: &mut super::Metadata, name: &[&str], text: String) {
    match name {
        ["org_name"] => metadata.organization = text,
        ["email"] => metadata.email = text,
        ["extra_contact_info"] => metadata.contact = Some(text).filter(|text| !text.is_empty()),
        ["report_id"] => metadata.report_id = text,
        ["error"] if metadata.errors.len() < MAX_ERRORS => metadata.errors.push(text),
        ["generator"] => metadata.generator = Some(text).filter(|text| !text.is_empty()),
        ["date_range", "begin"] => metadata.begin = text.parse().unwrap_or(0),
        ["date_range", "end"] => metadata.end = text.parse().unwrap_or(0),
        _ => {}
    }
}

fn policy(policy: &mut super::PublishedPolicy, name: &str, text: String) {
    let alignment = |text: &str| match text {
        "s" => Alignment::Strict,
        _ => Alignment::Relaxed,
    };
    let parse = |text: &str| text.to_ascii_lowercase().parse::<Policy>().ok();
    match name {
        "domain" => policy.domain = text,
        "p" => policy.policy = parse(&text).unwrap_or_default(),
        "sp" => policy.subdomain_policy = parse(&text),
        "np" => policy.nonexistent_policy = parse(&text),
        "adkim" => policy.dkim_alignment = alignment(&text),
        "aspf" => policy.spf_alignment = alignment(&text),
        "pct" => policy.percent = text.parse().ok().filter(|percent| *percent <= 100),
        "testing" | "t" => policy.testing = text == "y",
        "fo" => policy.failure_options = Some(text).filter(|text| !text.is_empty()),
        "discovery_method" => {
            policy.discovery = match text.as_str() {
                "treewalk" => Some(Discovery::TreeWalk),
                "psl" => Some(Discovery::PublicSuffixList),
                _ => None,
            }
        }
        _ => {}
    }
}

fn row(row: &mut Row, name: &[&str], text: &str) {
    match name {
        ["source_ip"] => row.source = text.parse().ok(),
        ["count"] => row.count = text.parse().unwrap_or(0),
        // RFC 9990 has `pass` for what passed under a policy that would do something.
        ["policy_evaluated", "disposition"] => row.facts.disposition = text.parse().unwrap_or_default(),
        ["policy_evaluated", "dkim"] => row.facts.dkim_aligned = text == "pass",
        ["policy_evaluated", "spf"] => row.facts.spf_aligned = text == "pass",
        _ => {}
    }
}

fn identifier(row: &mut Row, name: &str, text: String) {
    match name {
        "header_from" => row.facts.header_from = text,
        "envelope_from" => row.facts.envelope_from = Some(text).filter(|text| !text.is_empty()),
        "envelope_to" => row.facts.envelope_to = Some(text).filter(|text| !text.is_empty()),
        _ => {}
    }
}

/// Older writers have `unknown` and `error` for the errors of SPF (RFC 7489 appendix C).
fn verdict(text: &str) -> Verdict {
    match text {
        "unknown" => Verdict::TempError,
        "error" => Verdict::PermError,
        text => Verdict::new(text).unwrap_or(Verdict::None),
    }
}

/// Reports are seven deep.
const MAX_DEPTH: usize = 32;
const MAX_NAME: usize = 64;
const MAX_TEXT: usize = 4096;
const MAX_ERRORS: usize = 100;
