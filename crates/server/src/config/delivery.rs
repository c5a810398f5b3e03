//! How mail is delivered here: sub-addresses, folders, forwarding, lists, and replies of those who are away

use super::auth::Day;
use super::is_among;
use super::problem::Problems;
use super::values::{Span, Text};
use super::{ConfigError, Unreadable};
use crate::names;
use mailwright_address::{Domain, EmailAddress};
use mailwright_mailbox::{MailboxName, SpecialUse};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// How mail is delivered here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Each of these characters ends the name in an address such as `alice+lists@example.org`; with none of them an
    /// address is what it is.
    pub separators: String,
    /// Whether mail for `alice+lists@example.org` goes into her folder `lists`, if she has one.
    pub subaddress_folders: bool,
    /// The mailboxes every account begins with beside INBOX, subscribed.
    pub folders: Vec<NewFolder>,
    /// How the senders of forwarded mail are rewritten; without it they stay as they are.
    pub srs: Option<Srs>,
    /// How many senders are remembered, of each account, who were told that its owner is away; the oldest are forgotten
    /// first. RFC 5230 §4.2: at least 1000; 2000 at most.
    pub vacation_senders: usize,
    /// Whether accounts are told when 80 and 95 % of their quota are used.
    pub quota_warnings: bool,
    /// The most recipients of one entry of the queue that a list or a forwarding makes; with more there are several.
    pub recipients_at_once: usize,
    /// Mailing lists.
    pub lists: Lists,
    /// A file with further lists, which go before these; the running server sees changes.
    pub lists_file: Option<PathBuf>,
}

/// A mailbox that every account begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewFolder {
    /// Its name.
    pub name: MailboxName,
    /// What it is for (RFC 6154 §2).
    pub special_use: Option<SpecialUse>,
}

impl NewFolder {
    /// A mailbox with a name and a use.
    pub const fn new(name: MailboxName, special_use: Option<SpecialUse>) -> Self {
        Self { name, special_use }
    }
}

/// How the senders of forwarded mail are rewritten, so that SPF passes where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Srs {
    /// The local domain of rewritten addresses; the first one if it is not set.
    pub domain: Option<Domain>,
    /// The file with secrets, a line each: the first one signs, all of them verify. One is made if there is no such file.
    pub secrets: PathBuf,
    /// For how many days bounces are taken.
    pub max_age: u16,
    /// How many characters of the hash an address has, 4 to 16; those with fewer are refused. Many domains write 4, and
    /// the more there are, the less room is left in the 64 octets of a local part.
    pub hash_length: usize,
}

impl Srs {
    /// The usual way, with secrets in a file.
    pub fn new(secrets: impl Into<PathBuf>) -> Self {
        Self {
            domain: None,
            secrets: secrets.into(),
            max_age: 21,
            hash_length: 6,
        }
    }
}

/// List address to list; the keys are in lower case.
pub type Lists = BTreeMap<String, List>;

/// A mailing list: what is sent to it goes to its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct List {
    /// Its address.
    pub address: EmailAddress,
    /// Who gets what is sent to it.
    pub members: Vec<EmailAddress>,
    /// Who gets what comes back, and what is written to `owner-NAME`, `NAME-owner` and `NAME-request`.
    pub owner: EmailAddress,
    /// Who may send to it.
    pub post: Posting,
    /// What it is, for its List-Id.
    pub description: Option<String>,
}

impl List {
    /// A list that its members may send to.
    pub fn new(
        address: EmailAddress,
        owner: EmailAddress,
        members: impl IntoIterator<Item = EmailAddress>,
    ) -> Self {
        Self {
            address,
            members: members.into_iter().collect(),
            owner,
            post: Posting::Members,
            description: None,
        }
    }
}

/// Who may send to a list, by the sender of the envelope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_enums)] // members, everybody, or whoever is named
pub enum Posting {
    /// Its members, and its owner.
    #[default]
    Members,
    /// Everybody.
    Anyone,
    /// These alone.
    Only(Vec<EmailAddress>),
}

impl Default for Delivery {
    fn default() -> Self {
        let folder = |special_use: SpecialUse| {
            let name = MailboxName::parse(special_use.name()).expect("the names of special uses are valid");
            NewFolder::new(name, Some(special_use))
        };
        let usual = [
            SpecialUse::Archive,
            SpecialUse::Drafts,
            SpecialUse::Junk,
            SpecialUse::Sent,
            SpecialUse::Trash,
        ];
        Self {
            separators: "+".into(),
            subaddress_folders: false,
            folders: usual.map(folder).to_vec(),
            srs: None,
            vacation_senders: 1000,
            quota_warnings: true,
            recipients_at_once: 1000,
            lists: Lists::new(),
            lists_file: None,
        }
    }
}

