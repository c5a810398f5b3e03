//! Warnings that a mailbox becomes full: one message each time that 80 and 95 % of a quota are passed

use crate::clock::unix_now;
use crate::config::{OverQuota, Quota};
use crate::delivery::MessageWriter;
use crate::random::entropy;
use crate::shared::{Live, Shared};
use mailwright_mailbox::{Account, Batch, CommitError, EntryName, Op, Store, StoreError, Usage};
use mailwright_message::Message;
use mailwright_message::build::Field;
use mailwright_message::date::DateTime;
use mailwright_message::trace;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::sleep;

/// In percent of a quota.
const LEVELS: [u8; 2] = [80, 95];
/// How long accounts that grow are left alone after they were looked at.
const AGAIN: Duration = Duration::from_secs(1);
/// How often accounts that were warned are looked at: whether they have room again.
const WARNED: Duration = Duration::from_secs(60);

/// The annotation of an account that remembers which warning it had.
fn level_name() -> EntryName {
    EntryName::parse("/private/vendor/vendor.mailwright/quota-warning").expect("the name is one")
}

/// Warns until the server stops.
///
/// The warning and the memory of it are one commit: a crash neither loses nor repeats one. At the start every account
/// with a quota is looked at. An account that fell below a level and passed it again between two looks, a minute apart,
/// is not warned again.
pub(crate) async fn run<S: Store>(live: Live<S>) {
    let mut due: HashSet<Account> = live.current().accounts.all().into_iter().collect();
    let mut warned = HashSet::new();
    loop {
        let shared = live.current();
        for account in due {
            match look(&shared, &account).await {
                Ok(0) => warned.remove(&account),
                Ok(_) => warned.insert(account),
                Err(error) => {
                    tracing::warn!(%account, %error, "whether the mailbox becomes full cannot be found out");
                    warned.insert(account)
                }
            };
        }
        tokio::select! {
            () = sleep(AGAIN) => {}
            () = shared.shutdown.begun() => return,
        }
        due = tokio::select! {
            () = shared.quota_watch.news.notified() => shared.quota_watch.take(),
            () = sleep(WARNED) => &warned | &shared.quota_watch.take(),
            () = shared.shutdown.begun() => return,
        };
    }
}

/// Warns an account if it is due; the level that it has.
async fn look<S: Store>(shared: &Shared<S>, account: &Account) -> Result<u8, CommitError> {
    let failed = |error: StoreError| CommitError::Io(error.to_string());
    let quota = shared.quota(account);
    let (level, usage) = match quota == Quota::default() {
        true => (0, Usage::default()),
        false => {
            let usage = shared.store.usage(account).await.map_err(failed)?;
            (level_of(percent(&quota, &usage)), usage)
        }
    };
    let known = shared.store.annotations(account, None).await.map_err(failed)?;
    let known = known.into_iter().find(|it| it.name == level_name());
    let had = known
        .and_then(|it| std::str::from_utf8(&it.value).ok()?.parse().ok())
        .unwrap_or(0);
    if level == had {
        return Ok(level);
    }
    let mut batch = Batch::new(unix_now()).with(Op::Annotate {
        account: account.clone(),
        mailbox: None,
        name: level_name(),
        value: (level > 0).then(|| level.to_string().into()),
    });
    if level > had {
        let mut writer = MessageWriter::new(&shared.store);
        let message = warning(shared, account, &quota, &usage);
        writer.write(message.into()).await.map_err(failed)?;
        let written = writer.finish(&shared.store).await.map_err(failed)?;
        let folders = &shared.config.delivery.folders;
        batch.ops.extend(
            written
                .deliver_to(&shared.store, std::slice::from_ref(account), folders)
                .await?,
        );
        tracing::info!(%account, percent = percent(&quota, &usage), "warned that the mailbox becomes full");
    }
    shared.commit(batch).await?;
    Ok(level)
}

fn level_of(percent: u64) -> u8 {
    let passed = LEVELS
        .into_iter()
        .rev()
        .find(|level| percent >= u64::from(*level));
    passed.unwrap_or(0)
}

/// How full it is, by octets or by messages, whichever is more.
fn percent(quota: &Quota, usage: &Usage) -> u64 {
    let of = |used: u64, most: Option<u64>| match most {
        None => 0,
        Some(0) => 100,
        Some(most) => u64::try_from(u128::from(used) * 100 / u128::from(most)).unwrap_or(u64::MAX),
    };
    of(usage.octets, quota.storage).max(of(usage.messages, quota.messages))
}

fn warning<S>(shared: &Shared<S>, account: &Account, quota: &Quota, usage: &Usage) -> Vec<u8> {
    let percent = percent(quota, usage);
    let hostname = &shared.config.hostname;
    let mut text = format!("Your mailbox at {hostname} is {percent} % full:\n\n");
    if let Some(most) = quota.storage {
        text += &format!("  {} of {}\n", size(usage.octets), size(most));
    }
    if let Some(most) = quota.messages {
        text += &format!("  {} of {most} messages\n", usage.messages);
    }
    text += match shared.config.limits.over_quota {
        OverQuota::Later => {
            "\nWhen it is full, mail for you waits at its senders for some days, and then goes back to them.\n"
        }
        OverQuota::Never => "\nWhen it is full, mail for you goes back to its senders at once.\n",
    };
    text += "\nWhat to do: delete what you do not need, large attachments first, and empty Trash and Junk. Mail \
             programs often keep what is deleted until a folder is compacted, or the trash is emptied. If that does not \
             help, ask whoever runs this server for more room.\n";
    let built = Message::builder()
        .from(format!("mailer-daemon@{hostname}"))
        .to(account.as_str())
        .subject(format!("Your mailbox is {percent} % full"))
        .field(Field::structured("Auto-Submitted", "auto-generated"))
        .text(text)
        .utf8_headers()
        .build(DateTime::new(unix_now(), 0), entropy());
    let message = built.and_then(Message::to_vec);
    let message = message.expect("the addresses of a server and of an account can stand in a header");
    [trace::return_path("").as_bytes(), &message].concat()
}

/// A size as people write it.
fn size(octets: u64) -> String {
    match octets {
        0..1_048_576 => format!("{} KiB", octets.div_ceil(1024)),
        1_048_576..1_073_741_824 => format!("{} MiB", octets >> 20),
        _ => format!("{}.{} GiB", octets >> 30, ((octets & ((1 << 30) - 1)) * 10) >> 30),
    }
}
