//! The server's end of the control socket.

use super::desk::Desk;
use super::{Answer, Line, MAX_REPLY, MAX_REQUEST, Outcome, Pong, Request, VERSION, queue, socket, submit};
use crate::config::Config;
use crate::metrics::{Task, counted};
use crate::shared::{Live, Shared};
use mailwright_mailbox::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many connections are served at once; others wait.
const CONNECTIONS: usize = 16;
/// How long a connection may be silent, and how long it may take to take a reply.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the control socket of the data folder. Without one the server runs all the same, and the log says why.
pub(crate) async fn open(config: &Config) -> Option<UnixListener> {
    if !config.control {
        return None;
    }
    let path = socket(&config.data);
    listen(&path, 0o600, None)
        .await
        .inspect_err(|error| {
            tracing::warn!(socket = %path.display(), %error, "no control socket: commands cannot reach this server");
        })
        .ok()
}

/// Answers at the control socket until the server stops.
pub(crate) async fn serve<S: Store>(live: Live<S>, listener: UnixListener) {
    let shutdown = live.current().shutdown.clone();
    let socket = socket(&live.current().config.data);
    let mut connections = JoinSet::new();
    let turns = Arc::new(Semaphore::new(Desk::JOBS));
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) if is_allowed(&stream) => {
                    let conversation = converse(live.clone(), stream, Desk::new(&turns));
                    connections.spawn(counted(Task::Control, conversation));
                }
                Ok(_) => tracing::warn!("another user was turned away from the control socket"),
                Err(error) => {
                    tracing::warn!(%error, "the control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = shutdown.begun() => break,
        }
    }
    let _ = std::fs::remove_file(socket);
}

/// Listens at a path where at most a dead socket is; with this mode, for this group if it is another than the usual.
pub(super) async fn listen(path: &Path, mode: u32, group: Option<u32>) -> io::Result<UnixListener> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another server answers there",
        ));
    }
    // It gets its name when it has its permissions.
    let unnamed = path.with_extension("new");
    match std::fs::remove_file(&unnamed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&unnamed)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(&unnamed, None, Some(group))?;
    }
    std::fs::set_permissions(&unnamed, Permissions::from_mode(mode))?;
    std::fs::rename(&unnamed, path)?;
    Ok(listener)
}

/// The user of the server itself, and root.
fn is_allowed(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn converse<S: Store>(live: Live<S>, stream: UnixStream, mut desk: Desk) {
    let shutdown = live.current().shutdown.clone();
    let mut stream = BufReader::new(stream);
    loop {
        let line = tokio::select! {
            line = next_line(&mut stream) => line,
            () = shutdown.begun() => return,
        };
        let shared = live.current();
        let (result, is_last) = match line {
            Ok(Some(line)) => match read_request(&line) {
                Ok(Request::Submit(request)) => {
                    match submit::take(&shared, request, None, &mut stream).await {
                        Ok(taken) => (outcome(serde_json::to_value(taken)), false),
                        // What is left of the message is no request.
                        Err(refused) => (Outcome::Error(refused.to_string()), true),
                    }
                }
                Ok(request) => (outcome(handle(&shared, &mut desk, request).await), false),
                Err(why) => (Outcome::Error(why), false),
            },
            Ok(None) => return,
            Err(why) => (Outcome::Error(why.to_owned()), true),
        };
        let written = timeout(PATIENCE, stream.get_mut().write_all(&reply(result))).await;
        if is_last || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// The next line; none where the connection is to end, and why where that is told.
pub(super) async fn next_line(stream: &mut BufReader<UnixStream>) -> Result<Option<Vec<u8>>, &'static str> {
    let mut line = Vec::new();
    let most = u64::try_from(MAX_REQUEST).unwrap_or(u64::MAX);
    let mut bounded = stream.take(most);
    match timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await {
        Ok(Ok(1..)) if line.ends_with(b"\n") => Ok(Some(line)),
        Ok(Ok(1..)) if line.len() >= MAX_REQUEST => Err("the request is too long"),
        _ => Ok(None),
    }
}

pub(super) fn reply<E: Serialize + From<String>>(result: Outcome<E>) -> Vec<u8> {
    let line = |result| {
        let mut line = serde_json::to_vec(&Answer { v: VERSION, result }).unwrap_or_default();
        line.push(b'\n');
        line
    };
    let whole = line(result);
    match whole.len() {
        0..=MAX_REPLY => whole,
        _ => line(Outcome::Error("the reply would be too long".to_owned().into())),
    }
}

pub(super) fn read_request<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let request = serde_json::from_slice::<Value>(line)
        .map_err(|error| format!("the request is not a line of JSON: {error}"))?;
    // Said before anything else: a request of another version may look like anything.
    if request["v"] != VERSION {
        return Err(format!(
            "this server speaks version {VERSION} of the control protocol"
        ));
    }
    match serde_json::from_value::<Line<T>>(request) {
        Ok(line) => Ok(line.request),
        Err(error) => Err(format!("the request is not understood: {error}")),
    }
}

fn outcome(answered: Result<Value, impl std::fmt::Display>) -> Outcome<String> {
    match answered {
        Ok(value) => Outcome::Ok(value),
        Err(error) => Outcome::Error(error.to_string()),
    }
}

async fn handle<S: Store>(
    shared: &Arc<Shared<S>>,
    desk: &mut Desk,
    request: Request,
) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    Ok(match request {
        Request::Ping {} => serde_json::to_value(Pong {
            pid: std::process::id(),
            hostname: shared.config.hostname.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
        })?,
        Request::Queue(request) => queue::Desk::of_server(&**shared).answer(request).await?,
        Request::Account(request) => {
            let (accounts, usual) = (&shared.accounts, shared.config.quota);
            serde_json::to_value(request.answer(accounts, &shared.store, usual).await?)?
        }
        Request::Submit(_) => return Err("the message is missing".into()),
        Request::Reload {} => serde_json::to_value(shared.reloads.ask().await?)?,
        Request::Work(request) => serde_json::to_value(desk.answer(shared, request).await?)?,
    })
}
