//! The secrets that senders of forwarded mail are rewritten with: made once, and read again when they change

use crate::config::{Config, Srs};
use crate::delivery::srs::Rewriter;
use crate::files::replace;
use crate::random::entropy;
use crate::watched::Watched;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailwright_address::Domain;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What rewrites senders, if that is wanted.
#[derive(Debug)]
pub(crate) struct Rewriting {
    settings: Option<(Srs, Domain)>,
    rewriter: Watched<Option<Arc<Rewriter>>>,
}

impl Rewriting {
    /// Reads the secrets, and makes one if there is none.
    pub(crate) fn load(config: &Config) -> io::Result<Self> {
        let settings = config.delivery.srs.clone().and_then(|srs| {
            let domain = srs.domain.clone().or_else(|| config.domains.first().cloned())?;
            Some((srs, domain))
        });
        let Some((srs, domain)) = &settings else {
            let rewriter = Watched::fixed(WHAT, None);
            return Ok(Self {
                settings: None,
                rewriter,
            });
        };
        if !srs.secrets.try_exists()? {
            if let Some(folder) = srs.secrets.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let secret: [u8; 24] = entropy();
            replace(&srs.secrets, &(URL_SAFE_NO_PAD.encode(secret) + "\n"))?;
        }
        let rewriter = Watched::open(WHAT, srs.secrets.clone(), None, |file| read(file, srs, domain))?;
        Ok(Self { settings, rewriter })
    }

    /// What rewrites senders at this moment.
    pub(crate) fn current(&self) -> Option<Arc<Rewriter>> {
        Option::clone(&self.rewriter.current())
    }

    /// Reads the secrets again if they have changed.
    pub(crate) fn refresh(&self) {
        if let Some((srs, domain)) = &self.settings {
            self.rewriter.refresh(|file| read(file, srs, domain));
        }
    }
}

const WHAT: &str = "the secrets for rewritten senders";

fn read(file: &Path, srs: &Srs, domain: &Domain) -> io::Result<Option<Arc<Rewriter>>> {
    let text = std::fs::read_to_string(file)?;
    let secrets = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let rewriter = Rewriter::new(secrets, domain.clone(), srs.hash_length, srs.max_age);
    let empty = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: there is no secret", file.display()),
        )
    };
    rewriter.map(|it| Some(Arc::new(it))).ok_or_else(empty)
}
