//! Where an ACME server looks, if no listener of the server has the port

use crate::Stream;
use crate::shared::Live;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many may look at once.
const AT_ONCE: usize = 64;

/// Answers handshakes until the server stops. Nothing is spoken under TLS here.
pub(crate) async fn answer_at<S: Send + Sync + 'static>(live: Live<S>, listener: TcpListener) {
    let shutdown = live.current().shutdown.clone();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.begun() => return,
        };
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((tcp, peer)), Ok(place)) => {
                let acceptor = live.current().tls.common();
                let over = shutdown.clone();
                tokio::spawn(async move {
                    let looked = Stream::from(tcp).accept_tls(acceptor, PATIENCE);
                    tokio::select! {
                        looked = looked => match looked {
                            Ok(_) => tracing::debug!(%peer, "not an ACME server"),
                            Err(error) => tracing::debug!(%peer, "{error}"),
                        },
                        () = over.begun() => {}
                    }
                    drop(place);
                });
            }
            // Too many: they come again.
            (Ok(_), Err(_)) => {}
            (Err(error), _) => {
                tracing::error!("cannot accept a connection of an ACME server: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
