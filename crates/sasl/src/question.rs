use crate::{ScramCredentials, ScramHash, Secret};

/// What the embedder has to decide or to look up.
///
/// User names, authorization identities and passwords are prepared by SASLprep with the feature `saslprep`.
/// Names hold no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// May this user with this password act as `authzid` (as itself, if there is none)?
    ///
    /// Answer [`Answer::Accept`] or [`Answer::Deny`]; or give what is stored, [`Answer::Scram`] or
    /// [`Answer::Password`], and the password is checked against it.
    Password {
        /// On whose behalf the client wants to act, if not its own.
        authzid: Option<String>,
        /// Whose password it is. Never empty.
        username: String,
        /// The password. Never empty, and without NUL.
        password: Secret,
    },
    /// What is stored for this user, if it may act as `authzid` (as itself, if there is none)?
    ///
    /// Answer [`Answer::Scram`] with credentials for this hash function; for an unknown user with
    /// [`ScramCredentials::decoy`], which hides best that there is no such user, or with [`Answer::Deny`].
    Scram {
        /// On whose behalf the client wants to act, if not its own.
        authzid: Option<String>,
        /// Whose credentials are wanted. Never empty.
        username: String,
        /// The hash function they have to be of.
        hash: ScramHash,
    },
    /// What is the password of this user? (CRAM-MD5 works with nothing less.)
    ///
    /// Answer [`Answer::Password`] or [`Answer::Deny`].
    #[cfg(feature = "cram-md5")]
    SharedSecret {
        /// Whose password is wanted. Never empty.
        username: String,
    },
    /// Is this access token good, and whose is it?
    ///
    /// Answer [`Answer::AcceptAs`] with the user it belongs to, or [`Answer::Accept`] if that is `username`,
    /// or [`Answer::Deny`].
    Token {
        /// Whose token it is, as the client says; empty if it does not.
        username: String,
        /// The OAuth 2.0 access token (RFC 6750): visible ASCII, never empty.
        token: Secret,
    },
    /// Who is the client by what is known from elsewhere, and may it act as `authzid`?
    ///
    /// Answer [`Answer::AcceptAs`] with the user that the client's certificate names, or [`Answer::Accept`]
    /// if that is `authzid`, or [`Answer::Deny`].
    External {
        /// On whose behalf the client wants to act, if not its own.
        authzid: Option<String>,
    },
    /// Is anybody welcome?
    ///
    /// Answer [`Answer::Accept`], which gives the name `anonymous`, or [`Answer::AcceptAs`], or
    /// [`Answer::Deny`].
    Anonymous {
        /// What the client says about itself, for the administrator: nobody has checked it.
        trace: String,
    },
}

impl Question {
    /// The name the client wants to be known by: of whom the password, proof or token is, for whom it wants to
    /// act with EXTERNAL; `anonymous`, or empty, if it gives none.
    pub fn username(&self) -> &str {
        match self {
            Self::Password { username, .. } | Self::Scram { username, .. } | Self::Token { username, .. } => {
                username
            }
            #[cfg(feature = "cram-md5")]
            Self::SharedSecret { username } => username,
            Self::External { authzid } => authzid.as_deref().unwrap_or(""),
            Self::Anonymous { .. } => ANONYMOUS,
        }
    }

    /// On whose behalf the client wants to act, if not its own.
    pub fn authzid(&self) -> Option<&str> {
        match self {
            Self::Password { authzid, .. } | Self::Scram { authzid, .. } | Self::External { authzid } => {
                authzid.as_deref()
            }
            _ => None,
        }
    }
}

/// The embedder's decision.
///
/// An answer that does not fit the question lets nobody in: it fails as [`Unavailable`](Answer::Unavailable).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The client is who it says and may act as it asks. To [`Question::Password`], [`Question::Token`] and
    /// [`Question::External`] with a name in them, and to [`Question::Anonymous`].
    Accept,
    /// As [`Accept`](Answer::Accept), and this is the name of the user: the one a token or a certificate
    /// belongs to, or the true spelling of the one the client gave.
    AcceptAs(String),
    /// These are the user's credentials, and it may act as it asks. To [`Question::Scram`], and to
    /// [`Question::Password`], whose password is checked against them.
    Scram(ScramCredentials),
    /// This is the user's password, and it may act as it asks. To [`Question::Password`], whose password is
    /// compared, and to the question of CRAM-MD5.
    Password(Secret),
    /// No. A SCRAM exchange goes on to the point where a wrong password fails.
    Deny,
    /// It cannot be told at the moment.
    Unavailable,
}

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identity {
    /// The user whose credentials were shown.
    pub authcid: String,
    /// On whose behalf it acts, if it asked for that.
    pub authzid: Option<String>,
}

impl Identity {
    /// Names the user, and on whose behalf it acts if not on its own.
    pub fn new(authcid: impl Into<String>, authzid: Option<String>) -> Self {
        Self {
            authcid: authcid.into(),
            authzid,
        }
    }

    /// The name to act under: the authzid if there is one, else the authcid.
    pub fn acting(&self) -> &str {
        self.authzid.as_deref().unwrap_or(&self.authcid)
    }
}

/// RFC 4505 §1.
pub(crate) const ANONYMOUS: &str = "anonymous";
