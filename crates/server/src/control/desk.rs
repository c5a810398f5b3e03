//! A job in a running server, and who asks for it.

use super::work::{End, Job, Request, State};
use crate::shared::Shared;
use crate::transfer::{Observer, Progress};
use mailwright_mailbox::Store;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

/// The job of one connection; dropping it stops the job.
#[derive(Debug)]
pub(super) struct Desk {
    turns: Arc<Semaphore>,
    job: Option<Running>,
}

#[derive(Debug)]
struct Running {
    told: Arc<Told>,
    stop: Arc<Notify>,
}

/// What is known of a job.
#[derive(Debug, Default)]
struct Told {
    state: Mutex<State>,
    news: Notify,
}

impl Desk {
    /// How many jobs a server works on at once.
    pub(super) const JOBS: usize = 4;

    /// How long a question waits for news.
    const WAIT: Duration = Duration::from_millis(500);

    pub(super) fn new(turns: &Arc<Semaphore>) -> Self {
        Self {
            turns: turns.clone(),
            job: None,
        }
    }

    pub(super) async fn answer<S: Store>(
        &mut self,
        shared: &Arc<Shared<S>>,
        request: Request,
    ) -> Result<State, String> {
        match request {
            Request::Begin(job) => {
                if self.job.is_some() {
                    return Err("this connection has a job already".into());
                }
                let turn = self.turns.clone().try_acquire_owned();
                let turn = turn.map_err(|_| format!("the server works on {} jobs already", Self::JOBS))?;
                self.job = Some(Running::begin(shared.clone(), job, turn));
            }
            Request::Watch {} => {}
        }
        let running = self.job.as_ref().ok_or("this connection has no job")?;
        // News that come before the end are seen with the next question.
        let _ = tokio::time::timeout(Self::WAIT, running.told.news.notified()).await;
        let state = running.told.take();
        if state.end.is_some() {
            self.job = None;
        }
        Ok(state)
    }
}

impl Running {
    /// Begins a job on a thread of its own: it may wait for files.
    fn begin<S: Store>(shared: Arc<Shared<S>>, job: Job, turn: OwnedSemaphorePermit) -> Self {
        let (told, stop) = (Arc::new(Told::default()), Arc::new(Notify::new()));
        let (teller, stopped, runtime) = (told.clone(), stop.clone(), Handle::current());
        spawn_blocking(move || {
            let _turn = turn;
            let mut observer = Teller(&teller);
            let upkeep = shared.upkeep.map(|upkeep| upkeep(&shared.store));
            let done = runtime.block_on(async {
                tokio::select! {
                    done = job.run(&shared.accounts, &shared.store, upkeep, &mut observer) => done,
                    () = stopped.notified() => Err("it was stopped".into()),
                    () = shared.shutdown.begun() => Err("the server is being stopped".into()),
                }
            });
            teller.state().end = Some(match done {
                Ok(outcome) => End::Done(outcome),
                Err(why) => End::Failed(why),
            });
            teller.news.notify_one();
        });
        Self { told, stop }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl Told {
    fn take(&self) -> State {
        let mut state = self.state();
        let told = state.clone();
        state.skipped.clear();
        told
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Teller<'t>(&'t Told);

impl Observer for Teller<'_> {
    fn progress(&mut self, progress: &Progress) {
        self.0.state().progress.clone_from(progress);
    }

    fn skipped(&mut self, what: &str, why: &str) {
        let mut state = self.0.state();
        if state.skipped.len() < State::TOLD {
            // A line of a log, whatever it is that has this name.
            let short = |text: &str| text.chars().take(500).collect();
            state.skipped.push((short(what), short(why)));
        }
    }
}
