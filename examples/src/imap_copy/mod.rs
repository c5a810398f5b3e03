//! An account copied from one IMAP server to another: what `imap_copy` does.
//!
//! ```text
//!   old server ── FETCH, several ahead ─▶ pieces of a message ─▶ APPEND, several ahead ─▶ new server
//!                                                                  │ APPENDUID
//!                                                                  ▼
//!                                                              state file
//! ```

mod mailboxes;
mod messages;
mod progress;
mod report;
mod state;

pub use progress::Progress;
pub use report::Report;
pub use state::State;

use crate::imap::{Refused, Session};
use crate::net::Fallible;

/// A copy on its way.
#[derive(Debug)]
#[non_exhaustive]
pub struct Copy {
    from: Session,
    to: Session,
    state: State,
    progress: Progress,
    report: Report,
    /// Which mailboxes, by the names they have.
    pub patterns: Vec<String>,
    /// Which of them not.
    pub excluded: Vec<String>,
    /// Old names and new ones.
    pub renamed: Vec<(String, String)>,
    /// Nothing is to be changed.
    pub dry_run: bool,
}

impl Copy {
    /// Makes ready to copy everything.
    pub fn new(from: Session, to: Session, state: State, progress: Progress) -> Self {
        Self {
            from,
            to,
            state,
            progress,
            report: Report::default(),
            patterns: vec!["*".to_owned()],
            excluded: Vec::new(),
            renamed: Vec::new(),
            dry_run: false,
        }
    }

    /// Copies all there is to copy. What the servers refuse is in the [`report`](Copy::report).
    ///
    /// # Errors
    ///
    /// If a connection is lost, or the state cannot be written. What was copied before is noted.
    pub fn run(&mut self) -> Fallible<()> {
        for pair in self.pairs()? {
            let copied = self.mailbox(&pair);
            self.progress.end();
            match copied {
                Err(error) if error.is::<Refused>() => self.report.failed_mailbox(pair.from.name(), &*error),
                other => other?,
            }
        }
        Ok(())
    }

    /// What has become of everything so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Takes leave of both servers.
    pub fn log_out(self) {
        self.from.log_out();
        self.to.log_out();
    }
}
