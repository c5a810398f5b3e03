//! Connections to other servers that wait for another message.

use crate::config::Way;
use crate::conn::Conn;
use crate::metrics::{Task, spawn};
use mailwright_mx::{Attempt as Hop, Target, TlsPolicy, Via};
use mailwright_smtp::Client;
use mailwright_smtp::client::Timeouts;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// The connections that wait; cheap to clone.
///
/// Each waits in a task of its own, which sees when the server closes it, and says goodbye when its time is over.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    parked: Arc<Mutex<HashMap<Line, Vec<Claim>>>>,
}

/// What a connection was made for: only a message that would be sent in the same way may use it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Line {
    host: Target,
    addr: SocketAddr,
    via: Via,
    tls: TlsPolicy,
    way: Way,
}

/// A connection, and how much it has been used.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: Conn<Client>,
    made: Instant,
    messages: u32,
}

type Claim = oneshot::Sender<oneshot::Sender<Link>>;

/// How many connections wait to one host.
const PARKED: usize = 20;
/// How many hosts have any.
const LINES: usize = 500;
/// How long a connection is used, and for how many messages: hosts behind one name change, and servers tire.
const AGE: Duration = Duration::from_secs(300);
const MESSAGES: u32 = 1000;

impl Line {
    pub(super) fn new(hop: &Hop, way: &Way) -> Self {
        Self {
            host: hop.host.clone(),
            addr: hop.addr,
            via: hop.via,
            tls: hop.tls.clone(),
            way: way.clone(),
        }
    }
}

impl Link {
    pub(super) fn new(conn: Conn<Client>) -> Self {
        Self {
            conn,
            made: Instant::now(),
            messages: 0,
        }
    }

    /// Says goodbye. Nobody waits for it.
    pub(super) fn quit(mut self) {
        self.conn.machine().quit();
        self.leave();
    }

    /// Closes a connection whose engine knows that it is over.
    pub(super) fn leave(mut self) {
        spawn(Task::Idle, async move {
            let _ = timeout(Timeouts::default().quit, self.conn.next()).await;
            self.conn.close().await;
        });
    }
}

impl Pool {
    /// A connection that waits, if one does.
    pub(super) async fn take(&self, line: &Line) -> Option<Link> {
        loop {
            let claim = {
                let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
                let claims = parked.get_mut(line)?;
                let claim = claims.pop();
                if claims.is_empty() {
                    parked.remove(line);
                }
                claim?
            };
            let (sender, link) = oneshot::channel();
            // If the server closed it meanwhile, its task is gone.
            if claim.send(sender).is_ok()
                && let Ok(link) = link.await
            {
                return Some(link);
            }
        }
    }

    /// Lets a connection wait, no longer than `keep`.
    pub(super) fn put(&self, line: Line, mut link: Link, keep: Duration) {
        link.messages += 1;
        if keep.is_zero() || link.messages >= MESSAGES || link.made.elapsed() >= AGE {
            return link.quit();
        }
        let (claim, claimed) = oneshot::channel();
        {
            let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
            if parked.len() >= LINES {
                parked.retain(|_, claims| {
                    claims.retain(|claim| !claim.is_closed());
                    !claims.is_empty()
                });
            }
            let is_new = !parked.contains_key(&line);
            if is_new && parked.len() >= LINES {
                drop(parked);
                return link.quit();
            }
            let claims = parked.entry(line).or_default();
            claims.retain(|claim| !claim.is_closed());
            if claims.len() >= PARKED {
                drop(parked);
                return link.quit();
            }
            claims.push(claim);
        }
        spawn(Task::Idle, wait(link, claimed, keep));
    }

    /// Says goodbye to all that wait.
    pub(super) fn clear(&self) {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn wait(mut link: Link, claimed: oneshot::Receiver<oneshot::Sender<Link>>, keep: Duration) {
    link.conn.machine().park();
    tokio::select! {
        biased;
        claimed = claimed => match claimed {
            // Who claimed it may have gone: then it comes back, and is let go.
            Ok(sender) => if let Err(link) = sender.send(link) {
                link.quit();
            },
            Err(_) => link.quit(),
        },
        // Nothing was asked, so whatever the server has to say is its goodbye.
        _ = link.conn.next() => link.conn.close().await,
        () = sleep(keep) => link.quit(),
    }
}
