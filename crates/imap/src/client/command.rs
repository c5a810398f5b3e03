//! Commands that a client can give (RFC 3501 §6, and the extensions' own)

use super::Mailbox;
use super::cache::Cached;
use super::text::Text;
use crate::data::{SpecialUse, StatusItem};
use crate::{DateTime, Flags, SequenceSet, UidSet};
use mailwright_sasl::{Credentials, Mechanism};

/// A command, ready to be queued with [`Client::command`](super::Client::command).
///
/// What depends on the server (how a mailbox name is encoded, whether a literal must be asked for, whether there
/// is the extension at all) is settled when its turn comes.
#[derive(Debug, Clone)]
pub struct Command {
    pub(super) text: Text,
    pub(super) kind: Kind,
    /// One of these capabilities must be there, if any is named.
    pub(super) needs: &'static [&'static str],
    /// It names messages by their sequence numbers.
    pub(super) by_seq: bool,
}

/// What the engine has to know of a command besides its text.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Plain,
    Capability,
    StartTls,
    #[cfg_attr(not(feature = "compress"), allow(dead_code))]
    Compress,
    Login(Option<Mechanism>, Credentials),
    Logout,
    Enable,
    Select,
    Unselect,
    /// Whether it was told that the server took it: it may be begun anew.
    Idle {
        told: bool,
    },
    Append(Vec<Message>),
    /// The messages it asks for.
    Fetch(SequenceSet),
    Store,
    Search {
        uid: bool,
    },
    Sort,
    Thread,
    Copy,
    Expunge,
    Create,
    List,
    Lsub,
    Status(Mailbox),
    Namespace,
    Id,
    Quota,
    Acl,
    Metadata,
    Resync(Mailbox, Box<Cached>),
}

/// Which messages: by UID, or by sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // IMAP's two ways to name a message
pub enum Messages {
    /// By UID.
    Uids(SequenceSet),
    /// By sequence number. Such commands wait until nothing is open that could move the numbers.
    Seqs(SequenceSet),
}

impl Messages {
    pub(super) fn start(&self, word: &str) -> (Text, bool) {
        match self {
            Self::Uids(set) => (Text::new(&format!("UID {word} {set}")), false),
            Self::Seqs(set) => (Text::new(&format!("{word} {set}")), true),
        }
    }
}

/// By UID; `None` if the set is empty, for no command can say that.
impl TryFrom<&UidSet> for Messages {
    type Error = NoMessages;

    fn try_from(uids: &UidSet) -> Result<Self, NoMessages> {
        SequenceSet::parse(uids.to_string().as_bytes())
            .map(Self::Uids)
            .ok_or(NoMessages)
    }
}

/// A set of messages is empty: there is nothing to ask the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoMessages;

impl core::fmt::Display for NoMessages {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no messages are named")
    }
}

impl core::error::Error for NoMessages {}

/// A message that APPEND announces.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its size in octets.
    pub size: u64,
    /// Its flags.
    pub flags: Flags,
    /// Its internal date; the server's clock if `None`.
    pub internal_date: Option<DateTime>,
    /// It may hold NUL, and is sent as literal8 (RFC 3516).
    pub binary: bool,
}

impl Message {
    /// Announces a message of `size` octets.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            flags: Flags::new(),
            internal_date: None,
            binary: false,
        }
    }
}

impl Command {
    pub(super) fn new(text: Text, kind: Kind) -> Self {
        Self {
            text,
            kind,
            needs: &[],
            by_seq: false,
        }
    }

    /// A command whose text depends on the server.
    pub(super) fn of_kind(kind: Kind) -> Self {
        Self::new(Text::default(), kind)
    }

    fn plain(text: &str) -> Self {
        Self::new(Text::new(text), Kind::Plain)
    }

