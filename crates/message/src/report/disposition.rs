//! Message disposition notifications (RFC 8098)

use super::{Kind, machine_part};
use crate::dsn::{Extension, Fields, Typed, typed};
use crate::header;
use crate::index::Index;
use crate::message_id;

/// What became of a message at its recipient's (RFC 8098 §3.2).
///
/// [`Receipt`](crate::build::disposition::Receipt) makes the message that carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disposition {
    /// The program that reports: the name of its host, and perhaps `;` and its own.
    pub reporting_ua: Option<String>,
    /// The gateway that made this report of one in a foreign form.
    pub gateway: Option<Typed>,
    /// The address that the sender gave.
    pub original_recipient: Option<Typed>,
    /// The address that the message came to; empty when a report does not say.
    pub final_recipient: Typed,
    /// The Message-ID of the message, without angle brackets.
    pub original_message_id: Option<String>,
    /// What was done with it.
    pub kind: DispositionKind,
    /// Whether a person did it, or a program without being told to.
    pub action: Mode,
    /// Whether a person agreed to the report.
    pub sending: Mode,
    /// The modifiers, as written: `error` and others.
    pub modifiers: Vec<String>,
    /// What went wrong: the texts of the Error fields, and of the Failure and Warning fields of RFC 3798.
    pub errors: Vec<String>,
    /// Other fields, in their order.
    pub extensions: Vec<Extension>,
}

/// Who acted (RFC 8098 §3.2.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 8098 §3.2.6.1
pub enum Mode {
    /// A person.
    Manual,
    /// A program.
    Automatic,
}

/// What was done with a message (RFC 8098 §3.2.6.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DispositionKind {
    /// It was shown; that says nothing on whether it was read or understood.
    Displayed,
    /// It was deleted, and may never have been seen.
    Deleted,
    /// It was sent on.
    Dispatched,
    /// It was handled in some way, and not shown.
    Processed,
    /// The recipient does not want to tell (RFC 3798).
    Denied,
    /// It could not be handled (RFC 3798).
    Failed,
    /// Something else, in lower case.
    Other(String),
}

impl DispositionKind {
    /// The word for it in a notification.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Displayed => "displayed",
            Self::Deleted => "deleted",
            Self::Dispatched => "dispatched",
            Self::Processed => "processed",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Other(word) => word,
        }
    }

    fn of(word: &str) -> Self {
        let word = word.trim().to_ascii_lowercase();
        [
            Self::Displayed,
            Self::Deleted,
            Self::Dispatched,
            Self::Processed,
            Self::Denied,
            Self::Failed,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .unwrap_or(Self::Other(word))
    }
}

impl Disposition {
    /// What a person did, and agreed to tell; set the rest.
    pub fn new(final_recipient: Typed, kind: DispositionKind) -> Self {
        Self {
            reporting_ua: None,
            gateway: None,
            original_recipient: None,
            final_recipient,
            original_message_id: None,
            kind,
            action: Mode::Manual,
            sending: Mode::Manual,
            modifiers: Vec::new(),
            errors: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// Reads the notification in a message; `None` when it has none, or it does not say what was done.
    ///
    /// `message` is what `index` is the index of.
    pub fn parse(index: &Index, message: &[u8]) -> Option<Self> {
        let body = machine_part(index, message, Kind::DispositionNotification)?;
        let find = |name| header::find(&body, name);
        let text = |name| {
            let value = header::decode(find(name)?.value);
            Some(value).filter(|value| !value.is_empty())
        };
        let typed_field = |name| find(name).map(|field| typed(&field));
        let disposition = text("Disposition")?;
        let (mode, rest) = disposition.split_once(';').unwrap_or(("", &disposition));
        let (kind, modifiers) = rest.split_once('/').unwrap_or((rest, ""));
        let mode = mode.to_ascii_lowercase();
        let mode_of = |word| match mode.contains(word) {
            true => Mode::Manual,
            false => Mode::Automatic,
        };
        let modifiers = modifiers.split(',').map(str::trim).filter(|m| !m.is_empty());
        let is_error = |f: &header::Field<'_>| ["Error", "Failure", "Warning"].iter().any(|name| f.is(name));
        Some(Self {
            reporting_ua: text("Reporting-UA"),
            gateway: typed_field("MDN-Gateway"),
            original_recipient: typed_field("Original-Recipient"),
            original_message_id: find("Original-Message-ID")
                .and_then(|field| message_id::ids(field.value).next().map(Into::into)),
            action: mode_of("manual-action"),
            sending: mode_of("mdn-sent-manually"),
            modifiers: modifiers.map(str::to_owned).collect(),
            errors: header::fields(&body)
                .filter(is_error)
                .map(|f| header::decode(f.value))
                .collect(),
            extensions: header::fields(&body)
                .filter_map(|f| Extension::read(&f))
                .collect(),
            ..Self::new(
                typed_field("Final-Recipient").unwrap_or_else(|| Typed::new("", "")),
                DispositionKind::of(kind),
            )
        })
    }

    /// The fields of the part for programs (RFC 8098 §3.1), with raw UTF-8 if it may be there.
    pub(crate) fn to_fields(&self, utf8: bool) -> String {
        let mut out = String::new();
        let mut fields = Fields { out: &mut out, utf8 };
        fields.text("Reporting-UA", self.reporting_ua.as_deref());
        fields.typed("MDN-Gateway", self.gateway.as_ref());
        fields.typed("Original-Recipient", self.original_recipient.as_ref());
        fields.typed("Final-Recipient", Some(&self.final_recipient));
        let id = self.original_message_id.as_ref().map(|id| format!("<{id}>"));
        fields.text("Original-Message-ID", id.as_deref());
        let disposition = format!(
            "{}-action/MDN-sent-{}; {}{}{}",
            match self.action {
                Mode::Manual => "manual",
                Mode::Automatic => "automatic",
            },
            match self.sending {
                Mode::Manual => "manually",
                Mode::Automatic => "automatically",
            },
            self.kind.as_str(),
            if self.modifiers.is_empty() { "" } else { "/" },
            self.modifiers.join(",")
        );
        fields.text("Disposition", Some(&disposition));
        for error in &self.errors {
            fields.text("Error", Some(error));
        }
        fields.extensions(&self.extensions);
        out
    }
}
