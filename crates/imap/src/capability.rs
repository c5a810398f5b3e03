//! Capabilities (RFC 3501 §7.2.1)

/// An extension the engine can offer.
///
/// What depends on the connection (`STARTTLS`, `LOGINDISABLED`, `AUTH=`) follows from [`Config`](crate::Config).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Capability {
    /// Non-synchronising literals (RFC 7888).
    LiteralPlus,
    /// Initial response of AUTHENTICATE (RFC 4959).
    SaslIr,
    /// ENABLE (RFC 5161).
    Enable,
    /// ID (RFC 2971).
    Id,
    /// IDLE (RFC 2177).
    Idle,
    /// NAMESPACE (RFC 2342).
    Namespace,
    /// UID EXPUNGE, APPENDUID and COPYUID (RFC 4315).
    UidPlus,
    /// UNSELECT (RFC 3691).
    Unselect,
    /// `\HasChildren` and `\HasNoChildren` (RFC 3348).
    Children,
    /// Special-use attributes (RFC 6154).
    SpecialUse,
    /// CREATE with USE (RFC 6154).
    CreateSpecialUse,
    /// MOVE (RFC 6851).
    Move,
    /// SEARCH with RETURN (RFC 4731).
    Esearch,
    /// STATUS SIZE (RFC 8438).
    StatusSize,
    /// LIST with options and several patterns (RFC 5258).
    ListExtended,
    /// LIST with RETURN STATUS (RFC 5819).
    ListStatus,
    /// The largest APPEND is told (RFC 7889).
    AppendLimit,
    /// Quotas (RFC 9208). Told with the kinds in [`Config::quota_resources`](crate::Config::quota_resources).
    Quota,
    /// SETQUOTA (RFC 9208).
    QuotaSet,
    /// Access control lists (RFC 4314).
    Acl,
    /// Annotations of mailboxes and of the server (RFC 5464).
    Metadata,
    /// Annotations of the server alone (RFC 5464): for whoever does not offer [`Metadata`](Self::Metadata).
    MetadataServer,
    /// LIST with RETURN MYRIGHTS (RFC 8440).
    ListMyRights,
    /// LIST with RETURN METADATA (RFC 9590).
    ListMetadata,
    /// Compression (RFC 4978).
    Compress,
    /// Logging out without closing the connection (RFC 8437).
    Unauthenticate,
    /// SORT (RFC 5256).
    Sort,
    /// SORT by displayed names (RFC 5957).
    SortDisplay,
    /// SORT with RETURN (RFC 5267).
    Esort,
    /// THREAD by base subject (RFC 5256).
    ThreadOrderedSubject,
    /// THREAD by what messages refer to (RFC 5256).
    ThreadReferences,
    /// ESEARCH over several mailboxes (RFC 7377).
    MultiSearch,
    /// Changes of any mailbox are told at any time (RFC 5465).
    Notify,
    /// Devices can ask to be woken.
    ApplePush,
    /// Commands that take time say so (RFC 9585).
    InProgress,
    /// IMAP4rev2 beside IMAP4rev1 (RFC 9051). The client chooses by ENABLE.
    Imap4Rev2,
    /// Non-synchronising literals up to 4,096 octets (RFC 7888); [`LiteralPlus`](Self::LiteralPlus) has more.
    LiteralMinus,
    /// Mod-sequences, conditional STORE (RFC 7162).
    CondStore,
    /// Quick resynchronisation (RFC 7162).
    QResync,
    /// SEARCH results are kept as `$` (RFC 5182).
    SearchRes,
    /// SEARCH YOUNGER and OLDER (RFC 5032).
    Within,
    /// Paged SEARCH and FETCH (RFC 9394).
    Partial,
    /// Decoded parts in FETCH, and APPEND with NUL (RFC 3516).
    Binary,
    /// Several messages in one APPEND (RFC 3502).
    MultiAppend,
    /// APPEND of messages made from parts (RFC 4469).
    Catenate,
    /// REPLACE (RFC 8508).
    Replace,
    /// Mailbox names and headers in UTF-8 (RFC 6855).
    Utf8Accept,
    /// MAILBOXID, EMAILID, THREADID (RFC 8474).
    ObjectId,
    /// When a message came into its mailbox (RFC 8514).
    SaveDate,
    /// The first words of a message (RFC 8970).
    Preview,
    /// STATUS DELETED (RFC 9051).
    StatusDeleted,
    /// Sessions without sequence numbers (RFC 9586).
    UidOnly,
}

impl Capability {
    /// Every extension, in the order in which they are told.
    pub const ALL: [Self; 52] = [
        Self::LiteralPlus,
        Self::SaslIr,
        Self::Enable,
        Self::Id,
        Self::Idle,
        Self::Namespace,
        Self::UidPlus,
        Self::Unselect,
        Self::Children,
        Self::SpecialUse,
        Self::CreateSpecialUse,
        Self::Move,
        Self::Esearch,
        Self::StatusSize,
        Self::ListExtended,
        Self::ListStatus,
        Self::AppendLimit,
        Self::Quota,
        Self::QuotaSet,
        Self::Acl,
        Self::Metadata,
        Self::MetadataServer,
        Self::ListMyRights,
        Self::ListMetadata,
        Self::Compress,
        Self::Unauthenticate,
        Self::Sort,
        Self::SortDisplay,
        Self::Esort,
        Self::ThreadOrderedSubject,
        Self::ThreadReferences,
        Self::MultiSearch,
        Self::Notify,
        Self::ApplePush,
        Self::InProgress,
        Self::Imap4Rev2,
        Self::LiteralMinus,
        Self::CondStore,
        Self::QResync,
        Self::SearchRes,
        Self::Within,
        Self::Partial,
        Self::Binary,
        Self::MultiAppend,
        Self::Catenate,
        Self::Replace,
        Self::Utf8Accept,
        Self::ObjectId,
        Self::SaveDate,
        Self::Preview,
        Self::StatusDeleted,
        Self::UidOnly,
    ];

