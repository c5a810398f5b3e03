//! MTA-STS policies: remembered, kept in a file, fetched over HTTPS ([RFC 8461] §3.3)
//!
//! [RFC 8461]: https://www.rfc-editor.org/rfc/rfc8461

use crate::clock::unix_now;
use crate::files::replace;
use crate::http::{Client, HttpError, Limits, Request};
use mailwright_dns::Name;
use mailwright_mx::sts::{self, Cache, Fetch, FetchError, Known, Lookup};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Where policies are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Keep {
    /// In memory alone.
    #[default]
    No,
    /// What is in this file is taken up; it stays as it is.
    Read(PathBuf),
    /// In this file.
    ReadAndWrite(PathBuf),
}

/// The policies of other domains; cheap to clone.
///
/// They are kept over restarts: what is known of a domain protects against somebody who hides its record later.
#[derive(Debug, Clone)]
pub struct Policies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cache: Mutex<Cache>,
    /// One fetch at a time for each domain.
    fetches: Mutex<HashMap<Name, Weak<tokio::sync::Mutex<()>>>>,
    client: Client,
    port: u16,
    /// Locked while the file is written; holds what was written last.
    file: Option<(PathBuf, tokio::sync::Mutex<String>)>,
}

impl Policies {
    /// Policies that are fetched with `client` from `port`, and kept as `keep` says. A file that is missing or cannot be
    /// read means an empty memory.
    pub fn new(client: Client, port: u16, keep: Keep) -> Self {
        let mut cache = Cache::default();
        let (path, file) = match keep {
            Keep::No => (None, None),
            Keep::Read(path) => (Some(path), None),
            Keep::ReadAndWrite(path) => (Some(path.clone()), Some(path)),
        };
        let text = path.as_deref().map(std::fs::read_to_string);
        match text {
            Some(Ok(text)) => _ = cache.read(now(), &text),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the MTA-STS policies fetched earlier cannot be read");
            }
            _ => {}
        }
        Self(Arc::new(Inner {
            cache: Mutex::new(cache),
            fetches: Mutex::default(),
            client,
            port,
            file: file.map(|path| (path, tokio::sync::Mutex::default())),
        }))
    }

    /// The policy that holds for a domain.
    pub async fn find(&self, request: &sts::Request) -> Known {
        if let Lookup::Known(known) = self.cached(request) {
            return known;
        }
        let fetching = self.fetching(&request.domain);
        let _guard = fetching.lock().await;
        // Somebody else may have fetched it meanwhile.
        let fetch = match self.cached(request) {
            Lookup::Known(known) => return known,
            Lookup::Fetch(fetch) => fetch,
        };
        let result = self.fetch(&fetch).await;
        if let Err(error) = &result {
            tracing::info!(domain = %fetch.domain, %error, "an MTA-STS policy could not be fetched");
        }
        let known = {
            let mut cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.fetched(now(), &fetch, result)
        };
        if known.error.is_none() {
            self.save().await;
        }
        known
    }

    fn cached(&self, request: &sts::Request) -> Lookup {
        let cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.lookup(now(), request)
    }

    fn fetching(&self, domain: &Name) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetches = self.0.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fetching) = fetches.get(domain).and_then(Weak::upgrade) {
            return fetching;
        }
        fetches.retain(|_, fetching| fetching.strong_count() > 0);
        let fetching = Arc::default();
        fetches.insert(domain.clone(), Arc::downgrade(&fetching));
        fetching
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<sts::Policy, FetchError> {
        let url = match self.0.port {
            443 => fetch.url(),
            port => format!("https://{}:{port}{}", fetch.host, Fetch::PATH),
        };
        let limits = Limits::new(Fetch::TIMEOUT, Fetch::MAX_BODY);
        let request = Request::get(&url).map_err(|_| FetchError::Unreachable)?;
        let response = self.0.client.send(request, limits).await.map_err(|error| {
            tracing::debug!(url, %error, "no MTA-STS policy");
            match error {
                HttpError::Tls(_) => FetchError::Certificate,
                HttpError::Timeout => FetchError::Timeout,
                HttpError::TooLarge => FetchError::TooLarge,
                HttpError::Protocol(_) => FetchError::Protocol,
                _ => FetchError::Unreachable,
            }
        })?;
        Fetch::read(response.status, response.content_type.as_deref(), &response.body)
    }

    /// Writes the file anew, if it would differ. Without the file mail still goes out, as safely as before a restart.
    async fn save(&self) {
        let Some((path, written)) = &self.0.file else {
            return;
        };
        let mut written = written.lock().await;
        let text = {
            let cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.print()
        };
        if *written == text {
            return;
        }
        let (file, content) = (path.clone(), text.clone());
        match tokio::task::spawn_blocking(move || replace(&file, &content)).await {
            Ok(Ok(())) => *written = text,
            Ok(Err(error)) => {
                tracing::warn!(file = %path.display(), %error, "MTA-STS policies cannot be kept");
            }
            Err(error) => tracing::error!(%error, "keeping MTA-STS policies broke down"),
        }
    }
}

fn now() -> u64 {
    u64::try_from(unix_now()).unwrap_or_default()
}
