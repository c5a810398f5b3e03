//! Failure reports, read ([RFC 9991], RFC 6591)
//!
//! [RFC 9991]: https://www.rfc-editor.org/rfc/rfc9991

use mailwright_message::report::Feedback;
use mailwright_message::{Index, header};

/// A report that one message failed: an abuse report (RFC 5965) of the type `auth-failure`, with what RFC 6591 and
/// RFC 9991 add to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureReport {
    /// What all abuse reports have.
    pub feedback: Feedback,
    /// The domain of the signature that failed.
    pub dkim_domain: Option<String>,
    /// The agent of that signature.
    pub dkim_identity: Option<String>,
    /// The selector of that signature.
    pub dkim_selector: Option<String>,
    /// The key record that was found.
    pub dkim_selector_dns: Option<String>,
    /// The SPF record that was found.
    pub spf_dns: Option<String>,
    /// What was not aligned: `none`, `spf`, `dkim`, or both with a comma between.
    pub identity_alignment: Option<String>,
}

impl FailureReport {
    /// Reads the report in a message; none if it has no abuse report of the type `auth-failure`.
    ///
    /// `message` is what `index` is the index of.
    pub fn parse(index: &Index, message: &[u8]) -> Option<Self> {
        let feedback = Feedback::parse(index, message)?;
        if feedback.feedback_type != "auth-failure" {
            return None;
        }
        let report = mailwright_message::report::Report::of(index)?;
        let body = report.machine.body();
        let body = message.get(usize::try_from(body.start).ok()?..usize::try_from(body.end).ok()?)?;
        let body = report.machine.decode(body);
        let one = |name: &str| {
            let field = header::find(&body, name)?;
            let text = header::decode(field.value).trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        Some(Self {
            feedback,
            dkim_domain: one("DKIM-Domain"),
            dkim_identity: one("DKIM-Identity"),
            dkim_selector: one("DKIM-Selector"),
            dkim_selector_dns: one("DKIM-Selector-DNS"),
            spf_dns: one("SPF-DNS"),
            identity_alignment: one("Identity-Alignment"),
        })
    }
}
