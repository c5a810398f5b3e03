//! Asking a milter
//!
//! Each question is a conversation of its own from CONNECT on, so that no two clients share one: about a recipient when
//! it is named, if the milter wants to hear of recipients, and about the whole message at its end. It has a connection of
//! its own, too: what version 6 has for the next client on the same one (`SMFIC_QUIT_NC`) is not answered by all programs
//! that negotiate it.

use super::connect::{Asked, Failed, PIECE, next, now};
use super::marks::refusal;
use super::milter_edits::{Edits, fields};
use crate::conn::Conn;
use crate::judge::{Action, Client, Message, Ruling, Transaction};
use mailwright_address::ForwardPath;
use mailwright_filter::milter::{self, Event, Reply, Stage, Steps};
use mailwright_mailbox::Account;
use mailwright_smtp::{EnhancedCode, Mail, Rcpt, Rejection};
use std::time::Duration;

type Milter = Conn<milter::Client>;

/// A milter says what is to happen, and nothing more is asked.
type Ended = Ruling;

/// Asks about one recipient, as far as the milter wants to hear of any.
pub(super) async fn recipient(
    remote: &Asked,
    client: &Client,
    mail: &Mail,
    rcpt: &Rcpt,
) -> Result<Ruling, Failed> {
    let mut conn = start(remote).await?;
    let told = match conn.machine().options().steps.contains(Steps::NO_RCPT) {
        true => None,
        false => envelope(remote, &mut conn, client, mail, std::slice::from_ref(rcpt), None).await?,
    };
    quit(conn).await;
    Ok(told.unwrap_or_else(Ruling::accept))
}

/// Asks about a message.
pub(super) async fn message(
    remote: &Asked,
    transaction: &Transaction,
    message: &Message<'_>,
) -> Result<Ruling, Failed> {
    let mut conn = start(remote).await?;
    let Transaction {
        client,
        mail,
        recipients,
        ..
    } = transaction;
    let id = transaction.id.as_str();
    let early = match envelope(remote, &mut conn, client, mail, recipients, Some(id)).await? {
        None => content(&mut conn, message, id).await?,
        ended => ended,
    };
    let ruling = match early {
        Some(ended) => ended,
        None => verdict(&mut conn, message, id).await?,
    };
    quit(conn).await;
    Ok(ruling)
}

/// A connection that has agreed on what to do.
async fn start(remote: &Asked) -> Result<Milter, Failed> {
    let mut config = milter::Config::default();
    config.command_timeout = remote.config.timeout;
    config.verdict_timeout = remote.config.timeout;
    let stream = remote.connect().await?;
    let mut conn = Conn::new(milter::Client::new(config, now()), stream);
    match next(&mut conn).await? {
        Some(Event::Negotiated(_)) => Ok(conn),
        other => Err(Failed::Talk(format!("it said {other:?}"))),
    }
}

/// The ESMTP parameters behind a path, as they stand in MAIL or RCPT.
fn parameters<'a>(told: &'a str, path: &str) -> Vec<&'a str> {
    told.get(path.len()..)
        .unwrap_or_default()
        .split_ascii_whitespace()
        .collect()
}

/// Says that nothing more comes.
async fn quit(mut conn: Milter) {
    conn.machine().quit();
    // It has answered; whether it hears the end does not matter.
    let _ = tokio::time::timeout(FAREWELL, conn.next()).await;
}

/// Tells of client, sender and recipients; what it ended in, if it ended.
async fn envelope(
    remote: &Asked,
    conn: &mut Milter,
    client: &Client,
    mail: &Mail,
    recipients: &[Rcpt],
    id: Option<&str>,
) -> Result<Option<Ended>, Failed> {
    let address = client.address;
    let peer = format!("[{}]", address.ip().to_canonical());
    let listener = client.listener.as_str();
    let macros = [
        ("j", &*remote.hostname),
        ("daemon_name", listener),
        ("v", "Mailwright"),
        ("_", &peer),
    ];
    conn.machine().macros(Stage::Connect, &macros);
    conn.machine().connect(&peer, address.ip(), address.port());
    if let Some(ended) = ended(reply(conn).await?, Whole::Connection) {
        return Ok(Some(ended));
    }
    if let Some(tls) = &client.tls {
        let (version, cipher) = tls.split_once(' ').unwrap_or((tls, ""));
        conn.machine()
            .macros(Stage::Helo, &[("tls_version", version), ("cipher", cipher)]);
    }
    conn.machine().helo(client.hello.as_deref().unwrap_or(&peer));
    if let Some(ended) = ended(reply(conn).await?, Whole::Connection) {
        return Ok(Some(ended));
    }
    let account = client.account.as_ref().map(Account::as_str);
    let sender = mail.path.address().map_or("", |address| address.as_str());
    let mut macros = vec![("mail_addr", sender)];
    macros.extend(id.map(|id| ("i", id)));
    if let Some(account) = account {
        macros.extend([("auth_authen", account), ("auth_type", "PLAIN")]);
    }
    conn.machine().macros(Stage::Mail, &macros);
    let (path, told) = (mail.path.to_string(), mail.to_string());
    conn.machine().mail(&path, &parameters(&told, &path));
    if let Some(ended) = ended(reply(conn).await?, Whole::Message) {
        return Ok(Some(ended));
    }
    let mut refused = None;
    let mut taken = 0;
    for rcpt in recipients {
        let address = match &rcpt.path {
            ForwardPath::Address(address) => address.as_str(),
            _ => "postmaster",
        };
        conn.machine().macros(Stage::Rcpt, &[("rcpt_addr", address)]);
        let (path, told) = (rcpt.path.to_string(), rcpt.to_string());
        conn.machine().rcpt(&path, &parameters(&told, &path));
        match reply(conn).await? {
            Reply::Continue => taken += 1,
            // It was asked about each when it was named; another answer now refuses the message only for all.
            answer @ (Reply::Reject | Reply::TemporaryFailure | Reply::Custom(_)) => {
                refused = refused.or(ended(answer, Whole::Message));
            }
            answer => return Ok(ended(answer, Whole::Message)),
        }
    }
    Ok(refused.filter(|_| taken == 0))
}