    pub(super) fn needing(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    fn on_mailbox(word: &str, mailbox: impl Into<Mailbox>, kind: Kind) -> Self {
        let mut text = Text::new(word);
        text.raw(" ").mailbox(mailbox.into());
        Self::new(text, kind)
    }

    /// NOOP
    pub fn noop() -> Self {
        Self::plain("NOOP")
    }

    /// CHECK
    pub fn check() -> Self {
        Self::plain("CHECK")
    }

    /// CAPABILITY. The engine asks by itself whenever it does not know.
    pub fn capability() -> Self {
        Self::new(Text::new("CAPABILITY"), Kind::Capability)
    }

    /// STARTTLS: when it is accepted, the machine says [`Step::StartTls`](mailwright_wire::Step::StartTls).
    pub fn start_tls() -> Self {
        Self::new(Text::new("STARTTLS"), Kind::StartTls).needing(&["STARTTLS"])
    }

    /// COMPRESS: what follows is compressed in both directions, if the server accepts it (RFC 4978). Not sent where
    /// compression is on already.
    #[cfg(feature = "compress")]
    pub fn compress() -> Self {
        Self::new(Text::new("COMPRESS DEFLATE"), Kind::Compress).needing(&["COMPRESS=DEFLATE"])
    }

    /// Logs in by the best mechanism that the server offers and the credentials fit, else by LOGIN.
    pub fn login(credentials: Credentials) -> Self {
        Self::of_kind(Kind::Login(None, credentials))
    }

    /// AUTHENTICATE with this mechanism.
    pub fn authenticate(mechanism: Mechanism, credentials: Credentials) -> Self {
        Self::of_kind(Kind::Login(Some(mechanism), credentials))
    }

    /// LOGOUT
    pub fn logout() -> Self {
        Self::new(Text::new("LOGOUT"), Kind::Logout)
    }

    /// ENABLE (RFC 5161): names such as `QRESYNC`. Unknown characters are left out.
    pub fn enable(names: &[&str]) -> Self {
        let mut text = Text::new("ENABLE");
        for name in names {
            let clean: String = name.chars().filter(char::is_ascii_graphic).collect();
            text.raw(" ").raw(&clean);
        }
        Self::new(text, Kind::Enable).needing(&["ENABLE", "IMAP4rev2"])
    }

    /// ID (RFC 2971); without fields it tells nothing.
    pub fn id(fields: &[(&str, &str)]) -> Self {
        let mut text = Text::new("ID ");
        for (i, (name, value)) in fields.iter().enumerate() {
            text.raw(if i > 0 { " " } else { "(" })
                .string(name.as_bytes())
                .raw(" ")
                .string(value.as_bytes());
        }
        text.raw(if fields.is_empty() { "NIL" } else { ")" });
        Self::new(text, Kind::Id).needing(&["ID"])
    }

    /// NAMESPACE (RFC 2342)
    pub fn namespace() -> Self {
        Self::new(Text::new("NAMESPACE"), Kind::Namespace).needing(&["NAMESPACE", "IMAP4rev2"])
    }

    /// SELECT. [`Select`](super::Select) has the options.
    pub fn select(mailbox: impl Into<Mailbox>) -> Self {
        Self::on_mailbox("SELECT", mailbox, Kind::Select)
    }

    /// EXAMINE
    pub fn examine(mailbox: impl Into<Mailbox>) -> Self {
        Self::on_mailbox("EXAMINE", mailbox, Kind::Select)
    }

    /// CREATE, with what the mailbox is for (RFC 6154).
    pub fn create(mailbox: impl Into<Mailbox>, special_use: &[SpecialUse]) -> Self {
        let mut command = Self::on_mailbox("CREATE", mailbox, Kind::Create);
        if !special_use.is_empty() {
            let uses: Vec<_> = special_use.iter().map(|u| u.as_str()).collect();
            command.text.raw(&format!(" (USE ({}))", uses.join(" ")));
            return command.needing(&["CREATE-SPECIAL-USE"]);
        }
        command
    }

    /// DELETE
    pub fn delete(mailbox: impl Into<Mailbox>) -> Self {
        Self::on_mailbox("DELETE", mailbox, Kind::Create)
    }

    /// RENAME
    pub fn rename(from: impl Into<Mailbox>, to: impl Into<Mailbox>) -> Self {
        let mut command = Self::on_mailbox("RENAME", from, Kind::Create);
        command.text.raw(" ").mailbox(to.into());
        command
    }

    /// SUBSCRIBE
    pub fn subscribe(mailbox: impl Into<Mailbox>) -> Self {
        Self::on_mailbox("SUBSCRIBE", mailbox, Kind::Create)
    }

    /// UNSUBSCRIBE
    pub fn unsubscribe(mailbox: impl Into<Mailbox>) -> Self {
        Self::on_mailbox("UNSUBSCRIBE", mailbox, Kind::Create)
    }

    /// LSUB
    pub fn lsub(pattern: impl Into<Mailbox>) -> Self {
        let mut text = Text::new("LSUB \"\" ");
        text.mailbox(pattern.into());
        Self::new(text, Kind::Lsub)
    }

    /// STATUS
    pub fn status(mailbox: impl Into<Mailbox>, items: &[StatusItem]) -> Self {
        let mailbox = mailbox.into();
        let items: Vec<_> = items.iter().map(|i| i.as_str()).collect();
        let mut command = Self::on_mailbox("STATUS", mailbox.clone(), Kind::Status(mailbox));
        command.text.raw(&format!(" ({})", items.join(" ")));
        command
    }

    /// CLOSE: messages with `\Deleted` are removed.
    pub fn close() -> Self {
        Self::new(Text::new("CLOSE"), Kind::Unselect)
    }

    /// UNSELECT (RFC 3691)
    pub fn unselect() -> Self {
        Self::new(Text::new("UNSELECT"), Kind::Unselect).needing(&["UNSELECT", "IMAP4rev2"])
    }

    /// EXPUNGE
    pub fn expunge() -> Self {
        Self::new(Text::new("EXPUNGE"), Kind::Expunge)
    }

    /// UID EXPUNGE (RFC 4315)
    pub fn uid_expunge(uids: &SequenceSet) -> Self {
        Self::new(Text::new(&format!("UID EXPUNGE {uids}")), Kind::Expunge).needing(&["UIDPLUS", "IMAP4rev2"])
    }

    /// COPY
    pub fn copy(messages: &Messages, to: impl Into<Mailbox>) -> Self {
        let (mut text, by_seq) = messages.start("COPY");
        text.raw(" ").mailbox(to.into());
        Self {
            by_seq,
            ..Self::new(text, Kind::Copy)
        }
    }

    /// MOVE (RFC 6851)
    pub fn move_to(messages: &Messages, to: impl Into<Mailbox>) -> Self {
        let (mut text, by_seq) = messages.start("MOVE");
        text.raw(" ").mailbox(to.into());
        Self {
            by_seq,
            ..Self::new(text, Kind::Expunge).needing(&["MOVE", "IMAP4rev2"])
        }
    }

    /// APPEND of one message. The engine asks for its octets with
    /// [`Event::Upload`](super::Event::Upload).
    pub fn append(mailbox: impl Into<Mailbox>, message: Message) -> Self {
        Self::append_all(mailbox, vec![message])
    }

    /// APPEND of several messages, all or none (RFC 3502). An empty list is refused when its turn comes.
    pub fn append_all(mailbox: impl Into<Mailbox>, messages: Vec<Message>) -> Self {
        let several = messages.len() != 1;
        let binary = messages.iter().any(|m| m.binary);
        let command = Self::on_mailbox("APPEND", mailbox, Kind::Append(messages));
        match (several, binary) {
            (true, _) => command.needing(&["MULTIAPPEND"]),
            (false, true) => command.needing(&["BINARY", "UTF8=ACCEPT", "IMAP4rev2"]),
            (false, false) => command,
        }
    }

    /// IDLE (RFC 2177): goes on, with breaks that the server's timers ask for, until
    /// [`Client::stop_idle`](super::Client::stop_idle) or the next command.
    pub fn idle() -> Self {
        Self::new(Text::new("IDLE"), Kind::Idle { told: false }).needing(&["IDLE", "IMAP4rev2"])
    }

    /// NOTIFY SET (RFC 5465) with what stands behind it, such as `(selected (MessageNew MessageExpunge))`;
    /// NOTIFY NONE if it is empty.
    ///
    /// # Errors
    ///
    /// [`BadText`] if it holds a control character.
    pub fn notify(events: &str) -> Result<Self, BadText> {
        let command = match events {
            "" => Self::raw("NOTIFY NONE")?,
            events => Self::raw(&format!("NOTIFY SET {events}"))?,
        };
        Ok(Self {
            kind: Kind::Create,
            ..command.needing(&["NOTIFY"])
        })
    }

    /// GETQUOTA (RFC 9208)
    pub fn get_quota(root: &[u8]) -> Self {
        let mut text = Text::new("GETQUOTA ");
        text.astring(root);
        Self::new(text, Kind::Quota).needing(&["QUOTA"])
    }

    /// GETQUOTAROOT (RFC 9208)
    pub fn get_quota_root(mailbox: impl Into<Mailbox>) -> Self {
        Self::on_mailbox("GETQUOTAROOT", mailbox, Kind::Quota).needing(&["QUOTA"])
    }

    /// SETQUOTA (RFC 9208): resources such as `STORAGE` and their limits.
    ///
    /// # Errors
    ///
    /// [`BadText`] if a resource's name is not an atom.
    pub fn set_quota(root: &[u8], limits: &[(&str, u64)]) -> Result<Self, BadText> {
        let mut text = Text::new("SETQUOTA ");
        text.astring(root).raw(" (");
        for (i, (name, limit)) in limits.iter().enumerate() {
            if name.is_empty() || !name.bytes().all(crate::codec::is_atom_char) {
                return Err(BadText);
            }
            text.raw(&format!("{}{name} {limit}", if i > 0 { " " } else { "" }));
        }
        text.raw(")");
        Ok(Self::new(text, Kind::Quota).needing(&["QUOTASET", "QUOTA"]))
    }

    /// GETACL (RFC 4314)
    pub fn get_acl(mailbox: impl Into<Mailbox>) -> Self {
        Self::on_mailbox("GETACL", mailbox, Kind::Acl).needing(&["ACL"])
    }

    /// SETACL (RFC 4314): rights such as `lrs`, or `+w`.
    pub fn set_acl(mailbox: impl Into<Mailbox>, identifier: &[u8], rights: &str) -> Self {
        let mut command = Self::on_mailbox("SETACL", mailbox, Kind::Create).needing(&["ACL"]);
        command
            .text
            .raw(" ")
            .astring(identifier)
            .raw(" ")
            .astring(rights.as_bytes());
        command
    }

    /// DELETEACL (RFC 4314)
    pub fn delete_acl(mailbox: impl Into<Mailbox>, identifier: &[u8]) -> Self {
        let mut command = Self::on_mailbox("DELETEACL", mailbox, Kind::Create).needing(&["ACL"]);
        command.text.raw(" ").astring(identifier);
        command
    }

    /// LISTRIGHTS (RFC 4314)
    pub fn list_rights(mailbox: impl Into<Mailbox>, identifier: &[u8]) -> Self {
        let mut command = Self::on_mailbox("LISTRIGHTS", mailbox, Kind::Acl).needing(&["ACL"]);
        command.text.raw(" ").astring(identifier);
        command
    }

    /// MYRIGHTS (RFC 4314)
    pub fn my_rights(mailbox: impl Into<Mailbox>) -> Self {
        Self::on_mailbox("MYRIGHTS", mailbox, Kind::Acl).needing(&["ACL"])
    }

    /// GETMETADATA (RFC 5464) of a mailbox, or of the server where the name is empty: entries such as
    /// `/private/comment`.
    pub fn get_metadata(mailbox: impl Into<Mailbox>, entries: &[&str]) -> Self {
        let mut command = Self::on_mailbox("GETMETADATA", mailbox, Kind::Metadata).needing(METADATA);
        for (i, entry) in entries.iter().enumerate() {
            command
                .text
                .raw(if i > 0 { " " } else { " (" })
                .astring(entry.as_bytes());
        }
        command.text.raw(if entries.is_empty() { " ()" } else { ")" });
        command
    }

    /// SETMETADATA (RFC 5464); `None` removes an entry.
    pub fn set_metadata(mailbox: impl Into<Mailbox>, entries: &[(&str, Option<&[u8]>)]) -> Self {
        let mut command = Self::on_mailbox("SETMETADATA", mailbox, Kind::Create).needing(METADATA);
        command.text.raw(" (");
        for (i, (entry, value)) in entries.iter().enumerate() {
            command
                .text
                .raw(if i > 0 { " " } else { "" })
                .astring(entry.as_bytes())
                .raw(" ");
            match value {
                Some(value) => command.text.string(value),
                None => command.text.raw("NIL"),
            };
        }
        command.text.raw(")");
        command
    }

    /// Any other command, without tag and line end. It waits until nothing else is open.
    ///
    /// # Errors
    ///
    /// [`BadText`] if it is empty or holds a control character.
    pub fn raw(text: &str) -> Result<Self, BadText> {
        match text.is_empty() || text.contains(|c: char| c.is_control()) {
            true => Err(BadText),
            false => Ok(Self::plain(text)),
        }
    }
}

const METADATA: &[&str] = &["METADATA", "METADATA-SERVER"];

/// The text cannot stand in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadText;

impl core::fmt::Display for BadText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the text cannot stand in a command")
    }
}

