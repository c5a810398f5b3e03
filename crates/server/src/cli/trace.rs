//! `mailwright trace`: what became of a message.

use super::place::Place;
use super::{Failure, terminal};
use clap::Args;
use mailwright_server::journal::{self, Event, Fate, Query, Story, What};
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A Message-ID, the name of a message in logs or in the queue, an address or account, or the IP address of a client.
    what: String,
    /// Tell of the last N messages that are found; of each, what became of its notices too.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Print JSON: one message on each line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Returns 1 if nothing is known.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = journal::folder(&arguments.place.config()?.data);
    let queries = Query::parse(&arguments.what);
    let stories = journal::find(&folder, &queries, arguments.limit)
        .map_err(|error| format!("the journal {}: {error}", folder.display()))?;
    if stories.is_empty() {
        eprintln!(
            "mailwright: {} knows nothing of {}: it may be too old, or [trace] is off",
            folder.display(),
            arguments.what
        );
        return Ok(ExitCode::from(1));
    }
    let mut text = String::new();
    for story in &stories {
        match arguments.json {
            true => {
                text += &(serde_json::json!({ "id": story.id, "events": story.events }).to_string() + "\n");
            }
            false => tell(&mut text, story),
        }
    }
    terminal::print(&text);
    Ok(ExitCode::SUCCESS)
}

fn tell(text: &mut String, story: &Story) {
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{}", story.id);
    for event in &story.events {
        let _ = writeln!(text, "  {}  {}", moment(event), sentence(&event.what));
    }
    text.push('\n');
}

/// Date and time of an event, UTC.
fn moment(event: &Event) -> String {
    let at = i64::try_from(event.at).ok();
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or_else(String::new, |at| {
        at.strftime("%Y-%m-%d %H:%M:%S.%3fZ").to_string()
    })
}

fn sentence(what: &What) -> String {
    let all = |list: &[String]| list.join(", ");
    match what {
        What::Came {
            connection,
            peer,
            protocol,
            account,
            from,
            to,
            message_id,
        } => {
            let account = account
                .as_ref()
                .map_or_else(String::new, |name| format!(" as {name}"));
            let id = message_id
                .as_ref()
                .map_or_else(String::new, |id| format!(", Message-ID <{id}>"));
            let to = all(to);
            format!("came by {protocol} from {peer}{account} (connection {connection}): {from} to {to}{id}")
        }
        What::TurnedAway {
            peer,
            protocol,
            reply,
        } => {
            format!("{peer} came for {protocol}, and was turned away: {reply}")
        }
        What::SenderRefused {
            peer,
            protocol,
            account,
            from,
            reply,
        } => {
            let account = account
                .as_ref()
                .map_or_else(String::new, |name| format!(" as {name}"));
            format!("{peer} by {protocol}{account} was refused mail from {from}: {reply}")
        }
        What::RecipientRefused {
            connection,
            peer,
            from,
            to,
            reply,
        } => format!("{peer} (connection {connection}) was refused mail from {from} to {to}: {reply}"),
        What::Checked { spf, dmarc, applied } => {
            let word = |it: &Option<String>| it.clone().unwrap_or_else(|| "not checked".to_owned());
            format!(
                "checked: SPF {}, DMARC {}, applied {applied}",
                word(spf),
                word(dmarc)
            )
        }
        What::Filtered { action, why } => format!("filtered: {action} ({why})"),
        What::Taken {
            size,
            inbox,
            junk,
            queued,
        } => {
            let mut text = format!("taken, {size} octets");
            for (list, place) in [(inbox, "INBOX of"), (junk, "Junk of"), (queued, "the queue for")] {
                if !list.is_empty() {
                    let _ = write!(text, "; in {place} {}", all(list));
                }
            }
            text
        }
        What::Refused { reply } => format!("refused: {reply}"),
        What::Discarded { why } => format!("thrown away: {why}"),
        What::Tried { via, recipients, ms } => {
            let each = recipients.iter().map(|tried| {
                let fate = match tried.fate {
                    Fate::Delivered => "delivered",
                    Fate::Deferred => "deferred",
                    Fate::Failed => "failed",
                    _ => "undecided",
                };
                let why = tried
                    .why
                    .as_ref()
                    .map_or_else(String::new, |why| format!(" ({why})"));
                format!("{} {fate}{why}", tried.to)
            });
            let via = if via.is_empty() { "no host" } else { via };
            format!(
                "tried at {via} in {ms} ms: {}",
                each.collect::<Vec<_>>().join(", ")
            )
        }
        What::Told {
            notice,
            to,
            recipients,
        } => {
            format!("{to} is told by the notice {notice}: {}", all(recipients))
        }
        What::Notice {
            of,
            to,
            inbox,
            queued,
        } => match inbox.is_empty() {
            true => format!("a notice about {of} for {to}; in the queue for {}", all(queued)),
            false => format!("a notice about {of} for {to}; in INBOX of {}", all(inbox)),
        },
        What::GivenUp { to, why } => format!("given up for {to}, and nobody is told: {why}"),
        What::Done => "done: it has left the queue".to_owned(),
        What::Dropped => "dropped by hand".to_owned(),
        _ => "something that this program does not know".to_owned(),
    }
}
