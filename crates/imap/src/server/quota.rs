//! QUOTA (RFC 9208)

use super::{Phase, Reply, Server, Task};
use crate::codec::QuotaCommand;
use crate::{Capability, Code, Event, Quota, QuotaRequest, QuotaUsage, When};

/// A question about quotas that is being answered.
#[derive(Debug)]
pub(super) enum Quoting {
    Root { name: String, set: bool },
    Mailbox(String),
}

impl Server {
    pub(super) fn quota_command(&mut self, command: QuotaCommand) {
        let needed = match command {
            QuotaCommand::Set { .. } => Capability::QuotaSet,
            _ => Capability::Quota,
        };
        if !self.offers(needed) {
            return self.bad("the command is not known");
        }
        let (request, task) = match command {
            QuotaCommand::Roots(mailbox) => {
                let Some(mailbox) = self.mailbox_name(&mailbox) else {
                    return;
                };
                let task = Quoting::Mailbox(mailbox.clone());
                (QuotaRequest::Roots { mailbox }, task)
            }
            QuotaCommand::Get(root) => {
                let Some(root) = self.text_of(&root) else { return };
                let (name, set) = (root.clone(), false);
                (QuotaRequest::Get { root }, Quoting::Root { name, set })
            }
            QuotaCommand::Set { root, limits } => {
                let Some(root) = self.text_of(&root) else { return };
                let (name, set) = (root.clone(), true);
                (QuotaRequest::Set { root, limits }, Quoting::Root { name, set })
            }
        };
        self.ask(Event::Quota(request), Task::Quota(Box::new(task)));
    }

    /// Answers GETQUOTA and SETQUOTA ([`Event::Quota`]): these limits the quota root has.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn quota(&mut self, usage: &[QuotaUsage]) {
        let Task::Quota(task) = self.take_task() else {
            panic!("no quota was asked for")
        };
        let Quoting::Root { name, set } = *task else {
            panic!("the quota roots of a mailbox were asked for")
        };
        self.put_quota(&name, usage);
        let text = if set {
            "Setquota completed"
        } else {
            "Getquota completed"
        };
        self.complete(Reply::ok(text), When::Anything);
    }

    /// Answers GETQUOTAROOT ([`Event::Quota`]): the quota roots that the mailbox counts for; there may be none.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn quota_roots(&mut self, roots: &[Quota]) {
        let Task::Quota(task) = self.take_task() else {
            panic!("no quota was asked for")
        };
        let Quoting::Mailbox(mailbox) = *task else {
            panic!("a single quota root was asked for")
        };
        let mut out = self.out();
        out.raw("* QUOTAROOT ").mailbox(&mailbox);
        for quota in roots {
            out.raw(" ").astring(quota.root.as_bytes());
        }
        out.raw("\r\n");
        for quota in roots {
            self.put_quota(&quota.root, &quota.usage);
        }
        self.complete(Reply::ok("Getquotaroot completed"), When::Anything);
    }

    /// Warns that a mailbox is above a limit that is not enforced (RFC 9208 §4.3.1), while APPEND, COPY or MOVE
    /// is about to be answered; at any other time nothing is said.
    pub fn warn_over_quota(&mut self) {
        if matches!(
            self.phase,
            Phase::Asked(Task::AppendEnd { .. } | Task::Copy { .. })
        ) {
            self.out()
                .raw("* NO [OVERQUOTA] Soft quota has been exceeded\r\n");
        }
    }

    fn put_quota(&mut self, root: &str, usage: &[QuotaUsage]) {
        let mut out = self.out();
        out.raw("* QUOTA ").astring(root.as_bytes()).raw(" (");
        out.joined(usage, |out, usage| {
            out.raw(usage.resource.as_str()).raw(" ").number(usage.used);
            out.raw(" ").number(usage.limit);
        });
        out.raw(")\r\n");
    }

    /// A string that is no mailbox name; `None` if it was refused.
    pub(super) fn text_of(&mut self, wire: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(wire).ok().map(str::to_owned);
        if text.is_none() {
            self.no(Some(Code::Cannot), "The name is not valid UTF-8");
        }
        text
    }
}