impl core::error::Error for BadText {}

/// What the pipeline must know of a command.
impl Command {
    /// Whether it may be sent while `open` is not answered (RFC 9051 §5.5).
    pub(super) fn may_follow(&self, open: &Self) -> bool {
        if self.kind.is_alone() || open.kind.is_alone() {
            return false;
        }
        // EXPUNGE is told while commands with UIDs run, and moves the numbers of those without.
        if self.by_seq || open.by_seq {
            return self.by_seq && open.by_seq && self.kind.is_apart(&open.kind);
        }
        match (&self.kind, &open.kind) {
            (Kind::Append(_), Kind::Append(_)) | (Kind::Copy, Kind::Copy) => true,
            (a, b) if a.writes() || b.writes() => false,
            // Rows say which message or mailbox they are about; other data does not say whose it is.
            (Kind::Fetch(_), Kind::Fetch(_)) => self.kind.is_apart(&open.kind),
            (Kind::Status(a), Kind::Status(b)) => a != b,
            (Kind::List, Kind::Status(_)) | (Kind::Status(_), Kind::List) => false,
            (a, b) => core::mem::discriminant(a) != core::mem::discriminant(b),
        }
    }
}

impl Kind {
    fn is_alone(&self) -> bool {
        matches!(
            self,
            Self::Plain
                | Self::Capability
                | Self::StartTls
                | Self::Compress
                | Self::Login(..)
                | Self::Logout
                | Self::Enable
                | Self::Select
                | Self::Unselect
                | Self::Idle { .. }
                | Self::Create
                | Self::Resync(..)
        )
    }

    /// Whether both fetch, and no message is asked for by both: servers run them side by side, and a row does
    /// not say which one it answers.
    fn is_apart(&self, other: &Self) -> bool {
        let (Self::Fetch(one), Self::Fetch(other)) = (self, other) else {
            return false;
        };
        set_of(one).intersection(&set_of(other)).is_empty()
    }

    /// Whether it fetches the message with this number.
    pub(super) fn fetches(&self, number: u32) -> bool {
        match self {
            Self::Fetch(set) => set
                .bounded(u32::MAX)
                .any(|(from, to)| (from..=to).contains(&number)),
            _ => false,
        }
    }

    fn writes(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Copy | Self::Store | Self::Expunge)
    }
}

/// The messages of a set; `*` is the largest number there can be.
fn set_of(set: &SequenceSet) -> UidSet {
    UidSet::from_ranges(set.bounded(u32::MAX).map(|(from, to)| from..=to))
}
