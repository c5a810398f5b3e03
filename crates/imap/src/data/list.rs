//! LIST and LSUB rows with CHILDREN (RFC 3348) and SPECIAL-USE (RFC 6154), and NAMESPACE (RFC 2342)

/// One mailbox of a listing, as the embedder knows it. The engine filters and prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRow<'a> {
    /// The name in UTF-8.
    pub name: &'a str,
    /// It cannot be selected: `\Noselect`.
    pub no_select: bool,
    /// It can have no children: `\Noinferiors`.
    pub no_inferiors: bool,
    /// There is no such mailbox: only a subscription, or a level above others (`\NonExistent`, RFC 5258).
    pub non_existent: bool,
    /// Whether it has children, if known (RFC 3348).
    pub children: Option<bool>,
    /// Whether it is marked interesting, if known.
    pub marked: Option<bool>,
    /// Whether the user is subscribed to it.
    pub subscribed: bool,
    /// What it is for (RFC 6154).
    pub special_use: &'a [SpecialUse],
}

impl<'a> ListRow<'a> {
    /// Makes a row with no attributes.
    pub fn new(name: &'a str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }
}

/// What a mailbox is for (RFC 6154 §2, RFC 8457 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpecialUse {
    /// All messages.
    All,
    /// Messages put out of sight.
    Archive,
    /// Drafts.
    Drafts,
    /// Flagged messages.
    Flagged,
    /// Messages deemed important.
    Important,
    /// Spam.
    Junk,
    /// Copies of what was sent.
    Sent,
    /// Deleted messages.
    Trash,
}

impl SpecialUse {
    const ALL: [(Self, &'static str); 8] = [
        (Self::All, "\\All"),
        (Self::Archive, "\\Archive"),
        (Self::Drafts, "\\Drafts"),
        (Self::Flagged, "\\Flagged"),
        (Self::Important, "\\Important"),
        (Self::Junk, "\\Junk"),
        (Self::Sent, "\\Sent"),
        (Self::Trash, "\\Trash"),
    ];

    /// The attribute on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Important => "\\Important",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// Parses an attribute, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(attribute, _)| attribute)
    }
}

/// The three kinds of namespaces (RFC 2342 §5). The default is one personal namespace without prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // the RFC's three kinds
pub struct Namespaces {
    /// The user's own mailboxes.
    pub personal: Vec<Namespace>,
    /// Those of other users.
    pub others: Vec<Namespace>,
    /// Those that are shared.
    pub shared: Vec<Namespace>,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            personal: vec![Namespace::default()],
            others: Vec::new(),
            shared: Vec::new(),
        }
    }
}

/// One namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // prefix and delimiter; the delimiter is the session's
pub struct Namespace {
    /// What its mailbox names start with, in UTF-8; empty for none.
    pub prefix: String,
}
