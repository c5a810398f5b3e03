//! Languages for people (RFC 6856 §3, RFC 4647)

use crate::text::Text;
use core::fmt;
use std::borrow::Cow;

/// A language that a server speaks: LANG (RFC 6856 §3).
#[derive(Clone)]
pub struct Language {
    tag: Cow<'static, str>,
    name: Cow<'static, str>,
    translate: fn(Text) -> Option<&'static str>,
}

impl Language {
    /// English, which every server speaks until it is asked for something else.
    pub const ENGLISH: Self = Self {
        tag: Cow::Borrowed("en"),
        name: Cow::Borrowed("English"),
        translate: |text| Some(text.as_english()),
    };

    /// German.
    pub const GERMAN: Self = Self {
        tag: Cow::Borrowed("de"),
        name: Cow::Borrowed("Deutsch"),
        translate: german,
    };

    /// Describes a language: its tag (RFC 5646), such as `fr-CH`; its name in itself, such as `français`; and
    /// its sentences. A sentence for which there is `None` is said in English.
    ///
    /// Returns `None` if the tag cannot be sent: it is 1 to 64 letters, digits and hyphens.
    pub fn new(
        tag: impl Into<Cow<'static, str>>,
        name: impl Into<Cow<'static, str>>,
        translate: fn(Text) -> Option<&'static str>,
    ) -> Option<Self> {
        let (tag, name) = (tag.into(), name.into());
        is_tag(&tag).then_some(Self { tag, name, translate })
    }

    /// The tag of the language.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The name of the language in itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sentence in this language.
    pub fn say(&self, text: Text) -> &'static str {
        (self.translate)(text).unwrap_or_else(|| text.as_english())
    }

    /// The language that a basic language range (RFC 4647 §2.1) means: one within the range (§3.3.1), or else
    /// one that the range is within (§3.4). `*` means the first one.
    pub(crate) fn find<'a>(languages: &'a [Self], range: &str) -> Option<&'a Self> {
        if range == "*" {
            return languages.first();
        }
        let within = |language: &&Self| is_within(&language.tag, range);
        let around = |language: &&Self| is_within(range, &language.tag);
        let exact = languages.iter().find(|l| l.tag.eq_ignore_ascii_case(range));
        exact
            .or_else(|| languages.iter().find(within))
            .or_else(|| languages.iter().filter(around).max_by_key(|l| l.tag.len()))
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Language({})", self.tag)
    }
}

/// Whether a language tag, or a range, can be sent.
pub(crate) fn is_tag(tag: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=64).contains(&tag.len()) && tag.bytes().all(is_part)
}

fn is_within(tag: &str, range: &str) -> bool {
    let Some((start, rest)) = tag.as_bytes().split_at_checked(range.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(range.as_bytes()) && rest.first().is_none_or(|b| *b == b'-')
}

fn german(text: Text) -> Option<&'static str> {
    Some(match text {
        Text::AlreadyLoggedIn => "Sie sind schon angemeldet",
        Text::BeginTls => "TLS kann beginnen",
        Text::Bye => "auf Wiedersehen",
        Text::Capabilities => "Liste der Fähigkeiten folgt",
        Text::ControlCharacter => "der Befehl enthält ein Steuerzeichen",
        Text::Deleted => "Nachricht {0} gelöscht",
        Text::DigestMissing => "die Prüfsumme fehlt",
        Text::InUse => "eine andere Sitzung hat dieses Postfach geöffnet",
        Text::LanguageChanged => "Sprache gewechselt",
        Text::LanguageUnknown => "diese Sprache wird hier nicht gesprochen",
        Text::Languages => "Liste der Sprachen folgt",
        Text::LineNotEnded => "die Zeile endet nicht mit CRLF",
        Text::LineTooLong => "die Zeile ist zu lang",
        Text::LinesMissing => "die Zahl der Zeilen fehlt",
        Text::LogInFirst => "melden Sie sich zuerst an",
        Text::LoginCancelled => "Anmeldung abgebrochen",
        Text::LoginMalformed => "die Antwort zur Anmeldung ist fehlerhaft",
        Text::LoginUnavailable => "Anmelden ist vorübergehend nicht möglich",
        Text::LoginWrong => "Benutzername oder Passwort ist falsch",
        Text::MaildropOpen => "das Postfach enthält {0} Nachrichten ({1} Oktette)",
        Text::MechanismNeedsTls => {
            "dieses Verfahren verlangt TLS, nehmen Sie STLS oder einen anderen Anschluss"
        }
        Text::MechanismUnknown => "dieses Verfahren wird nicht angeboten",
        Text::Mechanisms => "Liste der Verfahren folgt",
        Text::MessageMissing => "die Nummer der Nachricht fehlt",
        Text::NoSuchMessage => "diese Nachricht gibt es nicht",
        Text::NotANumber => "das Argument ist keine Zahl",
        Text::NotUtf8 => "der Befehl ist nicht in UTF-8",
        Text::NumberTooLarge => "die Zahl ist zu groß",
        Text::PasswordMissing => "das Passwort fehlt",
        Text::PasswordNeedsTls => {
            "Passwörter im Klartext sind hier nicht erlaubt, nehmen Sie STLS oder einen anderen Anschluss"
        }
        Text::ReadOnly => "die Nachrichten bleiben hier: sie lassen sich nur lesen",
        Text::SendPass => "weiter mit PASS",
        Text::SendUser => "USER muss vorausgehen",
        Text::ShuttingDown => "der Server wird beendet",
        Text::SizeFollows => "{0} Oktette",
        Text::StillHere => "noch da",
        Text::TlsActive => "TLS besteht schon",
        Text::TlsBehindUtf8 => "STLS kann nicht auf UTF8 folgen",
        Text::TlsUnavailable => "TLS ist nicht verfügbar",
        Text::TooManyArguments => "zu viele Argumente",
        Text::TooManyErrors => "zu viele fehlerhafte Befehle",
        Text::TopFollows => "Anfang der Nachricht folgt",
        Text::Totals => "{0} Nachrichten ({1} Oktette)",
        Text::Unavailable => "vorübergehend nicht verfügbar",
        Text::UnknownCommand => "unbekannter Befehl",
        Text::Updated => "{0} Nachrichten gelöscht, auf Wiedersehen",
        Text::UserMissing => "der Benutzername fehlt",
        Text::Utf8Mode => "UTF-8-Modus",
        Text::Utf8Needed => "die Nachricht verlangt den UTF-8-Modus",
    })
}
