//! The server's end of the socket for users

use super::super::serve::{PATIENCE, listen, next_line, read_request, reply};
use super::super::{Outcome, submit};
use super::throttle::Throttle;
use super::{Kind, Refusal, Request, Who};
use crate::config::{Config, Sendmail};
use crate::metrics::{Task, counted};
use crate::shared::Live;
use mailwright_mailbox::Store;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

/// How many connections are served at once, and how many of one user: nobody keeps others from sending.
const CONNECTIONS: usize = 64;
const PER_USER: usize = 8;

/// Opens the socket, if the configuration wants one. Without it the server runs all the same, and the log says why.
pub(crate) async fn open(config: &Config) -> Option<UnixListener> {
    let settings = config.sendmail.as_ref()?;
    let opened = match group(settings) {
        Ok(group) => listen(&settings.socket, 0o660, group).await,
        Err(error) => Err(error),
    };
    let socket = settings.socket.display();
    opened
        .inspect(|_| tracing::info!(%socket, "users of this machine can hand mail in"))
        .inspect_err(|error| tracing::warn!(%socket, %error, "users of this machine cannot hand mail in"))
        .ok()
}

/// Takes mail until the server stops.
pub(crate) async fn serve<S: Store>(live: Live<S>, listener: UnixListener) {
    let first = live.current();
    let (shutdown, socket) = (first.shutdown.clone(), first.config.sendmail.clone());
    let throttle = Arc::new(Mutex::new(Throttle::new(&first.config.filtering.rates)));
    drop(first);
    let mut connections = JoinSet::new();
    let mut users: HashMap<tokio::task::Id, u32> = HashMap::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                let known = accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream)));
                match known {
                    Ok((uid, stream)) if users.values().filter(|user| **user == uid).count() < PER_USER => {
                        let conversation = converse(live.clone(), stream, uid, throttle.clone());
                        let task = connections.spawn(counted(Task::Control, conversation));
                        users.insert(task.id(), uid);
                    }
                    Ok((uid, stream)) => {
                        tracing::info!(uid, "a user has too many connections for handing mail in");
                        let refusal = refusal(Kind::Temporary, "you have too many connections to this server");
                        // Who does not read it is told by the end of the connection.
                        let _ = stream.try_write(&reply(refusal));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the socket for mail of users");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
            Some(ended) = connections.join_next_with_id() => {
                users.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            () = shutdown.begun() => break,
        }
    }
    if let Some(settings) = socket {
        let _ = std::fs::remove_file(settings.socket);
    }
}

async fn converse<S: Store>(live: Live<S>, stream: UnixStream, uid: u32, throttle: Arc<Mutex<Throttle>>) {
    let shutdown = live.current().shutdown.clone();
    let user = spawn_blocking(move || user(uid)).await.unwrap_or_default();
    let mut stream = BufReader::new(stream);
    loop {
        let line = tokio::select! {
            line = next_line(&mut stream) => line,
            () = shutdown.begun() => return,
        };
        let (answer, is_last) = match line {
            Ok(Some(line)) => match read_request(&line) {
                Ok(request) => {
                    let answer = answer(&live, &user, uid, &throttle, request, &mut stream).await;
                    // What is left of a message is no request.
                    let is_last = matches!(answer, Outcome::Error(_));
                    (answer, is_last)
                }
                Err(why) => (refusal(Kind::Data, &why), true),
            },
            Ok(None) => return,
            Err(why) => (refusal(Kind::Data, why), true),
        };
        let written = timeout(PATIENCE, stream.get_mut().write_all(&reply(answer))).await;
        if is_last || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

async fn answer<S: Store>(
    live: &Live<S>,
    user: &str,
    uid: u32,
    throttle: &Mutex<Throttle>,
    request: Request,
    stream: &mut BufReader<UnixStream>,
) -> Outcome<Refusal> {
    let shared = live.current();
    let Some(settings) = &shared.config.sendmail else {
        return refusal(
            Kind::Unavailable,
            "users of this machine cannot hand mail in any more",
        );
    };
    let hostname = &shared.config.hostname;
    let (own, domain) = (settings.addresses(user, hostname), settings.domain_on(hostname));
    let Some(usual) = own.first() else {
        let text = format!("the user {user} has no address to send as (sendmail.send_as)");
        return refusal(Kind::NoPermission, &text);
    };
    match request {
        Request::Who {} => done(&Who {
            user: user.to_owned(),
            sender: usual.to_string(),
            domain: domain.to_string(),
        }),
        Request::Submit(mut request) => {
            user.clone_into(&mut request.user);
            if !matches!(request.from.as_str(), "" | "<>") && !request.from.contains('@') {
                request.from = format!("{}@{domain}", request.from);
            }
            let (rates, many) = (&shared.config.filtering.rates, request.to.len());
            let has_room = {
                let mut counts = throttle.lock().unwrap_or_else(PoisonError::into_inner);
                counts.take(rates, uid, many, Instant::now())
            };
            let taken = match has_room {
                true => submit::take(&shared, request, Some(&own), stream).await,
                false => Err(submit::Refused::TooOften),
            };
            match taken {
                Ok(taken) => done(&taken),
                Err(refused) => {
                    tracing::info!(user, uid, "mail of a user of this machine is refused: {refused}");
                    refusal(refused.kind(), &refused.to_string())
                }
            }
        }
    }
}

fn done(what: &impl serde::Serialize) -> Outcome<Refusal> {
    match serde_json::to_value(what) {
        Ok(value) => Outcome::<Refusal>::Ok(value),
        Err(error) => refusal(Kind::Temporary, &error.to_string()),
    }
}

fn refusal(kind: Kind, text: &str) -> Outcome<Refusal> {
    let text = text.to_owned();
    Outcome::<Refusal>::Error(Refusal { kind, text })
}

/// The name of a user, as `/etc/passwd` has it.
fn user(uid: u32) -> String {
    let uid = uid.to_string();
    let found = entry(Path::new("/etc/passwd"), |fields| {
        fields.get(2) == Some(&uid.as_str())
    });
    let found = found.ok().flatten();
    found.map_or_else(|| format!("uid{uid}"), |line| first_field(&line).to_owned())
}

/// The number of the group that is to have the socket.
fn group(settings: &Sendmail) -> io::Result<Option<u32>> {
    let Some(name) = &settings.group else {
        return Ok(None);
    };
    let found = entry(Path::new("/etc/group"), |fields| {
        fields.first() == Some(&name.as_str())
    })?;
    let number = found.and_then(|line| line.split(':').nth(2)?.parse().ok());
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("there is no group {name}"));
    number.map(Some).ok_or_else(missing)
}

fn entry(file: &Path, is_it: impl Fn(&[&str]) -> bool) -> io::Result<Option<String>> {
    let all = std::fs::read_to_string(file)?;
    let found = all
        .lines()
        .find(|line| is_it(&line.split(':').collect::<Vec<_>>()));
    Ok(found.map(str::to_owned))
}

fn first_field(line: &str) -> &str {
    line.split(':').next().unwrap_or(line)
}
