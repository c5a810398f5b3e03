//! Email addresses of RFC 5321 and RFC 6531, kept exactly as written.
//!
//! An address is parsed once, prints as it was written (a quoted local part stays quoted), and is compared by
//! what it means. Nothing that this crate prints holds a control character, a line break or an unquoted
//! delimiter, so a parsed address cannot inject a command, a header field or a log line.
//!
//! It does not resolve names, does not know which mailboxes exist, and does not parse header fields: display
//! names, groups and comments of RFC 5322 are the business of a message parser, which hands the bare
//! addresses here.
//!
//! ```text
//!  "MAIL FROM:" ─▶ <@relay.test:"a b"@b.test> SIZE=10
//!                  └──────┬─────────────────┘└──┬───┘
//!                         │ ReversePath::parse_prefix
//!                         ▼                     ▼
//!                 ReversePath::Address         rest, for the caller
//!                         │
//!            EmailAddress "a b"@b.test ── local_part ─▶ "a b"  (unquoted: a b)
//!                         └── host ─▶ Host::Domain(b.test)
//! ```
//!
//! # Example
//!
//! ```
//! use mailwright_address::{EmailAddress, ForwardPath, Host, ReversePath};
//!
//! let bob: EmailAddress = r#""Bob \"B\" Smith"@B.Test"#.parse()?;
//! assert_eq!(bob.to_string(), r#""Bob \"B\" Smith"@B.Test"#);
//! assert_eq!(bob.unquoted_local_part(), r#"Bob "B" Smith"#);
//! assert_eq!(bob.domain(), Some("b.test".parse()?));
//!
//! // The engine of a protocol parses the path and goes on with what follows it.
//! let (from, rest) = ReversePath::parse_prefix("<> RET=HDRS")?;
//! assert_eq!((from, rest), (ReversePath::Null, " RET=HDRS"));
//! assert_eq!("<Postmaster>".parse(), Ok(ForwardPath::Postmaster));
//!
//! let literal: Host = "[IPv6:2001:db8::1]".parse()?;
//! let root = EmailAddress::new("root", literal)?;
//! assert_eq!(ForwardPath::from(root).to_string(), "<root@[IPv6:2001:db8::1]>");
//!
//! let wrong = EmailAddress::parse("a\rb@c").unwrap_err();
//! assert_eq!(wrong.offset(), 1);
//! # Ok::<(), mailwright_address::ParseError>(())
//! ```
//!
//! # Modules
//!
//! | module | RFC |
//! |---|---|
//! | [`domain`] | RFC 5321 §4.1.2, RFC 5890 §2.3.2.1: [`Domain`] |
//! | [`host`] | RFC 5321 §4.1.3: [`Host`], [`AddressLiteral`] |
//! | [`email`] | RFC 5321 §4.1.2, RFC 6531 §3.3: [`EmailAddress`] |
//! | [`path`] | RFC 5321 §4.1.2: [`ReversePath`], [`ForwardPath`] |
//! | `idna` | RFC 5890, RFC 5891, UTS 46: A-labels and U-labels, with the feature `idna` |
//!
//! # Limits
//!
//! [`MAX_LOCAL_PART`], [`MAX_DOMAIN`] and [`MAX_LABEL`]; the sizes that RFC 5321 promises to everybody are
//! [`RFC_LOCAL_PART`] and [`RFC_PATH`].
//!
//! # Features
//!
//! `idna` (off by default) adds the conversion between U-labels and A-labels: `Domain::to_ascii`,
//! `Domain::to_unicode`, `Domain::same_as` and `EmailAddress::to_ascii_domain`. It costs the crate `idna` and
//! the tables of Unicode behind it, 30 crates in all; without it this crate depends on nothing. Whoever wants
//! fewer pins `idna_adapter` to 1.1 in their lock file, and gets about ten.
//!
//! # What is incomplete
//!
//! `==` compares domains in ASCII case alone, with the feature or without: `bücher.example` and
//! `xn--bcher-kva.example` are not equal, and non-ASCII text is compared octet by octet, without
//! normalisation. `Domain::same_as` of the feature `idna` is the comparison that knows better.
//!
//! Minimum Rust version: 1.89.

pub mod domain;
pub mod email;
mod error;
pub mod host;
#[cfg(feature = "idna")]
pub mod idna;
pub mod path;
mod plain;
mod scan;

pub use domain::Domain;
pub use email::EmailAddress;
pub use error::{ParseError, ParseErrorKind};
pub use host::{AddressLiteral, GeneralLiteral, Host};
#[cfg(feature = "idna")]
pub use idna::IdnaError;
pub use path::{ForwardPath, ReversePath};

/// The longest local part that is accepted, in octets as written.
///
/// RFC 5321 §4.5.3.1.1 makes everybody accept [`RFC_LOCAL_PART`] and allows more. Senders use more: bounce
/// addresses that encode a whole recipient (VERP, SRS) are longer than 64 octets every day.
pub const MAX_LOCAL_PART: usize = 320;

/// The longest domain or address literal that is accepted, in octets as written: RFC 5321 §4.5.3.1.2.
///
/// The name of a host in the DNS has at most 253 octets in this form (RFC 1035 §2.3.4).
pub const MAX_DOMAIN: usize = 255;

/// The longest ASCII label of a domain, in octets: RFC 1035 §2.3.4.
///
/// A label with non-ASCII characters is held by [`MAX_DOMAIN`] alone: its length in the DNS is that of its
/// A-label.
pub const MAX_LABEL: usize = 63;

/// The longest local part that every host accepts, in octets: RFC 5321 §4.5.3.1.1.
pub const RFC_LOCAL_PART: usize = 64;

/// The longest path that every host accepts, in octets with its angle brackets: RFC 5321 §4.5.3.1.3.
pub const RFC_PATH: usize = 256;
