//! SELECT and EXAMINE with their parameters (RFC 3501 §6.3.1, RFC 7162)

use super::{mailbox, words};
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{Body, Resync};

pub(super) fn select(c: &mut Cursor<'_>, read_only: bool) -> Result<Body> {
    let mailbox = mailbox(c)?;
    let (mut condstore, mut resync) = (false, None);
    if c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        c.expect(b'(', "a list is missing")?;
        words(c, |c| {
            match () {
                () if c.eat_word("CONDSTORE") => condstore = true,
                () if c.eat_word("QRESYNC") && resync.is_none() => {
                    c.sp()?;
                    resync = Some(resync_parameter(c)?);
                }
                () => return c.fail("a parameter is not known"),
            }
            Ok(())
        })?;
    }
    Ok(Body::Select {
        mailbox,
        read_only,
        condstore,
        resync,
    })
}

fn resync_parameter(c: &mut Cursor<'_>) -> Result<Resync> {
    c.expect(b'(', "a list is missing")?;
    let uid_validity = c.nz_number()?;
    c.sp()?;
    // The grammar wants 1 or more; clients that know nothing yet send 0.
    let mod_seq = c.mod_seq()?;
    let (mut known, mut sample) = (None, None);
    if c.eat(b' ') && c.peek() != Some(b'(') {
        known = Some(c.uid_set()?);
        // Behind this there may be the sample, or nothing.
        if c.peek() != Some(b')') {
            c.sp()?;
        }
    }
    if c.eat(b'(') {
        let numbers = c.uid_set()?;
        c.sp()?;
        let uids = c.uid_set()?;
        c.expect(b')', "a list is not closed")?;
        if numbers.len() != uids.len() {
            return c.fail("there must be a UID for each number");
        }
        sample = Some((numbers, uids));
    }
    c.expect(b')', "a list is not closed")?;
    Ok(Resync {
        uid_validity,
        mod_seq,
        known,
        sample,
    })
}
