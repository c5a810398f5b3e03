//! One mail transaction on the receiving side (RFC 5321 §3.3, RFC 1870, RFC 2033, RFC 2852, RFC 4865)

use super::body::Chunks;
use super::session::BAD_SEQUENCE;
use super::{Config, Limits};
use crate::deliverby::Mode;
use crate::futurerelease::{DateTime, Hold};
use crate::{BodyType, CommandError, EnhancedCode, Mail, Rcpt, Rejection, Reply};
use std::collections::BTreeSet;

/// The transaction layer: what was accepted since MAIL.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) smtputf8: bool,
    pub(super) binary: bool,
    /// Accepted recipients.
    pub(super) recipients: u32,
    /// Their domains in lower case, where these are counted.
    pub(super) domains: BTreeSet<Box<str>>,
    /// The message so far, if it comes by BDAT and its last chunk has not.
    pub(super) chunks: Option<Box<Chunks>>,
}

/// What MAIL says of a transaction that is yet to be accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    smtputf8: bool,
    binary: bool,
}

impl From<Begun> for Transaction {
    fn from(begun: Begun) -> Self {
        Self {
            smtputf8: begun.smtputf8,
            binary: begun.binary,
            recipients: 0,
            domains: BTreeSet::new(),
            chunks: None,
        }
    }
}

impl Transaction {
    /// Whether `mail` may begin a transaction. `horizon` is the last moment a message may be held until.
    pub(super) fn begin(
        open: Option<&Self>,
        mail: &Mail,
        config: &Config,
        horizon: Option<DateTime>,
    ) -> Result<Begun, Reply> {
        if open.is_some() {
            return Err(Reply::fixed(503, BAD_SEQUENCE, "Sender already given"));
        }
        let params = &mail.params;
        let limit = config.limits.message_size;
        if limit > 0 && params.size.is_some_and(|size| size > limit) {
            return Err(Rejection::TOO_BIG.into());
        }
        let too_long = match params.hold {
            None => false,
            Some(Hold::For(interval)) => interval > config.future_release_max,
            Some(Hold::Until(moment)) => horizon.is_none_or(|horizon| moment > horizon),
        };
        if too_long {
            return Err(CommandError::Parameter.reply());
        }
        let too_soon = params.by.is_some_and(|by| {
            let least = config.deliver_by_min.unwrap_or(0);
            by.mode() == Mode::Return && by.seconds().unsigned_abs() < least
        });
        if too_soon {
            // RFC 2852 §4: well-formed, but not to be honoured.
            let text = "Deliver-by time is below the minimum";
            return Err(Reply::fixed(555, EnhancedCode::new(5, 5, 4), text));
        }
        Ok(Begun {
            smtputf8: params.smtputf8,
            binary: params.body == Some(BodyType::BinaryMime),
        })
    }

    /// Whether `rcpt` may be asked about; its domain, where domains are counted and this one was not.
    pub(super) fn recipient(
        open: Option<&Self>,
        rcpt: &Rcpt,
        limits: &Limits,
    ) -> Result<Option<Box<str>>, Reply> {
        let Some(open) = open else {
            return Err(Reply::fixed(503, BAD_SEQUENCE, "Need MAIL before RCPT"));
        };
        if open.chunks.is_some() {
            return Err(Reply::fixed(503, BAD_SEQUENCE, "The message has begun"));
        }
        if !open.smtputf8 && !rcpt.path.is_ascii() {
            return Err(CommandError::NonAsciiAddress.reply());
        }
        if open.recipients >= limits.recipients {
            return Err(Rejection::TOO_MANY_RECIPIENTS.into());
        }
        let most = limits.recipient_domains;
        let domain = match rcpt.path.address() {
            Some(address) if most > 0 => address.host_text().to_ascii_lowercase(),
            _ => return Ok(None),
        };
        match open.domains.contains(&*domain) {
            true => Ok(None),
            false if open.domains.len() >= most as usize => {
                let text = "Too many domains among the recipients";
                Err(Reply::fixed(452, EnhancedCode::new(4, 5, 3), text))
            }
            false => Ok(Some(domain.into())),
        }
    }

    /// Whether the message may come by DATA.
    pub(super) fn data(open: Option<&Self>) -> Result<(), Reply> {
        let open = Self::message(open)?;
        match () {
            // RFC 3030 §2 and §3: DATA and BDAT do not mix, and DATA cannot carry binary octets.
            () if open.chunks.is_some() => Err(Reply::fixed(503, BAD_SEQUENCE, "BDAT has begun the message")),
            () if open.binary => Err(Reply::fixed(503, BAD_SEQUENCE, "BINARYMIME needs BDAT")),
            () => Ok(()),
        }
    }

    /// Whether the message, or its next chunk, may come at all.
    pub(super) fn message(open: Option<&Self>) -> Result<&Self, Reply> {
        match open {
            None => Err(Reply::fixed(503, BAD_SEQUENCE, "Need MAIL before the message")),
            // RFC 2033 §4.2 demands 503, RFC 5321 §3.3 allows it.
            Some(open) if open.recipients == 0 => Err(Reply::fixed(503, BAD_SEQUENCE, "No valid recipients")),
            Some(open) => Ok(open),
        }
    }
}
