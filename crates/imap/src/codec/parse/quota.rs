//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 §7)

use super::{mailbox, words};
use crate::QuotaResource;
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{Body, QuotaCommand};

pub(super) fn get(c: &mut Cursor<'_>) -> Result<Body> {
    mailbox(c).map(|root| Body::Quota(QuotaCommand::Get(root)))
}

pub(super) fn roots(c: &mut Cursor<'_>) -> Result<Body> {
    mailbox(c).map(|mailbox| Body::Quota(QuotaCommand::Roots(mailbox)))
}

pub(super) fn set(c: &mut Cursor<'_>) -> Result<Body> {
    let root = mailbox(c)?;
    c.sp()?;
    c.expect(b'(', "a list is missing")?;
    let mut limits: Vec<(QuotaResource, u64)> = Vec::new();
    words(c, |c| {
        let Some(resource) = QuotaResource::parse(c.atom()?.as_bytes()) else {
            return c.fail("a resource is not known");
        };
        c.sp()?;
        let limit = c.number64()?;
        if limit > MOST || limits.iter().any(|(known, _)| *known == resource) {
            return c.fail("a limit is too high or given twice");
        }
        limits.push((resource, limit));
        Ok(())
    })?;
    Ok(Body::Quota(QuotaCommand::Set { root, limits }))
}

/// `number64` of RFC 9051 §9.
const MOST: u64 = i64::MAX as u64;
