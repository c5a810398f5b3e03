//! Response codes (RFC 3501 §7.1, RFC 5530) and refusals

use std::borrow::Cow;

/// A response code that explains why something was refused.
///
/// Codes that carry data (`UIDVALIDITY`, `COPYUID`, ...) are printed from the typed answers and are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The user must see the text.
    Alert,
    /// A URL of CATENATE cannot be resolved (RFC 4469). The engine says which.
    BadUrl,
    /// CREATE or RENAME to a name that is taken.
    AlreadyExists,
    /// The credentials are wrong.
    AuthenticationFailed,
    /// The credentials are right, but may not act for the user that was asked for.
    AuthorizationFailed,
    /// The name or operation can never work.
    Cannot,
    /// The client did what it should know better.
    ClientBug,
    /// The administrator has to help.
    ContactAdmin,
    /// Stored data is damaged.
    Corruption,
    /// The password or account has expired.
    Expired,
    /// Messages that were asked for are gone; their EXPUNGE is still to be told.
    ExpungeIssued,
    /// The mailbox has children and can therefore not be deleted.
    HasChildren,
    /// Somebody else holds a lock.
    InUse,
    /// An operational limit was reached.
    Limit,
    /// More would have to be watched than is possible (RFC 5465 §5.8).
    NotificationOverflow,
    /// There is no such mailbox.
    NonExistent,
    /// Access is not permitted.
    NoPerm,
    /// The quota is exceeded.
    OverQuota,
    /// A message could not be parsed.
    Parse,
    /// The result of SEARCH cannot be kept (RFC 5182).
    NotSaved,
    /// Only over TLS.
    PrivacyRequired,
    /// Our fault.
    ServerBug,
    /// The literal is larger than is allowed (RFC 7889).
    TooBig,
    /// There is no such mailbox to APPEND or COPY to, but CREATE would make it.
    TryCreate,
    /// A subsystem is down for the moment.
    Unavailable,
    /// A part's content transfer encoding cannot be decoded (RFC 3516).
    UnknownCte,
    /// The mailbox cannot have the special use that was asked for (RFC 6154).
    UseAttr,
}

impl Code {
    /// The code as it stands between the brackets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "ALERT",
            Self::BadUrl => "BADURL",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Corruption => "CORRUPTION",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::OverQuota => "OVERQUOTA",
            Self::Parse => "PARSE",
            Self::NotSaved => "NOTSAVED",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::UseAttr => "USEATTR",
        }
    }
}

/// The answer NO: an optional code and a text for people. It cannot say yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub(crate) code: Option<Code>,
    pub(crate) text: Cow<'static, str>,
}

impl Rejection {
    /// There is no such mailbox. For APPEND, COPY and MOVE the engine says `TRYCREATE` instead.
    pub const NO_SUCH_MAILBOX: Self = Self::fixed(Code::NonExistent, "Mailbox does not exist");
    /// The name is taken.
    pub const ALREADY_EXISTS: Self = Self::fixed(Code::AlreadyExists, "Mailbox already exists");
    /// The name or operation can never work.
    pub const CANNOT: Self = Self::fixed(Code::Cannot, "This cannot be done");
    /// Access is not permitted.
    pub const NO_PERMISSION: Self = Self::fixed(Code::NoPerm, "Permission denied");
    /// The quota is exceeded.
    pub const OVER_QUOTA: Self = Self::fixed(Code::OverQuota, "Quota exceeded");
    /// The message is larger than is allowed.
    pub const TOO_BIG: Self = Self::fixed(Code::TooBig, "Message is too large");
    /// Messages that were asked for are gone.
    pub const EXPUNGE_ISSUED: Self = Self::fixed(Code::ExpungeIssued, "Some messages no longer exist");
    /// A subsystem is down for the moment.
    pub const UNAVAILABLE: Self = Self::fixed(Code::Unavailable, "Temporarily unavailable, try again later");

    const fn fixed(code: Code, text: &'static str) -> Self {
        Self {
            code: Some(code),
            text: Cow::Borrowed(text),
        }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Makes a refusal. Whatever the text holds, one printable line of ASCII leaves.
    pub fn new(code: Option<Code>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}