/// What senders are told while the owner of an account is away (RFC 5230).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vacation {
    /// What they are told.
    pub text: String,
    /// Under which subject; `Auto: ` and theirs if it is not set.
    pub subject: Option<String>,
    /// The second since 1970 in which the first day begins, in UTC.
    pub start: Option<u64>,
    /// The second since 1970 in which the last day begins, in UTC.
    pub end: Option<u64>,
    /// For how many days a sender who was told is not told again, 1 to 365.
    pub days: u32,
}

impl Vacation {
    /// A text, from this moment on, once a week to each sender.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            subject: None,
            start: None,
            end: None,
            days: Self::DAYS,
        }
    }

    /// RFC 5230 §4.1.
    const DAYS: u32 = 7;
    const MOST_DAYS: u32 = 365;

    /// Whether senders are told at a moment, in seconds since 1970.
    pub fn is_on(&self, now: u64) -> bool {
        let day = 86_400;
        self.start.is_none_or(|start| start <= now)
            && self.end.is_none_or(|end| now < end.saturating_add(day))
    }

    /// The second since 1970 in which a day begins that is written as `2026-12-31`.
    ///
    /// # Errors
    ///
    /// When it is no day.
    pub fn day(text: &str) -> Result<u64, Unreadable> {
        text.parse::<Day>().map(|day| day.0)
    }

    /// How such a second is written.
    pub fn day_text(second: u64) -> String {
        let moment = i64::try_from(second).ok();
        let moment = moment.and_then(|second| jiff::Timestamp::from_second(second).ok());
        moment.map_or_else(String::new, |moment| {
            moment.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
        })
    }

    /// As a file of accounts has it, on one line.
    pub(crate) fn to_toml(&self) -> String {
        toml::Value::Table(self.to_table()).to_string()
    }

    /// As a file of accounts has it.
    pub(super) fn to_table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        table.insert("text".into(), self.text.clone().into());
        if let Some(subject) = &self.subject {
            table.insert("subject".into(), subject.clone().into());
        }
        for (key, day) in [("start", self.start), ("end", self.end)] {
            if let Some(day) = day {
                table.insert(key.into(), Self::day_text(day).into());
            }
        }
        table.insert("days".into(), i64::from(self.days).into());
        table
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VacationSection {
    text: String,
    subject: Option<String>,
    start: Option<Text<Day>>,
    end: Option<Text<Day>>,
    days: Option<u32>,
}

