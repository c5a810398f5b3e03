//! Printing the commands of extensions (RFC 9208 §7, RFC 4314 §7, RFC 5464 §5)

use super::encode::Printer;
use super::{AclCommand, MetadataCommand, QuotaCommand};
use crate::{Depth, EntryName, RightsChange};

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
}
