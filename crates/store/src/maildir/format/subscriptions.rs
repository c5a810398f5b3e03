//! The file of subscribed names

use mailwright_mailbox::MailboxName;

use super::{directory_of, mailbox_of};

/// Reads the names of a `subscriptions` file: one a line, levels parted by dots, or by tabs behind a first line `V` tab
/// `2` (Dovecot), or with `INBOX.` in front of all (Courier). Names that cannot be are passed over.
pub fn parse_subscriptions(text: &str) -> Vec<MailboxName> {
    let mut lines = text.lines().peekable();
    let by_tab = lines.next_if(|line| line.starts_with("V\t")).is_some();
    let names = lines.filter(|line| !line.is_empty()).filter_map(|line| {
        let line = if by_tab {
            line.replace('\t', ".")
        } else {
            line.to_owned()
        };
        match line.eq_ignore_ascii_case("INBOX") {
            true => Some(MailboxName::inbox()),
            false => mailbox_of(&format!(".{line}")),
        }
    });
    names.collect()
}

/// Writes a `subscriptions` file as Dovecot reads it.
pub fn write_subscriptions<'n>(names: impl IntoIterator<Item = &'n MailboxName>) -> String {
    let lines = names.into_iter().map(|name| match name.is_inbox() {
        true => "INBOX\n".to_owned(),
        false => format!("{}\n", &directory_of(name)[1..]),
    });
    lines.collect()
}
