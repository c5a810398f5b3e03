use super::connect::{Asked, Failed};
use super::{clamd, milter, rspamd, spamd};
use crate::config::{FilterConfig, FilterKind, FilteredMail, OnFilterError};
use crate::judge::{Client, Filter, Judging, Message, Ruling, Transaction};
use mailwright_smtp::{EnhancedCode, Mail, Rcpt, Rejection};
use std::future::Future;

/// A filter that is a program of its own: rspamd, clamd, spamd or a milter.
///
/// When it cannot be reached, takes too long or answers nonsense, [`FilterConfig::on_error`] holds: nothing else comes of
/// it.
#[derive(Debug)]
pub struct Remote(Asked);

impl Remote {
    /// A filter, as a server of this name asks it.
    pub fn new(config: FilterConfig, hostname: &str) -> Self {
        Self(Asked {
            config,
            hostname: hostname.to_owned(),
        })
    }

    /// Whether it is asked about the mail of a client.
    fn concerns(&self, client: &Client) -> bool {
        match self.0.config.mail {
            FilteredMail::Strangers => client.is_stranger(),
            FilteredMail::Accounts => client.account.is_some(),
            FilteredMail::All => true,
        }
    }

    /// What came of a question, whatever came of it.
    async fn rule(&self, asking: impl Future<Output = Result<Ruling, Failed>>) -> Ruling {
        let answer = tokio::time::timeout(self.0.config.timeout, asking).await;
        let why = match answer.unwrap_or(Err(Failed::Timeout)) {
            Ok(ruling) => return ruling,
            Err(why) => why,
        };
        let name = &self.0.config.name;
        match self.0.config.on_error {
            OnFilterError::Accept => {
                tracing::warn!(filter = name, "not filtered: {why}");
                Ruling::accept()
            }
            OnFilterError::Defer => {
                tracing::warn!(filter = name, "deferred: {why}");
                let later = Rejection::new(
                    451,
                    EnhancedCode::new(4, 7, 1),
                    "A filter is not available, try again later",
                );
                Ruling::refuse(later.expect("4xx and 4.x.x belong together")).because(why.to_string())
            }
        }
    }
}

impl Filter for Remote {
    fn name(&self) -> &str {
        &self.0.config.name
    }

    fn reads(&self, client: &Client) -> bool {
        self.concerns(client)
    }

    /// Milters alone hear of recipients, and may refuse each for itself.
    fn recipient<'a>(&'a self, client: &'a Client, mail: &'a Mail, rcpt: &'a Rcpt) -> Judging<'a> {
        Box::pin(async move {
            if self.0.config.kind != FilterKind::Milter || !self.concerns(client) {
                return Ruling::accept();
            }
            self.rule(milter::recipient(&self.0, client, mail, rcpt)).await
        })
    }

    fn message<'a>(&'a self, transaction: &'a Transaction, message: &'a Message<'a>) -> Judging<'a> {
        Box::pin(async move {
            if !self.concerns(&transaction.client) {
                return Ruling::accept();
            }
            if message.len() > self.0.config.max_size {
                tracing::info!(
                    filter = self.0.config.name,
                    id = transaction.id,
                    "not filtered: the message is too large"
                );
                return Ruling::accept();
            }
            match &self.0.config.kind {
                FilterKind::Rspamd => self.rule(rspamd::message(&self.0, transaction, message)).await,
                FilterKind::Clamd => self.rule(clamd::message(&self.0, message)).await,
                FilterKind::Spamd { user, reject } => {
                    self.rule(spamd::message(
                        &self.0,
                        user.as_deref(),
                        *reject,
                        transaction,
                        message,
                    ))
                    .await
                }
                FilterKind::Milter => self.rule(milter::message(&self.0, transaction, message)).await,
            }
        })
    }
}
