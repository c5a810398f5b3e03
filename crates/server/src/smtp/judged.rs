//! Where a session has its mail judged, and does what the rulings say

use super::envelope::Envelope;
use super::intake::{Failed, Intake, Received, Taken, Waiting};
use super::tap::{Findings, Signing, Tap};
use super::{Session, of_store, policy};
use crate::journal::What;
use crate::judge::{
    Action, Client, Draft, Judge, Octets, Ruling, Transaction, decide, domain_of, finish_signing,
};
use crate::metrics::{Verdict, Wanted};
use mailwright_address::Domain;
use mailwright_auth::{AuthenticationResults, Checked};
use mailwright_mailbox::{Store, StoreError};
use mailwright_smtp::{EnhancedCode, Mail, Rcpt, Rejection, Server};

impl<S: Store> Session<'_, S> {
    /// Counts what a ruling wants done, if it is anything.
    fn count_ruling(&self, action: &Action) {
        self.shared.metrics.ruled(match action {
            Action::Accept => return,
            Action::Quarantine => Wanted::Quarantine,
            Action::Discard => Wanted::Discard,
            Action::Defer(_) => Wanted::Defer,
            Action::Reject(_) => Wanted::Reject,
        });
    }

    /// Refuses the connection if a filter does.
    pub(super) async fn filter_connection(&mut self, machine: &Server) -> Result<(), Rejection> {
        let client = self.client(machine);
        let ruling = self.shared.judge.connection(&client).await;
        self.count_ruling(&ruling.action);
        self.action = accepted(ruling).map_err(of_greeting)?;
        Ok(())
    }

    /// Refuses a sender if a filter does; what else it wants done with the message.
    pub(super) async fn filter_sender(&mut self, machine: &Server, mail: &Mail) -> Result<Action, Rejection> {
        let ruling = self.shared.judge.sender(&self.client(machine), mail).await;
        self.count_ruling(&ruling.action);
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
        self.count_ruling(&ruling.action);
        Ok(accepted(ruling)? != Action::Accept)
    }

    /// What is to be found out about a message while it comes in; `None` if it need not be held.
    pub(super) fn tap(&self, machine: &Server, envelope: &Envelope) -> Option<Tap<S>> {
        let client = self.client(machine);
        let judge = &self.shared.judge;
        let recipients = envelope.recipients.iter().map(|accepted| &accepted.rcpt);
        if let Some(trial) = judge.begin(&client, &envelope.mail, recipients) {
            return Some(Tap::Trial(trial));
        }
        if let Some(account) = client.account.clone().filter(|_| judge.has_keys()) {
            let sender = envelope.mail.path.address().cloned();
            let signing = Signing::new(self.shared.clone(), account, sender);
            return Some(Tap::Signing(Box::new(signing)));
        }
        // Or it was decided before what becomes of it.
        let is_decided =
            envelope.action != Action::Accept || envelope.recipients.iter().any(|it| it.quarantined);
        (is_decided || self.binds_author() || judge.holds(&client)).then_some(Tap::None)
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
        let (taken, message_id) = intake.finish(&shared.store).await;
        self.tell_came(&envelope, message_id);
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
        self.judge_author(&waiting.held.header).map_err(Some)?;
        let draft = self.judge_message(machine, &mut envelope, &waiting).await?;
        for accepted in envelope.recipients.iter_mut().filter(|it| it.quarantined) {
            accepted.pass_by_the_queue(&shared);
            accepted.spare_lists(&shared);
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
        let hostname = self.shared.config.hostname.as_str();
        if client.is_stranger() {
            // RFC 8601 §5: what is said in our name and was not said by us.
            draft.remove_claims(hostname);
        }
        let mut transaction = Transaction {
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
        let mut before = Ruling::new(envelope.action.clone());
        if let Findings::Checked(checked) = &waiting.findings {
            let checked = checked.clone().ok_or(Some(Rejection::TRY_AGAIN))?;
            before.absorb("dmarc", self.judge_origin(envelope, &checked, &mut draft));
            transaction.checked = Some(checked);
        }
        let rest = waiting.held.rest.reader(&self.shared.store);
        let ruling = match before.action.refusal() {
            Some(_) => before,
            None => {
                self.shared
                    .judge
                    .message(&mut transaction, &rest, &mut draft, before)
                    .await
            }
        };
        self.count_ruling(&ruling.action);
        self.tell_ruled(&envelope.id, &ruling.action, ruling.because.as_deref());
        if !ruling.results.is_empty() {
            let mut results = AuthenticationResults::new(hostname);
            results.results.clone_from(&ruling.results);
            draft.prepend(results.to_field().as_bytes());
        }
        if let Findings::Signed(Some((domain, fields))) = &waiting.findings {
            match draft.is_changed() {
                true => {
                    let fields = sign_again(&self.shared.judge, domain, &draft, &rest).await;
                    let fields = fields.map_err(|error| self.failed(&Failed::Store(error)))?;
                    draft.prepend(fields.as_bytes());
                }
                false => draft.prepend(fields.as_bytes()),
            }
        }
        let is_for_somebody = envelope.take_over(transaction, &self.shared);
        match ruling.action {
            Action::Accept | Action::Quarantine if !is_for_somebody => {
                tracing::info!(id = %envelope.id, peer = %self.peer, "filters left nobody who gets the message");
                return Err(None);
            }
            Action::Accept => {}
            Action::Quarantine => envelope
                .recipients
                .iter_mut()
                .for_each(|it| it.quarantined = true),
            Action::Discard => {
                tracing::info!(id = %envelope.id, peer = %self.peer, why = ruling.because, "message thrown away");
                self.tell(&envelope.id, || What::Discarded {
                    why: ruling.because.unwrap_or_default(),
                });
                return Err(None);
            }
            Action::Defer(rejection) | Action::Reject(rejection) => return Err(Some(rejection)),
        }
        Ok(draft)
    }

    /// Writes down where a message comes from, and does what follows from it.
    fn judge_origin(&self, envelope: &mut Envelope, checked: &Checked, draft: &mut Draft) -> Ruling {
        let config = &self.shared.config;
        let hostname = config.hostname.as_str();
        if let Some(spf) = checked.spf.as_ref().filter(|_| config.auth.received_spf) {
            draft.prepend(spf.to_field(hostname).as_bytes());
        }
        draft.prepend(checked.results(hostname).to_field().as_bytes());
        let recipients: Vec<_> = envelope.recipients.iter().map(|it| domain_of(&it.rcpt)).collect();
        let decision = decide(&config.auth, checked, &recipients);
        self.shared.judge.count(self.peer.ip(), checked, &decision);
        self.count_origin(checked);
        for (accepted, quarantined) in envelope.recipients.iter_mut().zip(&decision.quarantined) {
            accepted.quarantined |= quarantined;
        }
        self.tell(&envelope.id, || What::Checked {
            spf: checked.spf.as_ref().map(|spf| spf.verdict.as_str().to_owned()),
            dmarc: checked
                .dmarc
                .as_ref()
                .map(|dmarc| dmarc.verdict.as_str().to_owned()),
            applied: decision.applied.as_str().to_owned(),
        });
        tracing::info!(
            id = %envelope.id,
            peer = %self.peer,
            spf = checked.spf.as_ref().map(|spf| spf.verdict.as_str()),
            dmarc = checked.dmarc.as_ref().map(|dmarc| dmarc.verdict.as_str()),
            applied = decision.applied.as_str(),
            "checked where a message comes from"
        );
        decision.ruling
    }

    fn count_origin(&self, checked: &Checked) {
        let metrics = &self.shared.metrics;
        let spf = checked
            .spf
            .as_ref()
            .and_then(|spf| Verdict::of(spf.verdict.as_str()));
        let dmarc = checked
            .dmarc
            .as_ref()
            .and_then(|dmarc| Verdict::of(dmarc.verdict.as_str()));
        for (family, verdict) in [(&metrics.spf, spf), (&metrics.dmarc, dmarc)] {
            if let Some(verdict) = verdict {
                family.of(verdict).count();
            }
        }
    }

    /// Who is at the other end.
    fn client(&self, machine: &Server) -> Client {
        Client {
            address: self.peer,
            trusted: self.shared.judge.trusts(self.peer.ip()),
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

/// Signs a message that was changed after it was signed.
async fn sign_again(
    judge: &Judge,
    domain: &Domain,
    draft: &Draft,
    original: &dyn Octets,
) -> Result<String, StoreError> {
    let Some(mut signer) = judge.signer(domain) else {
        return Ok(String::new());
    };
    signer.push(&draft.header());
    let rest = draft.rest(original);
    let mut at = 0;
    while at < rest.len() {
        let octets = rest.read(at..rest.len().min(at + READ_AT_ONCE)).await?;
        if octets.is_empty() {
            break;
        }
        signer.push(&octets);
        at += octets.len() as u64;
    }
    Ok(finish_signing(signer))
}

/// How much of a message is in memory while it is signed again.
const READ_AT_ONCE: u64 = 256 << 10;

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
