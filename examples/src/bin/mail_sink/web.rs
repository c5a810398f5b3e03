//! What was caught, over HTTP.

use crate::caught::{Catch, Caught};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use mailwright_examples::letter::Letter;
use mailwright_mailbox::{Account, Batch, MemoryStore, Op, Store, UidSet};
use mailwright_server::Shared;
use mailwright_server::shared::unix_now;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

type Answer = Response<Full<Bytes>>;

/// Serves until the caller gives up.
pub(crate) async fn serve(listener: TcpListener, caught: Arc<Catch>, shared: Arc<Shared<MemoryStore>>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Too many open files: those who are there may go.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (caught, shared) = (caught.clone(), shared.clone());
        let service = service_fn(move |request| {
            let (caught, shared) = (caught.clone(), shared.clone());
            async move { Ok::<_, Infallible>(answer(&request, &caught, &shared).await) }
        });
        tokio::spawn(async move {
            // Clients that break off are no news.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(client), service)
                .await;
        });
    }
}

async fn answer<B>(request: &Request<B>, caught: &Catch, shared: &Shared<MemoryStore>) -> Answer {
    let path: Vec<_> = request.uri().path().split('/').skip(1).collect();
    match (request.method(), path.as_slice()) {
        (&Method::GET, ["healthz"]) => text("ok\n"),
        (&Method::GET, ["messages"]) => list(caught, request.uri().query().unwrap_or_default()).await,
        (&Method::GET, ["messages", id]) => one(caught, id, |mail| {
            json_of(&json!(Letter::new(&mail.envelope, &mail.octets)))
        }),
        (&Method::GET, ["messages", id, "raw"]) => {
            one(caught, id, |mail| of_type("message/rfc822", mail.octets.clone()))
        }
        (&Method::DELETE, ["messages"]) => match clear(caught, shared).await {
            Ok(()) => status(StatusCode::NO_CONTENT, ""),
            Err(error) => status(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        (_, ["messages" | "healthz", ..]) => {
            status(StatusCode::METHOD_NOT_ALLOWED, "only GET and DELETE /messages\n")
        }
        _ => status(StatusCode::NOT_FOUND, "there are /messages and /healthz\n"),
    }
}

/// The messages that are asked for, once there is one if somebody waits.
async fn list(caught: &Catch, query: &str) -> Answer {
    let (mut to, mut wait) = (None, 0);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("to", address)) => to = Some(unescaped(address)),
            Some(("wait", seconds)) => match seconds.parse() {
                Ok(seconds) => wait = seconds,
                Err(_) => return status(StatusCode::BAD_REQUEST, "wait= takes seconds\n"),
            },
            _ => return status(StatusCode::BAD_REQUEST, "there are to=ADDRESS and wait=SECONDS\n"),
        }
    }
    let mut changes = caught.changes();
    let found = async {
        loop {
            let found = caught.list(to.as_deref());
            if !found.is_empty() {
                break found;
            }
            if changes.changed().await.is_err() {
                break found;
            }
        }
    };
    let found = timeout(Duration::from_secs(wait.min(60)), found).await;
    let found = found.unwrap_or_else(|_| caught.list(to.as_deref()));
    let letters: Vec<_> = found
        .iter()
        .map(|mail| Letter::new(&mail.envelope, &mail.octets))
        .collect();
    json_of(&json!(letters))
}

/// A component of a query without its escapes (RFC 3986 §2.1). A `+` stands for itself: addresses have it.
fn unescaped(text: &str) -> String {
    let (mut octets, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&octet, behind)) = rest.split_first() {
        let digits = behind
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (octet, escaped) {
            (b'%', Some(escaped)) => {
                octets.push(escaped);
                rest = &behind[2..];
            }
            _ => {
                octets.push(octet);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn one(caught: &Catch, id: &str, answer: impl Fn(&Caught) -> Answer) -> Answer {
    let found = caught.list(None).into_iter().find(|mail| mail.envelope.id == id);
    found.map_or_else(
        || status(StatusCode::NOT_FOUND, "no message has this id\n"),
        |mail| answer(&mail),
    )
}

/// Forgets all mail, here and in the mailboxes.
async fn clear(
    caught: &Catch,
    shared: &Shared<MemoryStore>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for recipient in caught.clear() {
        let account = Account::new(recipient.to_lowercase());
        for mailbox in shared.store.mailboxes(&account).await? {
            let expunge = Op::Expunge {
                mailbox: mailbox.id,
                uids: UidSet::all(),
                deleted_only: false,
            };
            shared.store.commit(Batch::new(unix_now()).with(expunge)).await?;
        }
    }
    Ok(())
}

fn json_of(value: &serde_json::Value) -> Answer {
    of_type("application/json", format!("{value}\n").into())
}

fn text(text: &str) -> Answer {
    of_type(
        "text/plain; charset=utf-8",
        Bytes::copy_from_slice(text.as_bytes()),
    )
}

fn status(status: StatusCode, why: &str) -> Answer {
    let mut answer = text(why);
    *answer.status_mut() = status;
    answer
}

fn of_type(media: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media));
    answer
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_of_queries() {
        assert_eq!(unescaped("a%40b.test"), "a@b.test");
        assert_eq!(unescaped("a+b@c%2"), "a+b@c%2");
        assert_eq!(unescaped("%zz%C3%a9"), "%zzé");
    }
}
