//! What programs that watch a server ask: `/healthz` and `/metrics`

use crate::Stream;
use crate::http::server::{self, Limits, Method, Reply, Request};
use crate::shared::Shared;
use hyper::header;
use mailwright_mailbox::Store;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the store may take to answer a server that is well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves one connection until it ends.
pub(crate) async fn serve<S: Store>(shared: Arc<Shared<S>>, stream: Stream, peer: SocketAddr) {
    let metrics = shared.config.observing.metrics.as_ref();
    if !metrics.is_some_and(|metrics| metrics.allows(peer.ip())) {
        return tracing::warn!(%peer, "turned away from the metrics: its address is not among metrics.allow");
    }
    let shared = &shared;
    let answer = |request: Request| async move {
        let get = matches!(request.method, Method::GET | Method::HEAD);
        match request.path.as_str() {
            "/healthz" | "/metrics" if !get => {
                Reply::text(405, "Only GET is known here").with(header::ALLOW, "GET, HEAD")
            }
            "/healthz" => health(shared).await,
            "/metrics" => {
                let text = shared
                    .metrics
                    .text(shared.queue_state().await, shared.accounts.hash_work());
                Reply::new(200, "text/plain; version=0.0.4; charset=utf-8", text)
            }
            _ => Reply::text(404, "There are /healthz and /metrics"),
        }
    };
    let served = server::serve(stream, Limits::default(), &shared.shutdown, answer).await;
    if let Err(error) = served {
        tracing::debug!(%peer, "HTTP: {error}");
    }
}

/// Whether the server can do its work: it is not stopping, and its store answers.
async fn health<S: Store>(shared: &Shared<S>) -> Reply {
    if shared.shutdown.has_begun() {
        return Reply::text(503, "stopping");
    }
    match timeout(PATIENCE, shared.store.spool(None, 1)).await {
        Ok(Ok(_)) => Reply::text(200, "ok"),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store does not answer");
            Reply::text(503, "the store fails")
        }
        Err(_) => Reply::text(503, "the store does not answer"),
    }
}
