//! What a mail server finds out about the origin of a message, and how it writes that down.
//!
//! It asks no DNS, opens no connection and reads no clock: a check says which question it needs answered, and takes
//! the answer. **ARC is not in it**; a result can be recorded for
//! it, and nothing here computes one.
//!
//! ```text
//!   spf::Check, dkim::Verifier, dmarc::Check ─▶ Step::Ask ─▶ resolver ─▶ answer ─▶ … ─▶ Step::Ready(report)
//!   message that goes out ─▶ dkim::Signer ─▶ DKIM-Signature fields
//!
//!   message as it came ─▶ claims_of(header, us) ─▶ ranges to cut out
//!   results of checks ──▶ AuthenticationResults ─▶ to_field() ─▶ goes on top
//!   field of a server we trust ─▶ AuthenticationResults::parse ─▶ results
//! ```
//!
//! # Example
//!
//! ```
//! use mailwright_auth::{AuthenticationResults, MethodResult, Verdict, claims_of};
//!
//! let forged = b"authentication-results: mx.b.test; dkim=pass header.d=bank.test\r\nSubject: x\r\n\r\n";
//! let cut: Vec<_> = claims_of(forged, "mx.b.test").collect();
//! assert_eq!(&forged[cut[0].end..], b"Subject: x\r\n\r\n");
//!
//! let mut results = AuthenticationResults::new("mx.b.test");
//! results.results.push(MethodResult::auth("alice"));
//! results.results.push(MethodResult::iprev(Verdict::Fail, "192.0.2.7".parse().unwrap()));
//! let field = results.to_field();
//! assert_eq!(
//!     field,
//!     "Authentication-Results: mx.b.test; auth=pass smtp.auth=alice; iprev=fail\r\n \
//!      policy.iprev=192.0.2.7\r\n"
//! );
//! let value = field.split_once(':').unwrap().1;
//! assert_eq!(AuthenticationResults::parse(value.as_bytes()).unwrap(), results);
//! ```
//!
//! # Modules
//!
//! | what | for |
//! |---|---|
//! | [`AuthenticationResults`], [`MethodResult`], [`Property`] | the field, RFC 8601 §2 |
//! | [`Verdict`], [`Keyword`] | the words of its registries, RFC 8601 §2.7 |
//! | [`claims_of`] | fields that claim to be ours, RFC 8601 §5 |
//! | [`spf`] | SPF, RFC 7208; Received-SPF |
//! | [`dkim`] | DKIM, RFC 6376: verified and signed |
//! | [`dmarc`] | DMARC, RFC 9989 and RFC 7489: policies and alignment |
//! | [`crypto`] | what DKIM needs of a crypto library: traits, and `ring` behind them |
//! | [`Step`] | how checks speak with their caller |
//!
//! # Limits
//!
//! Reading takes time and memory in proportion to the field, which the caller bounds. Comments are passed over.
//! Written values are cut at [`Property::MAX_VALUE`] octets, and controls in them become `?`.

pub mod crypto;
mod der;
pub mod dkim;
pub mod dmarc;
mod error;
mod fold;
mod keyword;
mod names;
mod parse;
mod results;
pub mod spf;
mod step;

pub use error::Error;
pub use keyword::{Keyword, Verdict};
pub use parse::claims_of;
pub use results::{AuthenticationResults, MethodResult, Property};
pub use step::Step;
