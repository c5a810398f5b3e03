//! Where a message comes from, found out while it comes in (SPF, DKIM, DMARC, ARC)

use crate::clock::unix_now;
use crate::config;
use crate::dns::{Asker, Dns, gone};
use crate::metrics::{Task, counted};
use crate::random::entropy;
use bytes::Bytes;
use mailwright_auth::{Checked, Checker, Config, Envelope, Step, spf};
use mailwright_dns::{Answer, Failure, FailureKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Checks where messages come from.
#[derive(Debug)]
pub(crate) struct Origins {
    checks: Arc<Config>,
    dns: Dns,
    timeout: Duration,
}

impl Origins {
    pub(crate) fn new(config: &config::Config, dns: Dns) -> Self {
        let mut checks = Config::default();
        let mut spf = spf::Config::default();
        spf.receiver = config.hostname.to_string();
        checks.spf = Some(Arc::new(spf));
        Self {
            checks: Arc::new(checks),
            dns,
            timeout: config.auth.timeout,
        }
    }

    /// Begins a message: the first questions are asked at once.
    pub(crate) fn begin(&self, envelope: &Envelope) -> Trial {
        let now = u64::try_from(unix_now()).unwrap_or(0);
        let [sample] = entropy();
        let checker = Checker::new(&self.checks, envelope, now).sampled(sample % 100);
        let (chunks, received) = mpsc::channel(CHUNKS_AHEAD);
        let mut task = JoinSet::new();
        let checking = check(checker, self.dns.clone(), received, self.timeout);
        task.spawn(counted(Task::Check, checking));
        Trial { chunks, task }
    }
}

/// The checks of one message, in a task of their own. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Trial {
    chunks: mpsc::Sender<Bytes>,
    task: JoinSet<Checked>,
}

impl Trial {
    /// Takes the next octets of the message.
    pub(crate) async fn push(&mut self, data: Bytes) {
        // A task that broke down is found at the end.
        let _ = self.chunks.send(data).await;
    }

    /// The message has ended: waits for the rest of the answers. `None` if the checks broke down.
    pub(crate) async fn finish(mut self) -> Option<Checked> {
        drop(self.chunks);
        match self.task.join_next().await? {
            Ok(checked) => Some(checked),
            Err(error) => {
                tracing::error!(%error, "checking where a message comes from broke down");
                None
            }
        }
    }
}

/// Runs the checks: chunks until there are none, and answers until the time is up.
async fn check(
    mut checker: Checker,
    dns: Dns,
    mut chunks: mpsc::Receiver<Bytes>,
    timeout: Duration,
) -> Checked {
    let mut asker = Asker::new(&dns);
    // Set once the message has ended.
    let mut deadline = None;
    let mut is_late = false;
    loop {
        loop {
            match checker.poll() {
                Step::Ask(question) if is_late => checker.answer(&question, &too_late()),
                Step::Ask(question) => asker.ask(question),
                Step::Wait => break,
                Step::Ready(checked) => return checked,
            }
        }
        tokio::select! {
            chunk = chunks.recv(), if deadline.is_none() => match chunk {
                Some(chunk) => checker.push(&chunk),
                None => {
                    checker.finish();
                    deadline = Some(Instant::now() + timeout);
                }
            },
            answer = asker.next() => match answer {
                Some((question, answer)) => checker.answer(&question, &answer),
                None => asker.give_up().for_each(|question| checker.answer(&question, &gone())),
            },
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() && !is_late => {
                is_late = true;
                asker.give_up().for_each(|question| checker.answer(&question, &too_late()));
            }
        }
    }
}

fn too_late() -> Answer {
    Failure::new(FailureKind::Timeout).into()
}

/// Chunks of a message that wait for the checks before the client has to wait.
const CHUNKS_AHEAD: usize = 8;
