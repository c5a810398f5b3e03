//! Asking SpamAssassin

use super::connect::{Asked, Failed, PIECE, next, now};
use super::marks::{Spam, hit, refusal};
use crate::conn::Conn;
use crate::judge::{Action, Message, Ruling, Transaction};
use bytes::Bytes;
use mailwright_filter::spamd::{Client, Command, Config, Event};

pub(super) async fn message(
    remote: &Asked,
    user: Option<&str>,
    reject: Option<f64>,
    transaction: &Transaction,
    message: &Message<'_>,
) -> Result<Ruling, Failed> {
    let mut config = Config::default();
    config.user = user.map(str::to_owned);
    config.command_timeout = remote.config.timeout;
    config.verdict_timeout = remote.config.timeout;
    config.max_body = MOST_RULES;
    // Its rules about relays need the field that tells from where the message came.
    let sender = transaction
        .mail
        .path
        .address()
        .map_or("", |address| address.as_str());
    let envelope = format!("X-Envelope-From: <{sender}>\r\n");
    let front = Bytes::from([envelope.as_bytes(), message.on_top()].concat());
    let size = front.len() as u64 + message.len();
    let stream = remote.connect().await?;
    let mut conn = Conn::new(Client::new(Command::Symbols, size, config, now()), stream);
    conn.machine().push(front);
    let mut at = 0;
    let (mut verdict, mut symbols) = (None, Vec::new());
    loop {
        match next(&mut conn).await? {
            Some(Event::Verdict(found)) => verdict = Some(found),
            Some(Event::Body(data)) => symbols.extend_from_slice(&data),
            Some(Event::Done) => break,
            Some(Event::Failed(code, words)) => {
                return Err(Failed::Talk(format!("it failed: {code} {words}")));
            }
            Some(other) => return Err(Failed::Talk(format!("it said {other:?}"))),
            None => {
                let piece = message.read(at..at + PIECE).await?;
                if piece.is_empty() {
                    return Err(Failed::Talk("the message is shorter than it was".into()));
                }
                at += PIECE;
                conn.machine().push(piece);
            }
        }
    }
    let verdict = verdict.ok_or_else(|| Failed::Talk("it has no verdict".into()))?;
    let symbols = String::from_utf8_lossy(&symbols);
    let rules: Vec<_> = symbols
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
        .map(|name| (name.to_owned(), None))
        .collect();
    let spam = Spam {
        is_spam: verdict.is_spam,
        score: verdict.score,
        required: verdict.threshold,
        rules: &rules,
    };
    let words = "The message looks like spam";
    let mut ruling = Ruling::new(match (reject, verdict.is_spam) {
        (Some(reject), _) if verdict.score >= reject => Action::Reject(refusal(554, words)),
        (_, true) => hit(remote.config.on_hit, words),
        (_, false) => Action::Accept,
    });
    ruling = ruling.because(format!(
        "spam score {:.2} of {:.2}",
        verdict.score, verdict.threshold
    ));
    ruling.changes = spam.marks();
    Ok(ruling)
}

/// How long the list of rules that matched may be, in octets.
const MOST_RULES: u64 = 64 * 1024;
