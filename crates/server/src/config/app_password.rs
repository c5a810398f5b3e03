//! Application passwords, as files have them

use mailwright_sasl::{Secret, base64_decode, base64_encode};
use ring::digest::{SHA256, digest};

/// A password that one program or device of an account logs in with, made by the server and shown once.
///
/// Its hash is a fast one, of SHA-256 with a salt: with 125 bits of randomness there is nothing to guess, so a slow hash
/// would protect it no better, and would cost every login.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppPassword {
    /// What its owner calls it; there is one of a name in an account.
    pub label: String,
    /// What it may be used for; everything if nothing is named.
    pub scope: Vec<Service>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// `$sha256$SALT$HASH`, both in base64.
    hash: String,
}

/// What somebody logs in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Service {
    /// IMAP: reading, and changing what is kept.
    Imap,
    /// POP3: fetching.
    Pop3,
    /// Submission: sending.
    Smtp,
}

impl std::fmt::Debug for AppPassword {
    /// Without the hash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppPassword")
            .field("label", &self.label)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        })
    }
}

impl std::str::FromStr for Service {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "imap" => Ok(Self::Imap),
            "pop3" => Ok(Self::Pop3),
            "smtp" => Ok(Self::Smtp),
            _ => Err("expected \"imap\", \"pop3\" or \"smtp\""),
        }
    }
}

impl AppPassword {
    /// How many an account may have.
    pub const MOST: usize = 100;

    /// Letters and digits of a password, which nobody takes for others.
    const ALPHABET: &'static [u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

    /// Letters and digits in a password: 125 bits.
    const LENGTH: usize = 25;

    /// Makes a password out of randomness, in five groups of five; `created` is in seconds since 1970.
    pub fn generate(
        label: impl Into<String>,
        scope: Vec<Service>,
        created: i64,
        randomness: &[u8; 41],
    ) -> (Self, Secret) {
        let (letters, salt) = randomness.split_at(Self::LENGTH);
        let letters: Vec<u8> = letters
            .iter()
            .map(|octet| Self::ALPHABET[usize::from(*octet) % Self::ALPHABET.len()])
            .collect();
        let shown = letters.chunks(5).collect::<Vec<_>>().join(&b'-');
        let made = Self {
            label: label.into(),
            scope,
            created,
            hash: render(salt, &letters),
        };
        (made, Secret::new(shown))
    }

    /// Whether it may be used for a service.
    pub fn serves(&self, service: Service) -> bool {
        self.scope.is_empty() || self.scope.contains(&service)
    }

    /// Whether this is the password. Case, and whatever separates the groups, do not count.
    pub fn is(&self, password: &Secret) -> bool {
        let Some(letters) = Self::letters(password) else {
            return false;
        };
        let salt = parse(&self.hash).map(|(salt, _)| salt).unwrap_or_default();
        Secret::from(render(&salt, &letters).as_str()).constant_time_eq(self.hash.as_bytes())
    }

    /// The letters of a password, if it has as many as one that was made here.
    fn letters(password: &Secret) -> Option<Vec<u8>> {
        if password.as_bytes().len() > 4 * Self::LENGTH {
            return None;
        }
        let separates = |octet: &u8| matches!(octet, b'-' | b' ');
        let letters: Vec<u8> = password
            .as_bytes()
            .iter()
            .filter(|octet| !separates(octet))
            .map(u8::to_ascii_lowercase)
            .collect();
        (letters.len() == Self::LENGTH && letters.iter().all(|octet| Self::ALPHABET.contains(octet)))
            .then_some(letters)
    }

    /// The hash, for the accounts file.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether the hash can be checked against.
    pub(crate) fn is_sound(&self) -> bool {
        parse(&self.hash).is_some()
    }
}

fn render(salt: &[u8], letters: &[u8]) -> String {
    let hash = digest(&SHA256, &[salt, letters].concat());
    format!("$sha256${}${}", base64_encode(salt), base64_encode(hash.as_ref()))
}

fn parse(hash: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (salt, hash) = hash.strip_prefix("$sha256$")?.split_once('$')?;
    let (salt, hash) = (base64_decode(salt.as_bytes())?, base64_decode(hash.as_bytes())?);
    (salt.len() >= 16 && hash.len() == SHA256.output_len()).then_some((salt, hash))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppPasswordSection {
    label: String,
    hash: String,
    #[serde(default)]
    scope: Vec<Service>,
    created: i64,
}

impl From<AppPasswordSection> for AppPassword {
    fn from(section: AppPasswordSection) -> Self {
        Self {
            label: section.label,
            scope: section.scope,
            created: section.created,
            hash: section.hash,
        }
    }
}
