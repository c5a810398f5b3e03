//! ACL (RFC 4314)

use super::{Reply, Server, Task};
use crate::codec::{AclCommand, Out};
use crate::{AclRequest, Capability, Event, Rights, When};

/// A question about rights that is being answered.
#[derive(Debug)]
pub(super) enum Granting {
    /// Said yes to, or no.
    Set(&'static str),
    Get {
        mailbox: String,
    },
    List {
        mailbox: String,
        identifier: String,
    },
    Mine {
        mailbox: String,
    },
}

impl Server {
    pub(super) fn acl_command(&mut self, command: AclCommand) {
        if !self.offers(Capability::Acl) {
            return self.bad("the command is not known");
        }
        let (mailbox, identifier) = match &command {
            AclCommand::Set {
                mailbox, identifier, ..
            }
            | AclCommand::Delete { mailbox, identifier }
            | AclCommand::List { mailbox, identifier } => (mailbox, &identifier[..]),
            AclCommand::Get(mailbox) | AclCommand::Mine(mailbox) => (mailbox, &b""[..]),
        };
        let Some(mailbox) = self.mailbox_name(mailbox) else {
            return;
        };
        let Some(identifier) = self.text_of(identifier) else {
            return;
        };
        let (request, task) = match command {
            AclCommand::Set { change, rights, .. } => (
                AclRequest::Set {
                    mailbox,
                    identifier,
                    change,
                    rights,
                },
                Granting::Set("Setacl completed"),
            ),
            AclCommand::Delete { .. } => (
                AclRequest::Delete { mailbox, identifier },
                Granting::Set("Deleteacl completed"),
            ),
            AclCommand::Get(_) => {
                let task = Granting::Get {
                    mailbox: mailbox.clone(),
                };
                (AclRequest::Get { mailbox }, task)
            }
            AclCommand::List { .. } => {
                let task = Granting::List {
                    mailbox: mailbox.clone(),
                    identifier: identifier.clone(),
                };
                (AclRequest::List { mailbox, identifier }, task)
            }
            AclCommand::Mine(_) => {
                let task = Granting::Mine {
                    mailbox: mailbox.clone(),
                };
                (AclRequest::Mine { mailbox }, task)
            }
        };
        self.ask(Event::Acl(request), Task::Acl(Box::new(task)));
    }

    /// Answers GETACL ([`Event::Acl`]): who has which rights. Negative ones have a `-` before the identifier.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn acl<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, Rights)>) {
        let Granting::Get { mailbox } = self.take_granting() else {
            panic!("no list of rights was asked for")
        };
        let mut out = self.out();
        out.raw("* ACL ").mailbox(&mailbox);
        for (identifier, rights) in entries {
            out.raw(" ")
                .astring(identifier.as_bytes())
                .raw(" ")
                .rights(rights);
        }
        out.raw("\r\n");
        self.complete(Reply::ok("Getacl completed"), When::Anything);
    }

    /// Answers LISTRIGHTS ([`Event::Acl`]): the identifier always has the `required` rights, and each set of
    /// `optional` ones can be granted as a whole. A right that is told already is left out of later sets.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn list_rights(&mut self, required: Rights, optional: &[Rights]) {
        let Granting::List { mailbox, identifier } = self.take_granting() else {
            panic!("no rights that can be granted were asked for")
        };
        let mut told = required;
        let mut sets = vec![required];
        for set in optional {
            let rest = *set & !told;
            told = told | rest;
            if !rest.is_empty() {
                sets.push(rest);
            }
        }
        let mut texts: Vec<String> = sets.iter().map(Rights::to_string).collect();
        for (old, letter) in OLD.into_iter().filter(|(old, _)| !(told & *old).is_empty()) {
            // RFC 4314 §2.1.1: c and d go with their members where these are tied to others, and are told once.
            let is_tied = |set: &Rights| !(*set & old).is_empty() && !(*set & !old).is_empty();
            match sets.iter().position(is_tied) {
                Some(at) => texts[at].push(letter),
                None if !(required & old).is_empty() => texts[0].push(letter),
                None => texts.push(letter.to_string()),
            }
        }
        let mut out = self.out();
        out.raw("* LISTRIGHTS ").mailbox(&mailbox);
        out.raw(" ").astring(identifier.as_bytes());
        for text in &texts {
            out.raw(" ").astring(text.as_bytes());
        }
        out.raw("\r\n");
        self.complete(Reply::ok("Listrights completed"), When::Anything);
    }

    /// Answers MYRIGHTS ([`Event::Acl`]): these the user has.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn my_rights(&mut self, rights: Rights) {
        let Granting::Mine { mailbox } = self.take_granting() else {
            panic!("the user's rights were not asked for")
        };
        self.out().my_rights(&mailbox, rights);
        self.complete(Reply::ok("Myrights completed"), When::Anything);
    }

    pub(super) fn finish_acl(&mut self, task: &Granting) {
        let Granting::Set(text) = task else {
            panic!("this question is not answered by a plain yes")
        };
        self.complete(Reply::ok(text), When::Anything);
    }

    fn take_granting(&mut self) -> Granting {
        match self.take_task() {
            Task::Acl(task) => *task,
            _ => panic!("no rights were asked about"),
        }
    }
}

impl Out<'_> {
    /// `* MYRIGHTS`, also of LIST (RFC 8440).
    pub(super) fn my_rights(&mut self, mailbox: &str, rights: Rights) -> &mut Self {
        self.raw("* MYRIGHTS ")
            .mailbox(mailbox)
            .raw(" ")
            .rights(rights)
            .raw("\r\n")
    }

    /// Rights, and `c` and `d` if one of their members is among them.
    fn rights(&mut self, rights: Rights) -> &mut Self {
        if rights.is_empty() {
            return self.raw("\"\"");
        }
        let administer = rights & Rights::ADMINISTER;
        self.display(rights & !Rights::ADMINISTER);
        for (old, letter) in OLD {
            if !(rights & old).is_empty() {
                self.display(letter);
            }
        }
        self.display(administer)
    }
}

const OLD: [(Rights, char); 2] = [(Rights::OLD_CREATE, 'c'), (Rights::OLD_DELETE, 'd')];
