//! The Sender Rewriting Scheme: senders of forwarded mail as addresses of this server, and back
//!
//! A server that forwards a message is no server that the sender's SPF record names, so the sender of the envelope
//! becomes an address here that says where bounces have to go:
//!
//! ```text
//!  alice@b.test                              forwarded by a.test, becomes
//!  SRS0=HASH=TT=b.test=alice@a.test          forwarded by c.test, becomes
//!  SRS1=HASH=a.test==HASH=TT=b.test=alice@c.test
//! ```
//!
//! `HASH` is the beginning of an HMAC-SHA1 over what follows it, in base64, so that nobody can make up such addresses
//! and have mail sent on through this server; `TT` is the day, so that one that leaked does not work for ever. An address
//! of `SRS1` leads to the first server that forwarded, whatever came between.
//!
//! The format is that of Mail::SRS, libsrs2 and postsrsd, and so are the files of secrets: the first line signs, and all
//! verify. Letters may change their case on the way, so hashes are compared without regard to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailwright_address::{Domain, EmailAddress, Host};
use ring::hmac;

/// Rewrites addresses.
#[derive(Debug, Clone)]
pub struct Rewriter {
    keys: Vec<hmac::Key>,
    domain: Domain,
    hash_length: usize,
    max_age: u16,
}

/// Why an address does not lead back to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It has not the form of a rewritten address.
    #[error("it is no rewritten address")]
    NoSuchForm,
    /// Its hash is not one of ours.
    #[error("its hash is wrong")]
    Forged,
    /// It is older than bounces may be.
    #[error("it is too old")]
    Expired,
}

impl Rewriter {
    /// Rewrites to addresses of `domain` with these secrets; the first one signs, all of them verify. `None` without a
    /// secret.
    ///
    /// `hash_length` is how many characters of the hash an address has, at most 27, and `max_age` for how many days it
    /// is good, less than 1024.
    pub fn new<'s>(
        secrets: impl IntoIterator<Item = &'s str>,
        domain: Domain,
        hash_length: usize,
        max_age: u16,
    ) -> Option<Self> {
        let key = |secret: &str| hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let keys: Vec<_> = secrets.into_iter().map(key).collect();
        (!keys.is_empty()).then_some(Self {
            keys,
            domain,
            hash_length: hash_length.min(27),
            max_age: max_age.min(DAYS - 1),
        })
    }

    /// The address that stands for a sender, at a moment in seconds since 1970; `None` if there is no room for it in the
    /// 64 octets of a local part (RFC 5321 §4.5.3.1.1).
    pub fn forward(&self, sender: &EmailAddress, now: u64) -> Option<EmailAddress> {
        let (user, host) = (sender.unquoted_local_part(), sender.host_text());
        let first = self.keys.first()?;
        let local = match (scheme(&user), user.get(TAG + 1..)) {
            // It has a sender in it already, and the first server that forwarded it; what came between is left out.
            (Some(Scheme::Srs1), Some(rest)) => {
                let (_, rest) = rest.split_once(SEPARATOR)?;
                let (first_host, opaque) = rest.split_once(SEPARATOR)?;
                let hash = self.hash(first, &[first_host, opaque]);
                format!("SRS1={hash}={first_host}={opaque}")
            }
            (Some(Scheme::Srs0), _) => {
                // The separator behind the tag belongs to what the other server has to see again.
                let opaque = &user[TAG..];
                format!("SRS1={}={host}={opaque}", self.hash(first, &[host, opaque]))
            }
            _ => {
                let day = day_text(now);
                format!(
                    "SRS0={}={day}={host}={user}",
                    self.hash(first, &[&day, host, &user])
                )
            }
        };
        let rewritten = EmailAddress::new(&local, Host::Domain(self.domain.clone())).ok()?;
        // Others keep to it, whatever we would take.
        (rewritten.local_part().len() <= MAX_LOCAL_PART).then_some(rewritten)
    }

    /// The address that a rewritten local part stands for, at a moment in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says why it stands for none.
    pub fn reverse(&self, local: &str, now: u64) -> Result<EmailAddress, Refusal> {
        let scheme = scheme(local).ok_or(Refusal::NoSuchForm)?;
        let rest = local.get(TAG + 1..).ok_or(Refusal::NoSuchForm)?;
        let (hash, rest) = rest.split_once(SEPARATOR).ok_or(Refusal::NoSuchForm)?;
        match scheme {
            Scheme::Srs0 => {
                let mut parts = rest.splitn(3, SEPARATOR);
                let (Some(day), Some(host), Some(user)) = (parts.next(), parts.next(), parts.next()) else {
                    return Err(Refusal::NoSuchForm);
                };
                self.verify(hash, &[day, host, user])?;
                match age(day, now) {
                    Some(age) if age <= self.max_age => address(user, host),
                    _ => Err(Refusal::Expired),
                }
            }
            Scheme::Srs1 => {
                let (host, opaque) = rest.split_once(SEPARATOR).ok_or(Refusal::NoSuchForm)?;
                self.verify(hash, &[host, opaque])?;
                address(&format!("SRS0{opaque}"), host)
            }
        }
    }

    fn verify(&self, hash: &str, parts: &[&str]) -> Result<(), Refusal> {
        let is_same = |key| {
            let own = self.hash(key, parts);
            // All of it is compared, whatever differs.
            let differences = own.bytes().zip(hash.bytes()).fold(0, |sum, (own, other)| {
                sum | (own.to_ascii_lowercase() ^ other.to_ascii_lowercase())
            });
            own.len() == hash.len() && differences == 0
        };
        match self.keys.iter().any(is_same) {
            true => Ok(()),
            false => Err(Refusal::Forged),
        }
    }

    fn hash(&self, key: &hmac::Key, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(key);
        for part in parts {
            context.update(part.to_ascii_lowercase().as_bytes());
        }
        let mut hash = STANDARD.encode(context.sign());
        hash.truncate(self.hash_length);
        hash
    }
}

