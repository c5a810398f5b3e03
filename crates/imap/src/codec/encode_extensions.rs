//! Printing the commands of extensions (RFC 9208 §7, RFC 4314 §7, RFC 5464 §5, RFC 5256 §5, RFC 5465 §8,
//! RFC 7377 §4)

use super::encode::Printer;
use super::{
    AclCommand, ApplePushCommand, MetadataCommand, NotifyCommand, QuotaCommand, SearchInCommand, SortCommand,
    ThreadCommand,
};
use crate::{Depth, EntryName, MailboxFilter, RightsChange, Watch};
use bytes::Bytes;

impl Printer<'_> {
    pub(super) fn quota(&mut self, command: &QuotaCommand) -> &mut Self {
        match command {
            QuotaCommand::Get(root) => self.raw("GETQUOTA ").string(root),
            QuotaCommand::Roots(mailbox) => self.raw("GETQUOTAROOT ").string(mailbox),
            QuotaCommand::Set { root, limits } => {
                self.raw("SETQUOTA ").string(root).raw(" (");
                self.0.joined(limits, |out, (resource, limit)| {
                    out.raw(resource.as_str()).raw(" ").number(*limit);
                });
                self.raw(")")
            }
        }
    }

    pub(super) fn acl(&mut self, command: &AclCommand) -> &mut Self {
        match command {
            AclCommand::Set {
                mailbox,
                identifier,
                change,
                rights,
            } => {
                self.raw("SETACL ").string(mailbox).raw(" ").string(identifier);
                let sign = match change {
                    RightsChange::Replace => "",
                    RightsChange::Add => "+",
                    RightsChange::Remove => "-",
                };
                self.raw(" ").string(format!("{sign}{rights}").as_bytes())
            }
            AclCommand::Delete { mailbox, identifier } => {
                self.raw("DELETEACL ").string(mailbox).raw(" ").string(identifier)
            }
            AclCommand::Get(mailbox) => self.raw("GETACL ").string(mailbox),
            AclCommand::List { mailbox, identifier } => self
                .raw("LISTRIGHTS ")
                .string(mailbox)
                .raw(" ")
                .string(identifier),
            AclCommand::Mine(mailbox) => self.raw("MYRIGHTS ").string(mailbox),
        }
    }

    pub(super) fn metadata(&mut self, command: &MetadataCommand) -> &mut Self {
        match command {
            MetadataCommand::Get {
                mailbox,
                max_size,
                depth,
                entries,
            } => {
                self.raw("GETMETADATA ");
                let depth = match depth {
                    Depth::Zero => None,
                    Depth::One => Some("DEPTH 1"),
                    Depth::Infinity => Some("DEPTH infinity"),
                };
                let size = max_size.map(|size| format!("MAXSIZE {size}"));
                if depth.is_some() || size.is_some() {
                    self.raw("(");
                    self.0
                        .joined(size.as_deref().into_iter().chain(depth), |out, option| {
                            out.raw(option);
                        });
                    self.raw(") ");
                }
                self.string(mailbox).raw(" ").entries(entries)
            }
            MetadataCommand::Set { mailbox, entries } => {
                self.raw("SETMETADATA ").string(mailbox).raw(" (");
                for (i, (name, value)) in entries.iter().enumerate() {
                    self.raw(if i > 0 { " " } else { "" });
                    self.string(name.as_str().as_bytes()).raw(" ");
                    match value {
                        Some(value) if value.contains(&0) => self.raw("~").string(value),
                        Some(value) => self.quoted(value),
                        None => self.raw("NIL"),
                    };
                }
                self.raw(")")
            }
        }
    }

    pub(super) fn entries(&mut self, entries: &[EntryName]) -> &mut Self {
        self.raw("(");
        for (i, name) in entries.iter().enumerate() {
            self.raw(if i > 0 { " " } else { "" });
            self.string(name.as_str().as_bytes());
        }
        self.raw(")")
    }

    pub(super) fn sort(&mut self, command: &SortCommand) -> &mut Self {
        self.uid(command.uid)
            .raw("SORT")
            .returns(command.returns)
            .raw(" (");
        self.0.joined(&command.order, |out, by| {
            out.raw(if by.reverse { "REVERSE " } else { "" })
                .raw(by.key.as_str());
        });
        self.raw(") ").string(&command.charset).keys(&command.keys)
    }

    pub(super) fn thread(&mut self, command: &ThreadCommand) -> &mut Self {
        self.uid(command.uid)
            .raw("THREAD ")
            .raw(command.algorithm.as_str());
        self.raw(" ").string(&command.charset).keys(&command.keys)
    }

    pub(super) fn search_in(&mut self, command: &SearchInCommand) -> &mut Self {
        self.raw("ESEARCH");
        for (i, source) in command.sources.iter().enumerate() {
            self.raw(if i > 0 { " " } else { " IN (" }).filter(source);
        }
        self.raw(if command.sources.is_empty() { "" } else { ")" });
        self.returns(command.returns);
        if let Some(charset) = &command.charset {
            self.raw(" CHARSET ").string(charset);
        }
        self.keys(&command.keys)
    }

    pub(super) fn notify(&mut self, command: &NotifyCommand) -> &mut Self {
        if command.watches.is_empty() {
            return self.raw("NOTIFY NONE");
        }
        self.raw("NOTIFY SET")
            .raw(if command.status { " STATUS" } else { "" });
        for watch in &command.watches {
            self.raw(" (")
                .filter(&watch.filter)
                .raw(" ")
                .events(watch)
                .raw(")");
        }
        self
    }

    fn events(&mut self, watch: &Watch<Bytes>) -> &mut Self {
        let events = [
            (watch.messages, "MessageExpunge"),
            (watch.flags, "FlagChange"),
            (watch.names, "MailboxName"),
            (watch.subscriptions, "SubscriptionChange"),
            (watch.mailbox_metadata, "MailboxMetadataChange"),
            (watch.server_metadata, "ServerMetadataChange"),
        ];
        if !events.iter().any(|(wanted, _)| *wanted) {
            return self.raw("NONE");
        }
        self.raw("(");
        if watch.messages {
            self.raw("MessageNew");
            if let Some(items) = &watch.fetch {
                self.fetch_items(items, true);
            }
            self.raw(" ");
        }
        let wanted = events.iter().filter(|(wanted, _)| *wanted);
        self.0.joined(wanted, |out, (_, event)| {
            out.raw(event);
        });
        self.raw(")")
    }

    fn filter(&mut self, filter: &MailboxFilter<Bytes>) -> &mut Self {
        use MailboxFilter as F;
        let (kind, names) = match filter {
            F::Selected => ("selected", None),
            F::SelectedDelayed => ("selected-delayed", None),
            F::Inboxes => ("inboxes", None),
            F::Personal => ("personal", None),
            F::Subscribed => ("subscribed", None),
            F::Subtree(names) => ("subtree ", Some(names)),
            F::SubtreeOne(names) => ("subtree-one ", Some(names)),
            F::Mailboxes(names) => ("mailboxes ", Some(names)),
        };
        self.raw(kind);
        match names {
            Some(names) => self.string_list(names),
            None => self,
        }
    }

    pub(super) fn apple_push(&mut self, command: &ApplePushCommand) -> &mut Self {
        self.raw("XAPPLEPUSHSERVICE aps-version ")
            .0
            .number(u64::from(command.version));
        self.raw(" aps-account-id ").quoted(&command.account_id);
        self.raw(" aps-device-token ").quoted(&command.device_token);
        self.raw(" aps-subtopic ").quoted(&command.subtopic);
        if !command.mailboxes.is_empty() {
            self.raw(" mailboxes ").string_list(&command.mailboxes);
        }
        self
    }
}
