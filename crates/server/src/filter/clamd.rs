//! Asking clamd about viruses

use super::connect::{Asked, Failed, PIECE, next, now};
use super::marks::{hit, prepend};
use crate::conn::Conn;
use crate::judge::{Message, Ruling};
use mailwright_filter::clamd::{Answer, Client, Command, Config, Event};

pub(super) async fn message(remote: &Asked, message: &Message<'_>) -> Result<Ruling, Failed> {
    let mut config = Config::default();
    config.command_timeout = remote.config.timeout;
    config.verdict_timeout = remote.config.timeout;
    let stream = remote.connect().await?;
    let mut conn = Conn::new(Client::new(Command::Scan, config, now()), stream);
    let mut at = 0;
    let answer = loop {
        match next(&mut conn).await? {
            Some(Event::Answered(answer)) => break answer,
            Some(other) => return Err(Failed::Talk(format!("it said {other:?}"))),
            None if at < message.len() => {
                let piece = message.read(at..at + PIECE).await?;
                at += PIECE;
                conn.machine().push(piece);
            }
            None => conn.machine().finish(),
        }
    };
    match answer {
        Answer::Clean => Ok(Ruling::accept()),
        Answer::Found(name) => {
            let ruling = Ruling::new(hit(
                remote.config.on_hit,
                &format!("The message holds a virus: {name}"),
            ));
            let mut ruling = ruling.because(format!("virus {name}"));
            ruling.changes.extend(prepend("X-Virus-Found", &name));
            Ok(ruling)
        }
        Answer::TooLarge => Err(Failed::Talk("the message is larger than StreamMaxLength".into())),
        other => Err(Failed::Talk(format!("it said {other:?}"))),
    }
}