    /// How many of [`ALL`](Self::ALL) ask nothing of the embedder beyond the questions of IMAP4rev1.
    const BASIC: usize = 17;

    /// The name on the wire. `APPENDLIMIT` gets its value when it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LiteralPlus => "LITERAL+",
            Self::SaslIr => "SASL-IR",
            Self::Enable => "ENABLE",
            Self::Id => "ID",
            Self::Idle => "IDLE",
            Self::Namespace => "NAMESPACE",
            Self::UidPlus => "UIDPLUS",
            Self::Unselect => "UNSELECT",
            Self::Children => "CHILDREN",
            Self::SpecialUse => "SPECIAL-USE",
            Self::CreateSpecialUse => "CREATE-SPECIAL-USE",
            Self::Move => "MOVE",
            Self::Esearch => "ESEARCH",
            Self::StatusSize => "STATUS=SIZE",
            Self::ListExtended => "LIST-EXTENDED",
            Self::ListStatus => "LIST-STATUS",
            Self::AppendLimit => "APPENDLIMIT",
            Self::Quota => "QUOTA",
            Self::QuotaSet => "QUOTASET",
            Self::Acl => "ACL",
            Self::Metadata => "METADATA",
            Self::MetadataServer => "METADATA-SERVER",
            Self::ListMyRights => "LIST-MYRIGHTS",
            Self::ListMetadata => "LIST-METADATA",
            Self::Compress => "COMPRESS=DEFLATE",
            Self::Unauthenticate => "UNAUTHENTICATE",
            Self::Sort => "SORT",
            Self::SortDisplay => "SORT=DISPLAY",
            Self::Esort => "ESORT",
            Self::ThreadOrderedSubject => "THREAD=ORDEREDSUBJECT",
            Self::ThreadReferences => "THREAD=REFERENCES",
            Self::MultiSearch => "MULTISEARCH",
            Self::Notify => "NOTIFY",
            Self::ApplePush => "XAPPLEPUSHSERVICE",
            Self::InProgress => "INPROGRESS",
            Self::Imap4Rev2 => "IMAP4rev2",
            Self::LiteralMinus => "LITERAL-",
            Self::CondStore => "CONDSTORE",
            Self::QResync => "QRESYNC",
            Self::SearchRes => "SEARCHRES",
            Self::Within => "WITHIN",
            Self::Partial => "PARTIAL",
            Self::Binary => "BINARY",
            Self::MultiAppend => "MULTIAPPEND",
            Self::Catenate => "CATENATE",
            Self::Replace => "REPLACE",
            Self::Utf8Accept => "UTF8=ACCEPT",
            Self::ObjectId => "OBJECTID",
            Self::SaveDate => "SAVEDATE",
            Self::Preview => "PREVIEW",
            Self::StatusDeleted => "STATUS=DELETED",
            Self::UidOnly => "UIDONLY",
        }
    }

    /// Whether it is told before login. The rest would tell strangers more than they need.
    pub(crate) fn before_login(self) -> bool {
        matches!(
            self,
            Self::LiteralPlus
                | Self::LiteralMinus
                | Self::SaslIr
                | Self::Enable
                | Self::Id
                | Self::Idle
                | Self::Imap4Rev2
        )
    }
}

/// A set of extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

impl Capabilities {
    /// No extension: bare IMAP4rev1.
    pub const NONE: Self = Self(0);

    /// What this crate was built with: no set holds more.
    const BUILT: u64 = match cfg!(feature = "compress") {
        true => u64::MAX,
        false => !(1 << Capability::Compress as u8),
    };

    /// The extensions that ask nothing of the embedder beyond the questions of IMAP4rev1.
    pub const fn basic() -> Self {
        Self(((1 << Capability::BASIC) - 1) & Self::BUILT)
    }

    /// All extensions: for who can answer everything they ask for.
    pub const fn all() -> Self {
        Self(((1 << Capability::ALL.len()) - 1) & Self::BUILT)
    }

    /// The set with `capability`, if the crate was built with it: [`Capability::Compress`] is a feature.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | (1 << capability as u8) & Self::BUILT)
    }

    /// The set without `capability`.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    /// Whether `capability` is in the set.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & 1 << capability as u8 != 0
    }

    /// The members, in the order in which they are told.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |&c| self.contains(c))
    }
}

impl Default for Capabilities {
    /// [`basic`](Self::basic).
    fn default() -> Self {
        Self::basic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let set = Capabilities::all().without(Capability::Move);
        assert!(!set.contains(Capability::Move) && set.contains(Capability::AppendLimit));
        assert_eq!(set.with(Capability::Move), Capabilities::all());
        assert_eq!(Capabilities::NONE.iter().count(), 0);
        assert_eq!(
            Capabilities::default().iter().last(),
            Some(Capability::AppendLimit)
        );
        for (i, c) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(c as usize, i, "{c:?} is out of order");
        }
    }
}
