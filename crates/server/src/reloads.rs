//! Asking for the configuration to be read again, and what came of it

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tokio::sync::{mpsc, oneshot};

/// What a reload has come to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reloaded {
    /// The parts of the configuration that are others than before.
    #[serde(default)]
    pub changed: Vec<String>,
    /// The listeners that were opened, with the addresses they have.
    #[serde(default)]
    pub opened: Vec<(String, SocketAddr)>,
    /// The listeners that were closed.
    #[serde(default)]
    pub closed: Vec<String>,
    /// The settings that are others than before, and hold after the next start alone.
    #[serde(default)]
    pub restart: Vec<String>,
}

/// The way by which a server is asked to read its configuration again; who runs it has the other end.
///
/// The default leads nowhere.
#[derive(Debug, Clone, Default)]
pub struct Reloads(Option<mpsc::Sender<ReloadAsked>>);

/// The other end of [`Reloads`], for whoever runs the server.
#[derive(Debug)]
pub struct ReloadRequests(mpsc::Receiver<ReloadAsked>);

/// Somebody who waits for the configuration to be read again.
#[derive(Debug)]
pub struct ReloadAsked(oneshot::Sender<Result<Reloaded, String>>);

impl Reloads {
    /// The two ends of a way.
    pub fn new() -> (Self, ReloadRequests) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(Some(sender)), ReloadRequests(receiver))
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&self) -> Result<Reloaded, String> {
        let Some(way) = &self.0 else {
            return Err("this server runs without a configuration file that it could read again".into());
        };
        let stopping = || "the server is being stopped".to_owned();
        let (asked, answer) = oneshot::channel();
        way.send(ReloadAsked(asked)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

impl ReloadRequests {
    /// Waits until somebody asks; `None` once the server has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<ReloadAsked> {
        self.0.recv().await
    }
}

impl ReloadAsked {
    /// Tells what the reload has come to: the words of the problem, if there was one.
    pub fn answer(self, done: Result<Reloaded, String>) {
        // Who asked may have gone.
        let _ = self.0.send(done);
    }
}
