//! NOTIFY (RFC 5465 §8), and the mailboxes of ESEARCH (RFC 7377 §4)

use super::fetch::fetch_item;
use super::words;
use crate::codec::cursor::{Cursor, Result};
use crate::codec::{Body, NotifyCommand};
use crate::{MailboxFilter, Watch};
use bytes::Bytes;

pub(super) fn notify(c: &mut Cursor<'_>) -> Result<Body> {
    c.sp()?;
    let mut command = NotifyCommand::default();
    if c.eat_word("NONE") {
        return Ok(Body::Notify(command));
    }
    if !c.eat_word("SET") {
        return c.fail("SET or NONE is missing");
    }
    c.sp()?;
    if c.eat_word("STATUS") {
        command.status = true;
        c.sp()?;
    }
    let mut names = 0;
    loop {
        c.expect(b'(', "a list is missing")?;
        let watch = group(c, &mut command.has_unknown, &mut names)?;
        let is_second = watch.is_selected() && command.watches.iter().any(Watch::is_selected);
        if is_second || command.watches.len() == MOST_WATCHES {
            return c.fail("there are too many groups of mailboxes");
        }
        command.watches.push(watch);
        if !(c.peek() == Some(b' ') && c.rest().len() > 1) {
            return Ok(Body::Notify(command));
        }
        c.sp()?;
    }
}

fn group(c: &mut Cursor<'_>, has_unknown: &mut bool, names: &mut usize) -> Result<Watch<Bytes>> {
    let filter = filter(c, names)?;
    if matches!(filter, MailboxFilter::SubtreeOne(_)) {
        return c.fail("a kind of mailboxes is not known");
    }
    let mut watch = Watch::new(filter);
    c.sp()?;
    if c.eat_word("NONE") {
        c.expect(b')', "a list is not closed")?;
        return Ok(watch);
    }
    // The grammar wants parentheses here; the examples of RFC 5465 §3.1 have none.
    let is_enclosed = c.eat(b'(');
    let (mut new, mut gone) = (false, false);
    words(c, |c| {
        let event = c.atom()?;
        let is = |name: &str| event.eq_ignore_ascii_case(name);
        match () {
            () if is("MessageNew") => {
                new = true;
                if c.rest().starts_with(b" (") {
                    c.sp()?;
                    c.eat(b'(');
                    let items = watch.fetch.get_or_insert_default();
                    words(c, |c| {
                        items.extend(fetch_item(c)?);
                        if items.len() > MOST_ITEMS {
                            return c.fail("too much is asked for at once");
                        }
                        Ok(())
                    })?;
                }
            }
            () if is("MessageExpunge") => gone = true,
            () if is("FlagChange") => watch.flags = true,
            () if is("MailboxName") => watch.names = true,
            () if is("SubscriptionChange") => watch.subscriptions = true,
            () if is("MailboxMetadataChange") => watch.mailbox_metadata = true,
            () if is("ServerMetadataChange") => watch.server_metadata = true,
            () => *has_unknown = true,
        }
        Ok(())
    })?;
    if is_enclosed {
        c.expect(b')', "a list is not closed")?;
    }
    if new != gone || (watch.flags && !new) {
        return c.fail("MessageNew and MessageExpunge belong together");
    }
    watch.messages = new;
    let others = watch.names || watch.subscriptions || watch.mailbox_metadata || watch.server_metadata;
    if watch.is_selected() && others {
        return c.fail("the event is not one of the selected mailbox");
    }
    if !watch.is_selected() && watch.fetch.is_some() {
        return c.fail("messages are told of the selected mailbox alone");
    }
    Ok(watch)
}

/// `filter-mailboxes`.
pub(super) fn filter(c: &mut Cursor<'_>, names: &mut usize) -> Result<MailboxFilter<Bytes>> {
    use MailboxFilter as F;
    let kind = c.atom()?;
    let is = |name: &str| kind.eq_ignore_ascii_case(name);
    Ok(match () {
        () if is("selected") => F::Selected,
        () if is("selected-delayed") => F::SelectedDelayed,
        () if is("inboxes") => F::Inboxes,
        () if is("personal") => F::Personal,
        () if is("subscribed") => F::Subscribed,
        () if is("subtree") => F::Subtree(mailboxes(c, names)?),
        () if is("subtree-one") => F::SubtreeOne(mailboxes(c, names)?),
        () if is("mailboxes") => F::Mailboxes(mailboxes(c, names)?),
        () => return c.fail("a kind of mailboxes is not known"),
    })
}

fn mailboxes(c: &mut Cursor<'_>, names: &mut usize) -> Result<Vec<Bytes>> {
    c.sp()?;
    let mut list = Vec::new();
    if c.eat(b'(') {
        words(c, |c| {
            list.push(c.astring()?);
            Ok(())
        })?;
        if list.is_empty() {
            return c.fail("a mailbox is missing");
        }
    } else {
        list.push(c.astring()?);
    }
    *names += list.len();
    if *names > MOST_NAMES {
        return c.fail("there are too many mailboxes");
    }
    Ok(list)
}

/// Each change of a mailbox is compared with each group, and each name in it.
const MOST_WATCHES: usize = 50;
const MOST_NAMES: usize = 1000;
/// Each item is told of each message that comes.
const MOST_ITEMS: usize = 50;