/// Whether a local part claims to be a rewritten one.
pub fn is_rewritten(local: &str) -> bool {
    scheme(local).is_some()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Srs0,
    Srs1,
}

/// `SRS0` and `SRS1` have one of three separators behind them.
const TAG: usize = 4;
const SEPARATOR: char = '=';
/// How many days have a text of their own; then they begin again.
const DAYS: u16 = 1024;
/// RFC 5321 §4.5.3.1.1.
const MAX_LOCAL_PART: usize = 64;
/// Base32 (RFC 4648 §6).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn scheme(local: &str) -> Option<Scheme> {
    let tag = local.get(..TAG)?;
    if !matches!(local.as_bytes().get(TAG), Some(b'=' | b'+' | b'-')) {
        return None;
    }
    match () {
        () if tag.eq_ignore_ascii_case("SRS0") => Some(Scheme::Srs0),
        () if tag.eq_ignore_ascii_case("SRS1") => Some(Scheme::Srs1),
        () => None,
    }
}

fn day_of(now: u64) -> u16 {
    u16::try_from((now / 86_400) % u64::from(DAYS)).unwrap_or(0)
}

fn day_text(now: u64) -> String {
    let day = usize::from(day_of(now));
    [LETTERS[day >> 5], LETTERS[day & 31]]
        .map(char::from)
        .iter()
        .collect()
}

/// How many days ago a day was; `None` if it is none.
fn age(text: &str, now: u64) -> Option<u16> {
    let [high, low] = text.as_bytes() else { return None };
    let value = |letter: &u8| {
        let letter = letter.to_ascii_uppercase();
        LETTERS
            .iter()
            .position(|it| *it == letter)
            .and_then(|at| u16::try_from(at).ok())
    };
    let day = value(high)? << 5 | value(low)?;
    Some((day_of(now) + DAYS - day) % DAYS)
}

fn address(user: &str, host: &str) -> Result<EmailAddress, Refusal> {
    let host = Host::parse(host).map_err(|_| Refusal::NoSuchForm)?;
    EmailAddress::new(user, host).map_err(|_| Refusal::NoSuchForm)
}
