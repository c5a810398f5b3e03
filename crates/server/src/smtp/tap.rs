//! What is found out about a message while it comes in

use crate::judge::{Trial, finish_signing};
use crate::shared::Shared;
use bytes::Bytes;
use mailwright_address::{Domain, EmailAddress};
use mailwright_auth::Checked;
use mailwright_auth::dkim::Signer;
use mailwright_mailbox::Account;
use mailwright_message::{address_list, header};
use std::sync::Arc;

/// Sees a message pass.
pub(super) enum Tap<S> {
    /// It only waits for the filters.
    None,
    /// It is checked where it comes from.
    Trial(Trial),
    /// It is signed.
    Signing(Box<Signing<S>>),
}

/// What was found out.
#[derive(Debug)]
pub(super) enum Findings {
    Nothing,
    /// Where it comes from; `None` if the checks broke down.
    Checked(Option<Arc<Checked>>),
    /// The fields that sign it, and the domain.
    Signed(Option<(Domain, String)>),
}

/// Signs a message for the domain of its author.
pub(super) struct Signing<S> {
    shared: Arc<Shared<S>>,
    account: Account,
    /// The sender in its envelope, which belongs to the account.
    sender: Option<EmailAddress>,
    /// Set once the header is there; within it, the domain if it has a key.
    signer: Option<Option<(Domain, Signer)>>,
}

impl<S> Tap<S> {
    /// Takes the next octets: the header once it is there, all that came at once, and what of that is not the header.
    pub(super) async fn push(&mut self, header: Option<&[u8]>, data: Bytes, rest: &[u8]) {
        match self {
            Self::None => {}
            Self::Trial(trial) => trial.push(data).await,
            Self::Signing(signing) => {
                if let Some(header) = header {
                    signing.push(header, rest);
                }
            }
        }
    }

    /// The message has ended.
    pub(super) async fn finish(self) -> Findings {
        match self {
            Self::None => Findings::Nothing,
            Self::Trial(trial) => Findings::Checked(trial.finish().await.map(Arc::new)),
            Self::Signing(signing) => {
                let signer = signing.signer.flatten();
                Findings::Signed(signer.map(|(domain, signer)| (domain, finish_signing(signer))))
            }
        }
    }
}

impl<S> Signing<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, account: Account, sender: Option<EmailAddress>) -> Self {
        Self {
            shared,
            account,
            sender,
            signer: None,
        }
    }

    fn push(&mut self, header: &[u8], rest: &[u8]) {
        if self.signer.is_none() {
            self.signer = Some(self.begin(header));
        }
        if let Some(Some((_, signer))) = &mut self.signer {
            signer.push(rest);
        }
    }

    fn begin(&self, header: &[u8]) -> Option<(Domain, Signer)> {
        let domain = self.domain(header)?;
        let mut signer = self.shared.judge.signer(&domain)?;
        signer.push(header);
        Some((domain, signer))
    }

    /// The domain of the author if the account may write in its name; else that of the sender in the envelope, which
    /// answers for its accounts whatever they write.
    fn domain(&self, header: &[u8]) -> Option<Domain> {
        let from = header::fields(header).find(|field| field.is("From"));
        let author = from.and_then(|from| address_list::mailboxes(from.value).next());
        let author =
            author.and_then(|author| format!("{}@{}", author.local_part, author.domain).parse().ok());
        let sender = self.sender.as_ref().and_then(EmailAddress::domain);
        let Some(author): Option<EmailAddress> = author else {
            return sender;
        };
        let same = |domain: &Domain| sender.as_ref().is_some_and(|sender| sender.same_as(domain));
        let is_own = self.shared.may_send_as(&self.account, &author);
        author.domain().filter(|domain| is_own || same(domain)).or(sender)
    }
}
