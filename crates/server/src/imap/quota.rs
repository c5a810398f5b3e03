//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208)

use super::backend::{Backend, Mailboxes};
use super::convert::name;
use super::session::{Session, Stop};
use mailwright_imap::{Code, QuotaRequest, Rejection};

impl<B: Backend> Session<B> {
    pub(super) async fn quota(&mut self, request: &QuotaRequest) -> Result<(), Stop> {
        let mail = self.mail()?;
        match request {
            QuotaRequest::Get { root } => {
                let missing = || Rejection::new(Some(Code::NonExistent), "There is no such quota root");
                let quota = mail.quota(root).await?.ok_or_else(missing)?;
                self.conn.machine().quota(&quota.usage);
            }
            QuotaRequest::Roots { mailbox } => {
                let roots = mail.quotas(Some(&name(mailbox)?)).await?;
                self.conn.machine().quota_roots(&roots);
            }
            QuotaRequest::Set { root, limits } => {
                let quota = mail.set_quota(root, limits).await?;
                self.conn.machine().quota(&quota.usage);
            }
            _ => return Err(Rejection::CANNOT.into()),
        }
        Ok(())
    }
}
