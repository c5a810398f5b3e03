//! Where a session has its mail judged, and does what the rulings say

use super::envelope::Envelope;
use super::intake::{Failed, Intake, Received, Taken, Waiting};
use super::{Session, of_store, policy};
use crate::judge::{Action, Client, Draft, Ruling, Transaction};
use mailwright_mailbox::Store;
use mailwright_smtp::{EnhancedCode, Mail, Rcpt, Rejection, Server};

impl<S: Store> Session<'_, S> {
    /// Refuses the connection if a filter does.
    pub(super) async fn filter_connection(&mut self, machine: &Server) -> Result<(), Rejection> {
        let client = self.client(machine);
        let ruling = self.shared.judge.connection(&client).await;
        self.action = accepted(ruling).map_err(of_greeting)?;
        Ok(())
    }

    /// Refuses a sender if a filter does; what else it wants done with the message.
    pub(super) async fn filter_sender(&mut self, machine: &Server, mail: &Mail) -> Result<Action, Rejection> {
        let ruling = self.shared.judge.sender(&self.client(machine), mail).await;
        Ok(self.action.clone().or_graver(accepted(ruling)?))
    }

    /// Refuses a recipient if a filter does; whether the message goes into Junk for this recipient.
    pub(super) async fn filter_recipient(
        &mut self,
        machine: &Server,
        rcpt: &Rcpt,
    ) -> Result<bool, Rejection> {
        let Some(envelope) = &self.envelope else {
            return Ok(false);
        };
        let client = self.client(machine);
        let ruling = self.shared.judge.recipient(&client, &envelope.mail, rcpt).await;
        Ok(accepted(ruling)? != Action::Accept)
    }

    /// Whether a message is held until its end: because somebody judges it, or because it was decided what becomes of it.
    pub(super) fn is_judged(&self, machine: &Server, envelope: &Envelope) -> bool {
        envelope.action != Action::Accept
            || envelope.recipients.iter().any(|it| it.quarantined)
            || self.shared.judge.holds(&self.client(machine))
    }

    /// Ends a message: has it judged, and puts it where nothing refers to it yet. A failure without a rejection means
    /// that the message is thrown away.
    pub(super) async fn take_message(
        &mut self,
        machine: &Server,
        mut envelope: Envelope,
        intake: Intake<S>,
    ) -> Result<(Envelope, Received), Option<Rejection>> {
        let shared = self.shared.clone();
        let taken = intake.finish(&shared.store).await;
        let taken = taken.map_err(|error| self.failed(&error))?;
        let hops = match &taken {
            Taken::Stored(received) => received.hops,
            Taken::Held(waiting) => waiting.found.received as usize,
        };
        if hops > policy::MAX_HOPS {
            tracing::warn!(peer = %self.peer, hops, "routing loop");
            return Err(Some(Rejection::LOOP));
        }
        let waiting = match taken {
            Taken::Stored(received) => return Ok((envelope, received)),
            Taken::Held(waiting) => waiting,
        };
        let draft = self.judge_message(machine, &mut envelope, &waiting).await?;
        for accepted in envelope.recipients.iter_mut().filter(|it| it.quarantined) {
            accepted.pass_by_the_queue(&shared);
        }
        match waiting.keep(&shared.store, &envelope, &draft).await {
            Ok(received) => Ok((envelope, received)),
            Err(error) => Err(self.failed(&Failed::Store(error))),
        }
    }

    /// Has a message judged: marks recipients whose Junk it belongs in, and makes the header that it is kept with.
    async fn judge_message(
        &mut self,
        machine: &Server,
        envelope: &mut Envelope,
        waiting: &Waiting,
    ) -> Result<Draft, Option<Rejection>> {
        let mut draft = Draft::new(&waiting.held.header);
        draft.prepend(waiting.received.as_bytes());
        let client = self.client(machine);
        if client.is_stranger() {
            // RFC 8601 §5: what is said in our name and was not said by us.
            draft.remove_claims(self.shared.config.hostname.as_str());
        }
        let transaction = Transaction {
            id: envelope.id.clone(),
            client,
            mail: envelope.mail.clone(),
            recipients: envelope
                .recipients
                .iter()
                .map(|accepted| accepted.rcpt.clone())
                .collect(),
            checked: None,
        };
        let before = Ruling::new(envelope.action.clone());
        let rest = waiting.held.rest.reader(&self.shared.store);
        let ruling = self
            .shared
            .judge
            .message(&transaction, &rest, &mut draft, before)
            .await;
        match ruling.action {
            Action::Accept => {}
            Action::Quarantine => envelope
                .recipients
                .iter_mut()
                .for_each(|it| it.quarantined = true),
            Action::Discard => {
                tracing::info!(id = %envelope.id, peer = %self.peer, why = ruling.because, "message thrown away");
                return Err(None);
            }
            Action::Defer(rejection) | Action::Reject(rejection) => return Err(Some(rejection)),
        }
        Ok(draft)
    }

    /// Who is at the other end.
    fn client(&self, machine: &Server) -> Client {
        Client {
            address: self.peer,
            trusted: false,
            hello: machine.session().hello().map(|hello| hello.name().to_owned()),
            tls: self.tls.clone(),
            account: self.account.clone(),
            protocol: self.listener.protocol,
            listener: self.listener.name.clone(),
        }
    }

    fn failed(&self, error: &Failed) -> Option<Rejection> {
        Some(match error {
            Failed::Store(error) => {
                tracing::error!(peer = %self.peer, "a message cannot be stored: {error}");
                of_store(error)
            }
            Failed::HeaderTooLarge => {
                Rejection::TOO_BIG.with_text("The header of the message is larger than the limit")
            }
        })
    }
}

/// What is done with who or what is not refused.
fn accepted(ruling: Ruling) -> Result<Action, Rejection> {
    match ruling.action {
        Action::Defer(rejection) | Action::Reject(rejection) => Err(rejection),
        accepted => Ok(accepted),
    }
}

/// Refuses in place of the greeting, where 554 is the only code there is for good (RFC 5321 §3.1).
fn of_greeting(rejection: Rejection) -> Rejection {
    if !rejection.reply().is_permanent() {
        return rejection;
    }
    let text = rejection.reply().text();
    Rejection::new(554, EnhancedCode::new(5, 7, 1), text).expect("5xx and 5.x.x belong together")
}
