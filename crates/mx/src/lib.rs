//! The way of mail: from the domain of a recipient to an ordered list of addresses to try.
//!
//! It looks up nothing itself: it says which questions it needs answered, and takes the answers from whatever resolves
//! them, `mailwright-dns` or a table in a test. It opens no connection, and knows no queue.
//!
//! ```text
//!  Destination ─▶ Planner ─▶ Step::Ask ─▶ resolver
//!                   │  ▲                     │
//!                   │  └───── answer ◀───────┘
//!                   ▼
//!               Step::Ready ─▶ Route: Attempts, Permanent or Temporary, and why
//! ```
//!
//! ```
//! use mailwright_dns::{Answer, Mx, Name, Negative, Record, RecordType, Records, Security};
//! use mailwright_mx::{Config, Destination, Planner, Step, sts};
//! use std::sync::Arc;
//!
//! let domain = Destination::Domain("b.test".parse()?);
//! let mut planner = Planner::new(domain, Arc::new(Config::default()), 42);
//! let route = loop {
//!     match planner.poll() {
//!         Step::Ask(question) => {
//!             let name = question.name.clone();
//!             let records = match question.record_type {
//!                 RecordType::Mx => vec![Record::Mx(Mx::new(10, Name::parse("mx.b.test")?))],
//!                 RecordType::A => vec![Record::A([192, 0, 2, 25].into())],
//!                 _ => vec![],
//!             };
//!             let answer = match records.is_empty() {
//!                 true => Answer::NoData(Negative::new(name, Security::Insecure)),
//!                 false => Answer::Records(Records::new(name, records, Security::Insecure)),
//!             };
//!             planner.answer(&question, answer);
//!         }
//!         // With an `sts::Cache` and a client for HTTPS in real life.
//!         Step::Policy(_) => planner.policy(sts::Known::default()),
//!         Step::Wait => unreachable!("every question is answered at once"),
//!         Step::Ready(route) => break route,
//!     }
//! };
//! assert_eq!(route.attempts()[0].addr, "192.0.2.25:25".parse()?);
//! for line in route.explain() {
//!     println!("{line}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What becomes of an answer
//!
//! | answer | route |
//! |---|---|
//! | MX records | sorted by preference, shuffled within equal preference only |
//! | this host among them, by name or address | dropped, with all that are not better; if none is left: 554 5.4.6 |
//! | this host, and no better one could be resolved | 451 4.4.4 |
//! | `.` alone (null MX) | 556 5.1.10; beside other records it is ignored |
//! | no MX records | the domain is its own mail exchanger; without an address: 550 5.1.2 |
//! | the domain does not exist | 550 5.1.2 |
//! | any failure to look up MX records | 451 4.4.3, never an implicit MX |
//! | no mail exchanger has a usable address | 550 5.4.4; 451 4.4.3 if a lookup failed |
//! | a smart host or fixed route without address | 451 4.4.4 |
//! | a way that DNSSEC vouches for, and TLSA records at its end | TLS by DANE; any TLS if none of them is usable |
//! | such a way, and TLSA records that cannot be looked up | the host is not used; 451 4.4.3 if none is left |
//! | no TLSA records, an MTA-STS policy in mode `enforce` | verified TLS, only hosts it lists; 451 4.7.5 if none is left |
//! | REQUIRETLS, and nothing vouches for a host's name | the host is not used; 550 5.7.10 if none is left |
//!
//! A host with an address is used although the lookup of its other family failed; [`Route::explain`] tells of it. A
//! mail exchanger that is an alias is tolerated (RFC 2181 §10.3 forbids it, zones have it).
//!
//! # Modules
//!
//! | what | for |
//! |---|---|
//! | [`Planner`], [`Destination`], [`Step`] | the machine |
//! | [`Route`], [`Outcome`], [`Attempt`], [`Refusal`], [`EnhancedCode`], [`Via`] | what it comes to |
//! | [`TlsPolicy`], [`TlsReason`], [`Demand`] | what is asked of TLS, and why |
//! | [`Config`], [`Rule`], [`Relay`], [`TlsRule`], [`Target`], [`Families`] | settings, the operator's rules, limits |
//! | [`dane`] | TLSA records held against certificates |
//! | [`sts`] | MTA-STS records, policies, and the memory for them |
//! | [`tlsrpt`] | TLS reports: who wants them, what is counted, their JSON |
//!
//! # RFCs
//!
//! | RFC | what | where |
//! |---|---|---|
//! | 3463 | enhanced status codes | `route.rs`, `planner/` |
//! | 5280 §4.1 | where a certificate has its key | `der.rs` |
//! | 5321 §5.1 | mail exchangers, own host, order | `planner/`, `candidate.rs`, `random.rs` |
//! | 6698, 7671 | TLSA records | `dane.rs` |
//! | 7435 | opportunistic TLS | `tls.rs` |
//! | 7505 | null MX | `planner/mod.rs` |
//! | 7672 | DANE for SMTP | `search.rs`, `dane.rs`, `planner/conclude.rs` |
//! | 8460 | TLS reports | `tlsrpt/` |
//! | 8461 | MTA-STS | `sts/`, `planner/conclude.rs` |
//! | 8689 | REQUIRETLS, `TLS-Required: No` | `planner/conclude.rs`, `tls.rs` |
//!
//! # Limits, and what is not here
//!
//! All limits are fields of [`Config`] and [`sts::CacheConfig`]. It validates no DNSSEC: it goes by what the resolver is
//! trusted to say ([`Security`](mailwright_dns::Security)). Beyond `mailwright-dns` it brings a reader and writer of JSON
//! (`cargo tree -p mailwright-mx -e normal`).
//!
//! Minimum Rust version: 1.89.

mod candidate;
mod config;
pub mod dane;
mod der;
mod error;
mod note;
mod planner;
mod random;
mod relay;
mod route;
mod search;
pub mod sts;
mod tls;
pub mod tlsrpt;

pub use config::{Config, Families, Target};
pub use error::Error;
pub use planner::{Destination, Planner, Step};
pub use relay::{Relay, Rule, TlsRule};
pub use route::{Attempt, EnhancedCode, Outcome, Refusal, Route, Via};
pub use tls::{Demand, TlsPolicy, TlsReason};
