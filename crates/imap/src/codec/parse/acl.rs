//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §7)

use super::mailbox;
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{AclCommand, Body};
use crate::{Rights, RightsChange};
use bytes::Bytes;

pub(super) fn set(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    let identifier = identifier(c)?;
    c.sp()?;
    let text = c.astring()?;
    let (change, letters) = match text.split_first() {
        Some((b'+', letters)) => (RightsChange::Add, letters),
        Some((b'-', letters)) => (RightsChange::Remove, letters),
        _ => (RightsChange::Replace, &text[..]),
    };
    // RFC 4314 §3.1: what is not recognised must not be ignored.
    let Some(rights) = Rights::parse(letters) else {
        return c.fail("a right is not known");
    };
    Ok(Body::Acl(AclCommand::Set {
        mailbox,
        identifier,
        change,
        rights,
    }))
}

pub(super) fn delete(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    let identifier = identifier(c)?;
    Ok(Body::Acl(AclCommand::Delete { mailbox, identifier }))
}

pub(super) fn get(c: &mut Cursor<'_>) -> Result<Body> {
    mailbox(c).map(|mailbox| Body::Acl(AclCommand::Get(mailbox)))
}

pub(super) fn list(c: &mut Cursor<'_>) -> Result<Body> {
    let mailbox = mailbox(c)?;
    let identifier = identifier(c)?;
    Ok(Body::Acl(AclCommand::List { mailbox, identifier }))
}

pub(super) fn mine(c: &mut Cursor<'_>) -> Result<Body> {
    mailbox(c).map(|mailbox| Body::Acl(AclCommand::Mine(mailbox)))
}

/// RFC 4314 §3: an identifier that nothing is left of is malformed.
fn identifier(c: &mut Cursor<'_>) -> Result<Bytes> {
    let identifier = mailbox(c)?;
    if identifier.is_empty() || &identifier[..] == b"-" {
        return c.fail("an identifier is missing");
    }
    Ok(identifier)
}
