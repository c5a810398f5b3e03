//! What a mail server finds out about the origin of a message, and how it writes that down.
//!
//! It asks no DNS, opens no connection and reads no clock: a check says which question it needs answered, and takes
//! the answer. Messages stream through in pieces; but for its header, nothing of one is kept.
//!
//! ```text
//!   client, envelope ─┐                ┌─▶ Step::Ask ─▶ resolver ─▶ answer ─┐
//!   message ─ push ───┴─▶ Checker ─────┤                                    │
//!                            ▲         └─▶ Step::Ready(Checked)             │
//!                            └──────────────────────────────────────────────┘
//!   Checked ─▶ AuthenticationResults ─▶ to_field() ─▶ goes on top, where claims_of(header, us) were cut out
//!   Checked ─▶ dmarc::aggregate::Collector ─▶ report
//!   message that goes out ─ push ─▶ dkim::Signer ─▶ DKIM-Signature fields
//! ```
//!
//! [`Checker`] runs all checks of one message; each of them is a machine of its own too.
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
//! | [`Checker`], [`Config`], [`Envelope`], [`Checked`] | all checks of one message |
//! | [`spf`] | SPF, RFC 7208; Received-SPF |
//! | [`dkim`] | DKIM, RFC 6376, 8301, 8463: verified and signed |
//! | [`dmarc`] | DMARC, RFC 9989 and RFC 7489: policies, alignment, reports |
//! | `arc` | ARC, RFC 8617, with the feature `arc`: verified and sealed |
//! | [`iprev`] | the name of the client, RFC 8601 §3 |
//! | [`crypto`] | what signatures need of a crypto library: traits, and `ring` behind them |
//! | [`Step`] | how checks speak with their caller |
//! | [`AuthenticationResults`], [`MethodResult`], [`Property`] | the field, RFC 8601 §2 |
//! | [`Verdict`], [`Keyword`] | the words of its registries, RFC 8601 §2.7 |
//! | [`claims_of`] | fields that claim to be ours, RFC 8601 §5 |
//!
//! # Limits
//!
//! Reading takes time and memory in proportion to what is read. Every limit is a field with its default: lookups in
//! [`spf::Config`], signatures and the size of a header in [`dkim::Config`], domains that are walked from in
//! [`dmarc::Config`], what a report may unpack to in [`dmarc::aggregate::Limits`]. Values in Authentication-Results are
//! cut at [`Property::MAX_VALUE`] octets, and controls in them become `?`; comments in it are passed over.
//!
//! # Features
//!
//! `arc` (off by default) adds ARC, and no dependency.
//!
//! # What is incomplete
//!
//! RSA keys are not made here, and [`crypto::RingKey`] signs with 2048 bits or more. DKIM keys come from TXT records
//! alone; `l=` is verified and never written. Failure reports are read, not written. BIMI and DKIM2 are not in it.
//!
//! Minimum Rust version: 1.89.

#[cfg(feature = "arc")]
pub mod arc;
mod checker;
pub mod crypto;
mod der;
pub mod dkim;
pub mod dmarc;
mod error;
mod fold;
pub mod iprev;
mod keyword;
mod names;
mod parse;
mod results;
pub mod spf;
mod step;

pub use checker::{Checked, Checker, Config, Envelope};
pub use error::Error;
pub use keyword::{Keyword, Verdict};
pub use parse::claims_of;
pub use results::{AuthenticationResults, MethodResult, Property};
pub use step::Step;