/// Tells of the content; what it ended in, if it ended ahead of the end.
async fn content(conn: &mut Milter, message: &Message<'_>, id: &str) -> Result<Option<Ended>, Failed> {
    conn.machine().macros(Stage::Data, &[("i", id)]);
    conn.machine().data();
    if let Some(ended) = ended(reply(conn).await?, Whole::Message) {
        return Ok(Some(ended));
    }
    for (name, value) in fields(message.header()) {
        conn.machine().header(name, value);
        if let Some(ended) = ended(reply(conn).await?, Whole::Message) {
            return Ok(Some(ended));
        }
    }
    conn.machine().macros(Stage::EndOfHeader, &[("i", id)]);
    conn.machine().end_of_header();
    if let Some(ended) = ended(reply(conn).await?, Whole::Message) {
        return Ok(Some(ended));
    }
    let mut at = message.body_offset();
    while at < message.len() && !conn.machine().options().steps.contains(Steps::NO_BODY) {
        let piece = message.read(at..at + PIECE).await?;
        at += PIECE;
        conn.machine().body(piece);
        match reply(conn).await? {
            Reply::Skip => break,
            answer => {
                if let Some(ended) = ended(answer, Whole::Message) {
                    return Ok(Some(ended));
                }
            }
        }
    }
    Ok(None)
}

/// Asks for the verdict at the end.
async fn verdict(conn: &mut Milter, message: &Message<'_>, id: &str) -> Result<Ruling, Failed> {
    conn.machine().macros(Stage::EndOfMessage, &[("i", id)]);
    conn.machine().end_of_message();
    let mut edits = Edits::default();
    let most = message.len().saturating_mul(2).max(LEAST_BODY);
    let answer = loop {
        match next(conn).await? {
            Some(Event::Edit(edit)) => {
                edits.take(edit, message.header(), most).map_err(Failed::Talk)?;
            }
            Some(Event::Replied(answer)) => break answer,
            other => return Err(Failed::Talk(format!("it said {other:?}"))),
        }
    };
    let mut ruling = ended(answer, Whole::Message).unwrap_or_else(Ruling::accept);
    let (changes, quarantine) = edits.finish();
    ruling.changes = changes;
    if let Some(why) = quarantine {
        ruling.action = ruling.action.or_graver(Action::Quarantine);
        ruling = ruling.because(why);
    }
    Ok(ruling)
}

async fn reply(conn: &mut Milter) -> Result<Reply, Failed> {
    match next(conn).await? {
        Some(Event::Replied(reply)) => Ok(reply),
        other => Err(Failed::Talk(format!("it said {other:?}"))),
    }
}

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Connection,
    Message,
}

/// What an answer means, if it is the last one.
fn ended(reply: Reply, whole: Whole) -> Option<Ended> {
    let what = match whole {
        Whole::Connection => "Connection refused by a filter",
        Whole::Message => "Refused by a filter",
    };
    Some(match reply {
        Reply::Continue | Reply::Skip => return None,
        Reply::Accept => Ruling::accept(),
        Reply::Reject => Ruling::refuse(refusal(550, what)),
        Reply::TemporaryFailure => Ruling::refuse(refusal(451, "A filter asks to try again later")),
        Reply::Discard => Ruling::new(Action::Discard),
        Reply::Custom(custom) => {
            let class = if custom.code < 500 { 4 } else { 5 };
            let (_, subject, detail) = custom.enhanced.unwrap_or((class, 7, 1));
            let enhanced = EnhancedCode::new(class, subject, detail);
            let words = custom.lines.join("\n");
            let rejection = Rejection::new(custom.code, enhanced, &words);
            Ruling::refuse(rejection.unwrap_or(Rejection::POLICY))
        }
        _ => Ruling::refuse(Rejection::UNAVAILABLE),
    })
}

/// How long a milter may take to hear that nothing more comes.
const FAREWELL: Duration = Duration::from_secs(1);
/// A new body may have as many octets, however small the old one was; else twice as many as the message.
const LEAST_BODY: u64 = 1 << 20;