impl From<VacationSection> for Vacation {
    fn from(section: VacationSection) -> Self {
        Self {
            text: section.text,
            subject: section.subject,
            start: section.start.map(|day| day.0.0),
            end: section.end.map(|day| day.0.0),
            days: section.days.unwrap_or(Self::DAYS).clamp(1, Self::MOST_DAYS),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliverySection {
    separators: Option<String>,
    subaddress_folders: Option<bool>,
    folders: Option<BTreeMap<String, Spanned<String>>>,
    srs: Option<bool>,
    srs_domain: Option<Spanned<Text<Domain>>>,
    srs_secrets: Option<PathBuf>,
    srs_max_age: Option<Spanned<Text<Span>>>,
    srs_hash_length: Option<Spanned<usize>>,
    vacation_senders: Option<usize>,
    quota_warnings: Option<bool>,
    recipients_at_once: Option<usize>,
    lists_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListSection {
    members: Vec<Text<EmailAddress>>,
    owner: Text<EmailAddress>,
    #[serde(default)]
    post: PostingSection,
    description: Option<String>,
}

impl DeliverySection {
    pub(super) fn into_config(
        self,
        lists: BTreeMap<Spanned<String>, ListSection>,
        (folder, data): (&Path, &Path),
        domains: &[Domain],
        found: &mut Problems<'_>,
    ) -> Delivery {
        let usual = Delivery::default();
        let mut srs = Srs::new(
            self.srs_secrets
                .map_or_else(|| data.join("srs-secrets"), |path| folder.join(path)),
        );
        if let Some(domain) = self.srs_domain {
            let span = domain.span();
            let Text(domain) = domain.into_inner();
            if !is_among(domains, &domain) {
                let what = format!("{domain} is not one of our domains: bounces would not come here");
                found.add(Some(span), what, Some("name one of `domains`"));
            }
            srs.domain = Some(domain);
        }
        if let Some(age) = self.srs_max_age {
            let span = age.span();
            match u16::try_from(age.into_inner().0.0.as_secs() / Duration::from_secs(86_400).as_secs()) {
                Ok(days @ 1..=512) => srs.max_age = days,
                _ => found.add(
                    Some(span),
                    "it is not between 1 and 512 days",
                    Some("give it as \"21d\""),
                ),
            }
        }
        if let Some(length) = self.srs_hash_length {
            match *length.get_ref() {
                length @ 4..=16 => srs.hash_length = length,
                _ => found.add(Some(length.span()), "it is not between 4 and 16", None),
            }
        }
        let mut folders = Vec::new();
        for (name, special_use) in self.folders.iter().flatten() {
            let text = special_use.get_ref();
            let special = SpecialUse::from_name(text);
            if special.is_none() && text != "none" {
                let help = Some(
                    "a use is \"archive\", \"drafts\", \"junk\", \"sent\", \"trash\", \"flagged\" or \"none\"",
                );
                found.add(
                    Some(special_use.span()),
                    format!("\"{text}\" is no use of a folder"),
                    help,
                );
            }
            match MailboxName::parse(name) {
                Ok(name) if !name.is_inbox() => folders.push(NewFolder::new(name, special)),
                _ => found.add(
                    Some(special_use.span()),
                    format!("\"{name}\" cannot be the name of a further folder"),
                    Some("INBOX is made in any case; levels of a name are parted by `/`"),
                ),
            }
        }
        Delivery {
            separators: self.separators.unwrap_or(usual.separators),
            subaddress_folders: self.subaddress_folders.unwrap_or(usual.subaddress_folders),
            folders: if self.folders.is_some() {
                folders
            } else {
                usual.folders
            },
            srs: self.srs.unwrap_or(false).then_some(srs),
            vacation_senders: self
                .vacation_senders
                .unwrap_or(usual.vacation_senders)
                .clamp(1000, 2000),
            quota_warnings: self.quota_warnings.unwrap_or(usual.quota_warnings),
            recipients_at_once: self.recipients_at_once.unwrap_or(usual.recipients_at_once).max(1),
            lists: lists_of(lists, domains, found),
            lists_file: self.lists_file.map(|path| folder.join(path)),
        }
    }
}

/// Reads a file of lists: sections as those below `[lists]`, without that word.
///
/// # Errors
///
/// When it cannot be read or understood.
pub(crate) fn read_lists(path: &Path, domains: &[Domain]) -> Result<Lists, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::unreadable(path, &error, "let the server read it"))?;
    let sections = toml::from_str(&text).map_err(|error| ConfigError::syntax(path, &text, &error))?;
    let mut found = Problems::new(path, &text);
    let lists = lists_of(sections, domains, &mut found);
    found.finish(lists)
}

fn lists_of(
    sections: BTreeMap<Spanned<String>, ListSection>,
    domains: &[Domain],
    found: &mut Problems<'_>,
) -> Lists {
    let mut lists = Lists::new();
    for (key, section) in sections {
        let span = key.span();
        let name = key.into_inner();
        let address = match name.parse::<EmailAddress>() {
            Ok(address) => address,
            Err(error) => {
                let help = Some("write the whole address of the list, as in [lists.\"team@example.org\"]");
                found.add(Some(span), format!("list {name}: {error}"), help);
                continue;
            }
        };
        if !address.domain().is_some_and(|domain| is_among(domains, &domain)) {
            let help = Some("add the domain to `domains`, or correct the name");
            found.add(
                Some(span.clone()),
                format!("list {name}: its domain is not one of ours"),
                help,
            );
        }
        let list = List {
            address,
            members: section.members.into_iter().map(|member| member.0).collect(),
            owner: section.owner.0,
            post: section.post.0,
            description: section.description,
        };
        if names::key(list.owner.as_str()) == names::key(list.address.as_str()) {
            let help = Some("name a person: what comes back from members goes there");
            found.add(Some(span.clone()), format!("list {name} is its own owner"), help);
        }
        if lists.insert(names::key(&name), list).is_some() {
            found.add(
                Some(span),
                format!("list {name} is there twice"),
                Some("join them"),
            );
        }
    }
    lists
}

/// `"members"`, `"anyone"`, or a list of addresses.
#[derive(Default)]
struct PostingSection(Posting);

impl<'de> Deserialize<'de> for PostingSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = PostingSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"members\", \"anyone\" or a list of addresses")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PostingSection, E> {
                match text {
                    "members" => Ok(PostingSection(Posting::Members)),
                    "anyone" => Ok(PostingSection(Posting::Anyone)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PostingSection, A::Error> {
                let mut only = Vec::new();
                while let Some(Text(address)) = list.next_element()? {
                    only.push(address);
                }
                Ok(PostingSection(Posting::Only(only)))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}
