//! Who may send what to whom.

use super::Session;
use crate::clock::unix_now;
use crate::config::{FromHeader, Protocol};
use crate::delivery::{Destination, MailingList, Targets};
use crate::shared::Shared;
use mailwright_address::{EmailAddress, ForwardPath};
use mailwright_mailbox::Store;
use mailwright_message::{address_list, header};
use mailwright_smtp::dsn::Notify;
use mailwright_smtp::futurerelease::Hold;
use mailwright_smtp::{EnhancedCode, Mail, Rcpt, Rejection};

/// How many `Received` fields a message may have before it counts as going in circles (RFC 5321 §6.3 wants at
/// least 100 to be let through).
pub(super) const MAX_HOPS: usize = 100;

impl<S: Store> Session<'_, S> {
    /// Submission: only addresses that lead to the account itself or are granted to it, and the null sender of receipts.
    pub(super) fn judge_sender(&self, mail: &Mail) -> Result<(), Rejection> {
        // RFC 4865 §5.2.2.
        if let (Some(by), Some(hold)) = (mail.params.by, mail.params.hold) {
            let held = match hold {
                Hold::For(interval) => i64::from(interval.seconds()),
                Hold::Until(moment) => i64::try_from(moment.unix()).unwrap_or(i64::MAX) - unix_now(),
            };
            if held > i64::from(by.seconds()) {
                return Err(Rejection::new(
                    501,
                    EnhancedCode::new(5, 5, 4),
                    "It cannot arrive before it is sent",
                )
                .expect("5xx and 5.x.x belong together"));
            }
        }
        let (Protocol::Submission, Some(address)) = (self.listener.protocol, mail.path.address()) else {
            return Ok(());
        };
        let account = self.account.as_ref();
        let own = account.is_some_and(|account| self.shared.may_send_as(account, address));
        own.then_some(())
            .ok_or_else(|| Rejection::POLICY.with_text("Sender address does not belong to this account"))
    }

    /// Whether the header of what the client submits has to name the account as its author.
    pub(super) fn binds_author(&self) -> bool {
        self.account.is_some() && self.shared.config.from_header == FromHeader::Bound
    }

    /// Every author in a header has to be one that the account may send as. No other field makes up for that: From is
    /// what people see.
    pub(super) fn judge_author(&self, header: &[u8]) -> Result<(), Rejection> {
        let Some(account) = self.account.as_ref().filter(|_| self.binds_author()) else {
            return Ok(());
        };
        let mut authors = header::fields(header)
            .filter(|field| field.is("From"))
            .flat_map(|field| address_list::mailboxes(field.value))
            .map(|author| format!("{}@{}", author.local_part, author.domain).parse::<EmailAddress>())
            .peekable();
        let named = authors.peek().is_some();
        let own = authors.all(|author| author.is_ok_and(|author| self.shared.may_send_as(account, &author)));
        (named && own)
            .then_some(())
            .ok_or_else(|| Rejection::POLICY.with_text("The From field names others than this account"))
    }

    /// Local recipients from anybody, others only from those who logged in (RFC 5321 §3.6, RFC 6409 §5.1).
    pub(super) fn judge_recipient(&self, rcpt: &Rcpt) -> Result<Targets, Rejection> {
        let address = match &rcpt.path {
            ForwardPath::Address(address) => address.clone(),
            ForwardPath::Postmaster => self.shared.postmaster().ok_or(Rejection::NO_SUCH_USER)?,
        };
        let outbound = self.shared.config.outbound.enabled;
        self.judge_posting(&address)?;
        match self.shared.destination(&address) {
            // RFC 3461 §4.1: the queue delivers here as well, and reports it.
            Destination::Here(targets) if is_kept(&targets) && self.reports_success(rcpt) => {
                Ok(elsewhere(address))
            }
            // RFC 4865 §4: until then it waits in the queue, which delivers here as well.
            Destination::Here(targets) if self.is_postponed() && (outbound || is_kept(&targets)) => {
                Ok(elsewhere(address))
            }
            Destination::Here(targets) if outbound || is_kept(&targets) => Ok(Targets {
                elsewhere: targets.elsewhere.into_iter().filter(|_| outbound).collect(),
                ..targets
            }),
            Destination::Here(_) => Err(no_way_out()),
            Destination::Disabled => Err(disabled()),
            Destination::Nobody => Err(Rejection::NO_SUCH_USER),
            Destination::Elsewhere if self.listener.protocol != Protocol::Submission => {
                Err(Rejection::RELAYING_DENIED)
            }
            Destination::Elsewhere if outbound => Ok(elsewhere(address)),
            Destination::Elsewhere => Err(no_way_out()),
        }
    }

    /// Refuses who may not send to a list that an address leads to.
    fn judge_posting(&self, address: &EmailAddress) -> Result<(), Rejection> {
        let (Destination::Here(targets), Some(envelope)) = (self.shared.destination(address), &self.envelope)
        else {
            return Ok(());
        };
        let may_post = |list: &MailingList| self.shared.may_post(list, &envelope.mail.path);
        match targets.lists.iter().all(|list| may_post(list)) {
            true => Ok(()),
            false => Err(not_a_poster()),
        }
    }

    /// Whether the sender wants the message to be sent later.
    fn is_postponed(&self) -> bool {
        let mail = self.envelope.as_ref().map(|envelope| &envelope.mail);
        mail.is_some_and(|mail| mail.params.hold.is_some())
    }

    /// Whether the sender wants to hear of the delivery to this recipient, and can.
    fn reports_success(&self, rcpt: &Rcpt) -> bool {
        let wanted = matches!(rcpt.params.notify, Some(Notify::On { success: true, .. }));
        let sender = self
            .envelope
            .as_ref()
            .and_then(|envelope| envelope.mail.path.address());
        wanted && sender.is_some()
    }
}

/// Refuses a recipient without room for what the sender says is to come, or for anything.
pub(super) async fn judge_room<S: Store>(
    shared: &Shared<S>,
    targets: Targets,
    declared: Option<u64>,
) -> Result<Targets, Rejection> {
    match shared.is_full(&targets.accounts, declared.unwrap_or(0)).await {
        Ok(false) => Ok(targets),
        Ok(true) => Err(shared.over_quota()),
        Err(error) => {
            tracing::error!("a quota cannot be looked up: {error}");
            Err(Rejection::TRY_AGAIN)
        }
    }
}

fn elsewhere(address: EmailAddress) -> Targets {
    let mut targets = Targets::default();
    targets.elsewhere.push(address);
    targets
}

/// Whether something becomes of a message here, and not only elsewhere.
fn is_kept(targets: &Targets) -> bool {
    !targets.accounts.is_empty() || !targets.lists.is_empty()
}

/// The mailbox exists, and takes nothing (RFC 3463 §3.3).
pub(super) fn disabled() -> Rejection {
    Rejection::new(550, EnhancedCode::new(5, 2, 1), "This mailbox is disabled")
        .expect("5xx and 5.x.x belong together")
}

fn not_a_poster() -> Rejection {
    Rejection::new(550, EnhancedCode::new(5, 7, 2), "You may not send to this list")
        .expect("5xx and 5.x.x belong together")
}

fn no_way_out() -> Rejection {
    Rejection::new(
        550,
        EnhancedCode::new(5, 7, 1),
        "This server sends no mail to other systems",
    )
    .expect("5xx and 5.x.x belong together")
}
