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
}

impl Capability {
    /// Every extension, in the order in which they are told.
    pub const ALL: [Self; 17] = [
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
    ];

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
        }
    }

    /// Whether it is told before login. The rest would tell strangers more than they need.
    pub(crate) fn before_login(self) -> bool {
        matches!(
            self,
            Self::LiteralPlus | Self::SaslIr | Self::Enable | Self::Id | Self::Idle
        )
    }
}

/// A set of extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capabilities(u32);

impl Capabilities {
    /// No extension: bare IMAP4rev1.
    pub const NONE: Self = Self(0);

    /// All extensions.
    pub const fn all() -> Self {
        Self((1 << Capability::ALL.len()) - 1)
    }

    /// The set with `capability`.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
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
    fn default() -> Self {
        Self::all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let set = Capabilities::all().without(Capability::Move);
        assert!(!set.contains(Capability::Move) && set.contains(Capability::AppendLimit));
        assert_eq!(set.with(Capability::Move), Capabilities::default());
        assert_eq!(Capabilities::NONE.iter().count(), 0);
        for (i, c) in Capability::ALL.into_iter().enumerate() {
            assert_eq!(c as usize, i, "{c:?} is out of order");
        }
    }
}
