//! GETQUOTA, GETQUOTAROOT (RFC 9208)

use super::backend::{Backend, Mailboxes};
use super::convert::name;
use super::session::{Session, Stop};
use mailwright_imap::{Code, Quota, QuotaRequest, Rejection};

impl<B: Backend> Session<B> {
    pub(super) async fn quota(&mut self, request: &QuotaRequest) -> Result<(), Stop> {
        let mail = self.mail()?;
        match request {
            QuotaRequest::Get { root } => {
                let all = mail.quotas(None).await?;
                let Some(Quota { usage, .. }) = all.into_iter().find(|quota| quota.root == *root) else {
                    return Err(
                        Rejection::new(Some(Code::NonExistent), "There is no such quota root").into(),
                    );
                };
                self.conn.machine().quota(&usage);
            }
            QuotaRequest::Roots { mailbox } => {
                let roots = mail.quotas(Some(&name(mailbox)?)).await?;
                self.conn.machine().quota_roots(&roots);
            }
            // Quotas are set where the accounts are.
            _ => return Err(Rejection::NO_PERMISSION.into()),
        }
        Ok(())
    }
}
