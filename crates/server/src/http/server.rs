//! The server: whole requests, whole replies, and limits of time and size.

use crate::Stream;
use crate::shutdown::Shutdown;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

pub(crate) use hyper::Method;

/// What a client may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long the head of a request may take to come, and after it the body.
    pub(crate) read: Duration,
    /// How long a connection may last, however many requests it brings.
    pub(crate) connection: Duration,
    /// The largest head of a request, in octets; hyper takes no less than 8192.
    pub(crate) head: usize,
    /// The most fields of a head.
    pub(crate) fields: usize,
    /// The largest body of a request, in octets.
    pub(crate) body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(10),
            connection: Duration::from_secs(60),
            head: 16 * 1024,
            fields: 64,
            body: 16 * 1024,
        }
    }
}

/// A request that has come as a whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The host that is meant, in lower case and without a port; empty if none was named.
    pub(crate) host: String,
    /// The path, as it was sent.
    pub(crate) path: String,
    /// What stands behind `?`, as it was sent.
    pub(crate) query: String,
    pub(crate) body: Bytes,
}

impl Request {
    /// A parameter of the query whose name is `name` in whatever case.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self
            .query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut found = pairs.filter(|(known, _)| decode(known).eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| decode(value))
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// Further fields of the head.
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            fields: Vec::new(),
            body: body.into(),
        }
    }

    /// A line of text.
    pub(crate) fn text(status: u16, line: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
    }

    /// One more field of the head. A value that cannot be sent is left out.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.fields
            .extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
        self
    }
}

/// Answers the requests of one connection until it ends, its time is over, or the server stops.
pub(crate) async fn serve<F>(
    stream: Stream,
    limits: Limits,
    shutdown: &Shutdown,
    answer: impl Fn(Request) -> F,
) -> Result<(), hyper::Error>
where
    F: Future<Output = Reply>,
{
    let answer = &answer;
    let service = service_fn(move |request: hyper::Request<Incoming>| async move {
        let reply = match read(request, &limits).await {
            Ok(request) => answer(request).await,
            Err(reply) => reply,
        };
        Ok::<_, Infallible>(to_hyper(reply))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read)
        .max_buf_size(limits.head)
        .max_headers(limits.fields)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = timeout(limits.connection, async {
        tokio::select! {
            served = connection.as_mut() => return served,
            () = shutdown.begun() => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    });
    served.await.unwrap_or(Ok(()))
}

async fn read(request: hyper::Request<Incoming>, limits: &Limits) -> Result<Request, Reply> {
    let (head, body) = request.into_parts();
    let body = timeout(limits.read, Limited::new(body, limits.body).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Reply::text(413, "The body is too large").with(header::CONNECTION, "close"));
        }
        Ok(Err(_)) => return Err(Reply::text(400, "The body broke off").with(header::CONNECTION, "close")),
        Err(_) => return Err(Reply::text(408, "The body took too long").with(header::CONNECTION, "close")),
    };
    let field = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = match head.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => field,
    };
    let host = host.unwrap_or_default().to_ascii_lowercase();
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => &host,
    };
    Ok(Request {
        method: head.method,
        host: without_port.trim_end_matches('.').to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body,
    })
}

fn to_hyper(reply: Reply) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(reply.body));
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    // Nothing here is to be taken for something else than it says it is.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.extend(reply.fields);
    response
}

/// Undoes the coding of forms: `+` and `%XX`. What is not UTF-8 then is replaced.
fn decode(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = |octet: u8| char::from(octet).to_digit(16);
        let coded = match (first, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match coded {
            Some((high, low)) => {
                // Two digits make an octet.
                octets.extend(u8::try_from(high * 16 + low));
                rest = &behind[2..];
            }
            None => {
                octets.push(if *first == b'+' { b' ' } else { *first });
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_and_decoded() {
        let request = Request {
            method: Method::GET,
            host: String::new(),
            path: "/".to_owned(),
            query: "x&EmailAddress=a%2Bb%40a.test&emailaddress=second&odd=%&bad=%ff&sp=a+b%20c".to_owned(),
            body: Bytes::new(),
        };
        let of = |name| request.parameter(name);
        assert_eq!(of("emailaddress").as_deref(), Some("a+b@a.test"));
        assert_eq!((of("x").as_deref(), of("odd").as_deref()), (Some(""), Some("%")));
        assert_eq!(
            (of("bad").as_deref(), of("sp").as_deref()),
            (Some("\u{fffd}"), Some("a b c"))
        );
        assert_eq!(of("missing"), None);
    }
}
