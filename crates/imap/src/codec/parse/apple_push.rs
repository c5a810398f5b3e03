//! XAPPLEPUSHSERVICE

use super::words;
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{ApplePushCommand, Body};

pub(super) fn apple_push(c: &mut Cursor<'_>) -> Result<Body> {
    let mut command = ApplePushCommand::default();
    while c.peek() == Some(b' ') && c.rest().len() > 1 {
        c.sp()?;
        let name = c.astring()?;
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        c.sp()?;
        match () {
            () if is("mailboxes") => {
                c.expect(b'(', "a list is missing")?;
                words(c, |c| {
                    command.mailboxes.push(c.astring()?);
                    Ok(())
                })?;
                if command.mailboxes.len() > MOST_MAILBOXES {
                    return c.fail("there are too many mailboxes");
                }
            }
            () if is("aps-version") => {
                let version = c.astring()?;
                let version = std::str::from_utf8(&version).ok().and_then(|it| it.parse().ok());
                command.version = version.unwrap_or_default();
            }
            () if is("aps-account-id") => command.account_id = c.astring()?,
            () if is("aps-device-token") => command.device_token = c.astring()?,
            () if is("aps-subtopic") => command.subtopic = c.astring()?,
            () => _ = c.astring()?,
        }
    }
    let all = [&command.account_id, &command.device_token, &command.subtopic];
    if !(1..=2).contains(&command.version) || all.iter().any(|text| text.is_empty()) {
        return c.fail("an argument is missing");
    }
    Ok(Body::ApplePush(command))
}

const MOST_MAILBOXES: usize = 500;
