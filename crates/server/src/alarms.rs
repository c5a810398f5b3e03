//! Tells the postmaster of accounts that send more than they may

use crate::clock::unix_now;
use crate::filter::Alarm;
use crate::outbound::send_own;
use crate::random::entropy;
use crate::shared::Live;
use mailwright_address::EmailAddress;
use mailwright_mailbox::Store;
use mailwright_message::build::{Message, Part};
use mailwright_message::date::DateTime;
use tokio::sync::mpsc;

/// How many may wait to be told.
pub(crate) const MOST: usize = 100;

/// Sends what is heard until the server stops.
pub(crate) async fn run<S: Store>(live: Live<S>, mut heard: mpsc::Receiver<Alarm>) {
    let shutdown = live.current().shutdown.clone();
    loop {
        let alarm = tokio::select! {
            alarm = heard.recv() => alarm,
            () = shutdown.begun() => return,
        };
        let Some(alarm) = alarm else {
            // Nothing is counted any more, which is for others to end.
            return shutdown.begun().await;
        };
        tracing::warn!(account = %alarm.account, "too many {}: the postmaster is told", alarm.what);
        let shared = live.current();
        let Some(postmaster) = shared.postmaster() else {
            continue;
        };
        let sent = match message(&alarm, &postmaster, shared.config.hostname.as_str()) {
            Ok(message) => send_own(&shared, &postmaster, postmaster.clone(), message.into(), false)
                .await
                .map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        if let Err(why) = sent {
            tracing::warn!(account = %alarm.account, why, "the postmaster could not be told");
        }
    }
}

fn message(alarm: &Alarm, postmaster: &EmailAddress, hostname: &str) -> Result<Vec<u8>, String> {
    let Alarm { account, what } = alarm;
    let text = format!(
        "{hostname} holds back mail that {account} sends: there are too many {what}.\r\n\r\nEither the limits in \
         [rate_limits] are too low for it, or somebody else has its password, or a program of its owner is broken. The \
         log tells from where it logs in. A new password, by `mailwright account passwd {account}`, ends its \
         sessions.\r\n\r\nYou are not told again for a day.\r\n"
    );
    let message = Message::builder()
        .from(postmaster.as_str())
        .to(postmaster.as_str())
        .subject(format!("{account} sends too much mail"))
        .body(Part::text(text))
        .build(DateTime::new(unix_now(), 0), entropy())
        .map_err(|error| error.to_string())?;
    message.to_vec().map_err(|error| error.to_string())
}
