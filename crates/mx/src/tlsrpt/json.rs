//! Reports as JSON ([RFC 8460] §4.4, [RFC 8259])
//!
//! Other people's reports come in many shades: numbers as text, one policy string in place of a list, words nobody
//! knows. What can be told from them is taken; unknown result types count as [`ResultType::ValidationFailure`], the
//! general one.
//!
//! [RFC 8259]: https://www.rfc-editor.org/rfc/rfc8259
//! [RFC 8460]: https://www.rfc-editor.org/rfc/rfc8460

use super::time::{format, parse};
use super::{Detail, PolicyKind, PolicyReport, Report, ResultType};
use core::fmt;
use serde_json::{Map, Value, json};

/// Why octets are no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// They are not JSON, or nested too deeply.
    #[error("the report is not JSON")]
    Json,
    /// The report is not an object, or lacks the field.
    #[error("the report lacks {0}")]
    Missing(&'static str),
    /// The report has more than 1,000 policies, or a policy more than 10,000 details.
    #[error("the report is too long")]
    TooLong,
}

/// Prints the report as JSON.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policies: Vec<Value> = self.policies.iter().map(policy_json).collect();
        let report = json!({
            "organization-name": self.organization,
            "date-range": {
                "start-datetime": format(self.start),
                "end-datetime": format(self.end),
            },
            "contact-info": self.contact,
            "report-id": self.id,
            "policies": policies,
        });
        write!(f, "{report}")
    }
}

impl Report {
    /// Reads a report. It costs time and memory in proportion to its length, whatever it holds.
    ///
    /// # Errors
    ///
    /// Whatever [`ParseError`] lists.
    ///
    /// ```
    /// use mailwright_mx::tlsrpt::Report;
    ///
    /// let json = br#"{"organization-name":"A","date-range":{"start-datetime":"2026-11-23T00:00:00Z",
    ///     "end-datetime":"2026-11-23T23:59:59Z"},"contact-info":"tls@a.test","report-id":"1","policies":[]}"#;
    /// let report = Report::parse(json)?;
    /// assert_eq!(report.end - report.start, 86_399);
    /// assert_eq!(Report::parse(report.to_string().as_bytes())?, report);
    /// # Ok::<(), mailwright_mx::tlsrpt::ParseError>(())
    /// ```
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        let value: Value = serde_json::from_slice(json).map_err(|_| ParseError::Json)?;
        let range = value.get("date-range").ok_or(ParseError::Missing("date-range"))?;
        let time = |name| {
            let text = range.get(name).and_then(Value::as_str);
            text.and_then(parse).ok_or(ParseError::Missing(name))
        };
        let policies = value.get("policies").and_then(Value::as_array);
        let policies = policies.ok_or(ParseError::Missing("policies"))?;
        if policies.len() > MAX_POLICIES {
            return Err(ParseError::TooLong);
        }
        Ok(Self {
            organization: text(&value, "organization-name").unwrap_or_default(),
            start: time("start-datetime")?,
            end: time("end-datetime")?,
            contact: text(&value, "contact-info").unwrap_or_default(),
            id: text(&value, "report-id").ok_or(ParseError::Missing("report-id"))?,
            policies: policies.iter().map(policy).collect::<Result<_, _>>()?,
        })
    }
}

fn policy_json(report: &PolicyReport) -> Value {
    let mut policy = Map::new();
    policy.insert("policy-type".into(), report.kind.as_str().into());
    if !report.lines.is_empty() {
        policy.insert("policy-string".into(), report.lines.as_slice().into());
    }
    policy.insert("policy-domain".into(), report.domain.as_str().into());
    if !report.hosts.is_empty() {
        policy.insert("mx-host".into(), report.hosts.as_slice().into());
    }
    let mut value = json!({
        "policy": policy,
        "summary": {
            "total-successful-session-count": report.successes,
            "total-failure-session-count": report.failures,
        },
    });
    if !report.details.is_empty() {
        value["failure-details"] = report.details.iter().map(detail_json).collect();
    }
    value
}

fn detail_json(detail: &Detail) -> Value {
    let mut map = Map::new();
    map.insert("result-type".into(), detail.result.as_str().into());
    let address = |address: &Option<core::net::IpAddr>| address.map(|address| address.to_string());
    let fields = [
        ("sending-mta-ip", address(&detail.sending_address)),
        ("receiving-mx-hostname", detail.receiving_host.clone()),
        ("receiving-mx-helo", detail.receiving_helo.clone()),
        ("receiving-ip", address(&detail.receiving_address)),
        ("additional-information", detail.information.clone()),
        ("failure-reason-code", detail.reason.clone()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            map.insert(name.into(), value.into());
        }
    }
    map.insert("failed-session-count".into(), detail.sessions.into());
    map.into()
}

fn policy(value: &Value) -> Result<PolicyReport, ParseError> {
    let policy = value.get("policy").ok_or(ParseError::Missing("policy"))?;
    let summary = value.get("summary").ok_or(ParseError::Missing("summary"))?;
    let kind = text(policy, "policy-type").ok_or(ParseError::Missing("policy-type"))?;
    let details = value.get("failure-details").and_then(Value::as_array);
    let details = details.map_or(&[][..], Vec::as_slice);
    if details.len() > MAX_DETAILS {
        return Err(ParseError::TooLong);
    }
    Ok(PolicyReport {
        kind: PolicyKind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)
            .unwrap_or_default(),
        lines: list(policy, "policy-string"),
        domain: text(policy, "policy-domain").ok_or(ParseError::Missing("policy-domain"))?,
        hosts: list(policy, "mx-host"),
        successes: number(summary, "total-successful-session-count").unwrap_or(0),
        failures: number(summary, "total-failure-session-count").unwrap_or(0),
        details: details.iter().map(detail).collect(),
    })
}

fn detail(value: &Value) -> Detail {
    let result = text(value, "result-type");
    let known = ResultType::ALL
        .into_iter()
        .find(|known| result.as_deref() == Some(known.as_str()));
    let address = |name| text(value, name).and_then(|text| text.parse().ok());
    Detail {
        result: known.unwrap_or(ResultType::ValidationFailure),
        sending_address: address("sending-mta-ip"),
        receiving_host: text(value, "receiving-mx-hostname"),
        receiving_helo: text(value, "receiving-mx-helo"),
        receiving_address: address("receiving-ip"),
        sessions: number(value, "failed-session-count").unwrap_or(1),
        information: text(value, "additional-information"),
        reason: text(value, "failure-reason-code"),
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn number(value: &Value, name: &str) -> Option<u64> {
    let value = value.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn list(value: &Value, name: &str) -> Vec<String> {
    match value.get(name) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

const MAX_POLICIES: usize = 1000;
const MAX_DETAILS: usize = 10_000;
