//! DomainKeys Identified Mail ([RFC 6376], [RFC 8301], [RFC 8463], [RFC 8616] §5)
//!
//! [`Verifier`] takes a message in pieces as it comes in, asks for keys once the header is there, hashes the body in
//! constant memory, and reports on each signature. [`Signer`] takes a message in pieces, and gives the fields to put on
//! top of it.
//!
//! ```
//! use mailwright_auth::crypto::{RingKey, SigningKey};
//! use mailwright_auth::dkim::{Config, Profile, Signer, Verifier};
//! use mailwright_auth::{Step, Verdict};
//! use mailwright_dns::{Answer, Record, Records, Security, Txt};
//! use std::sync::Arc;
//!
//! let message = b"From: alice@a.test\r\nTo: bob@b.test\r\nSubject: Hello\r\n\r\nHi Bob\r\n";
//! let key = Arc::new(RingKey::from_ed25519_seed(&[7; 32]));
//! let published = key.record();
//! let mut signer = Signer::new([Arc::new(Profile::new("a.test", "2026", key))]);
//! signer.push(message);
//! let mut signed = signer.finish(1_700_000_000)?.into_bytes();
//! signed.extend_from_slice(message);
//!
//! let mut verifier = Verifier::new(Arc::new(Config::default()), 1_700_000_060);
//! for chunk in signed.chunks(10) {
//!     verifier.push(chunk);
//! }
//! verifier.finish();
//! let reports = loop {
//!     match verifier.poll() {
//!         Step::Ask(question) => {
//!             let txt = Record::Txt(Txt::new([published.as_bytes()]));
//!             let records = Records::new(question.name.clone(), [txt], Security::Insecure);
//!             verifier.answer(&question, Answer::Records(records));
//!         }
//!         Step::Wait => unreachable!("the message has ended, and every question is answered at once"),
//!         Step::Ready(reports) => break reports,
//!     }
//! };
//! assert_eq!((&reports[0].verdict, &*reports[0].domain), (&Verdict::Pass, "a.test"));
//! # Ok::<(), mailwright_auth::dkim::SignError>(())
//! ```
//!
//! Lines must end in CRLF, as they do on the wire. Signatures with SHA-1 and with RSA keys below 1024 bits fail
//! (RFC 8301 §3). What a signature with `l=` leaves open is a matter of [`Config::accept_partial`].
//!
//! [RFC 6376]: https://www.rfc-editor.org/rfc/rfc6376
//! [RFC 8301]: https://www.rfc-editor.org/rfc/rfc8301
//! [RFC 8463]: https://www.rfc-editor.org/rfc/rfc8463
//! [RFC 8616]: https://www.rfc-editor.org/rfc/rfc8616

pub(crate) mod canon;
mod key;
mod reason;
mod report;
pub(crate) mod sign;
pub(crate) mod signature;
pub(crate) mod splitter;
mod verify;

pub use canon::{BodyHash, BodyHasher, Canonicalization};
pub use key::KeyRecord;
pub use reason::Reason;
pub use report::Report;
pub use sign::{Profile, Rotation, SignError, Signer};
pub use signature::{Signature, signed_octets};
pub use verify::{Config, Verifier};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mailwright_message::header::Limits;
use mailwright_message::tags::TagList;

/// A tag list without fault; `None` if it has any, which makes it invalid as a whole (RFC 6376 §3.2).
pub(crate) fn read_tags(value: &[u8]) -> Option<TagList<'_>> {
    let mut defects = Vec::new();
    let tags = TagList::parse_with(value, &Limits::default(), &mut defects);
    defects.is_empty().then_some(tags)
}

/// Padding may be missing, and bits at the end may be stray: signers that write such are many.
pub(crate) fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::STANDARD, CONFIG).decode(text).ok()
}

pub(crate) fn base64_encode(octets: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(octets)
}
