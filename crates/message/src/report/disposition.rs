//! Message disposition notifications, read (RFC 8098)

use super::{Kind, address, field, machine_part};
use crate::header;
use crate::index::Index;

/// What became of a message at its recipient's (RFC 8098 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disposition {
    /// The program that reports: the name of its host and of itself.
    pub reporting_ua: Option<String>,
    /// The gateway that made this report of one in a foreign form.
    pub gateway: Option<String>,
    /// The address that the sender gave.
    pub original_recipient: Option<String>,
    /// The recipient; empty when the report does not say.
    pub final_recipient: String,
    /// The Message-ID of the message, as written.
    pub original_message_id: Option<String>,
    /// What was done with it.
    pub kind: DispositionKind,
    /// Whether a person did it (`manual-action`), not a program.
    pub by_hand: bool,
    /// Whether a person allowed the report (`MDN-sent-manually`).
    pub sent_by_hand: bool,
    /// The modifiers, as written: `error` and others.
    pub modifiers: Vec<String>,
    /// The texts of the Error, Failure and Warning fields.
    pub remarks: Vec<String>,
}

/// What was done with a message (RFC 8098 §3.2.6.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DispositionKind {
    /// It was shown to somebody.
    Displayed,
    /// It was deleted, and may never have been seen.
    Deleted,
    /// It was sent on (RFC 3798).
    Dispatched,
    /// It was handled in some way, and not shown (RFC 3798).
    Processed,
    /// The recipient does not want to tell (RFC 3798).
    Denied,
    /// It could not be handled (RFC 3798).
    Failed,
    /// Something else, in lower case.
    Other(String),
}

impl Disposition {
    /// Reads the notification in a message; `None` when it has none, or it does not say what was done.
    ///
    /// `message` is what `index` is the index of.
    pub fn parse(index: &Index, message: &[u8]) -> Option<Self> {
        let body = machine_part(index, message, Kind::DispositionNotification)?;
        let disposition = field(&body, "Disposition")?;
        let (mode, rest) = disposition.split_once(';').unwrap_or(("", &disposition));
        let (kind, modifiers) = rest.split_once('/').unwrap_or((rest, ""));
        let kind = kind.trim().to_ascii_lowercase();
        let remarks = header::fields(&body)
            .filter(|f| ["Error", "Failure", "Warning"].iter().any(|name| f.is(name)))
            .map(|f| header::decode(f.value));
        let mode = mode.to_ascii_lowercase();
        Some(Self {
            reporting_ua: field(&body, "Reporting-UA"),
            gateway: field(&body, "MDN-Gateway"),
            original_recipient: field(&body, "Original-Recipient").as_deref().map(address),
            final_recipient: field(&body, "Final-Recipient")
                .as_deref()
                .map(address)
                .unwrap_or_default(),
            original_message_id: field(&body, "Original-Message-ID"),
            kind: match kind.as_str() {
                "displayed" => DispositionKind::Displayed,
                "deleted" => DispositionKind::Deleted,
                "dispatched" => DispositionKind::Dispatched,
                "processed" => DispositionKind::Processed,
                "denied" => DispositionKind::Denied,
                "failed" => DispositionKind::Failed,
                _ => DispositionKind::Other(kind),
            },
            by_hand: mode.contains("manual-action"),
            sent_by_hand: mode.contains("mdn-sent-manually"),
            modifiers: modifiers
                .split(',')
                .map(str::trim)
                .filter(|m| !m.is_empty())
                .map(str::to_owned)
                .collect(),
            remarks: remarks.collect(),
        })
    }
}
