//! What responses mean for the commands that are open (RFC 3501 §7)

use super::command::{Command, Kind};
use super::data::{Data, Selected};
use super::error::Error;
use super::event::Event;
use super::handle::Handle;
use super::reply::{Reply, ReplyCode, ReplyKind};
use super::response::{self, Parsed, Piece, Response, SectionStart, Untagged};
use super::row::SectionHead;
use super::send::Sending;
use super::{Capabilities, Client, Open, Stage};
use bytes::Bytes;
use std::time::Instant;

impl Client {
    pub(super) fn piece(&mut self, piece: Piece, now: Instant) {
        match piece {
            Piece::Response(frame) | Piece::TooLong(frame) => self.response(&frame, now),
            Piece::SectionStart(start) => self.section(start),
            Piece::SectionData(data) => self.events.push_back(Event::SectionData(data)),
            Piece::SectionEnd => self.events.push_back(Event::SectionEnd),
        }
    }

    fn response(&mut self, frame: &Bytes, now: Instant) {
        // A line with nothing in it says nothing.
        if frame.is_empty() {
            return;
        }
        let response = response::read(frame, self.is_utf8());
        if self.stage == Stage::Greeting {
            return self.greeting(response);
        }
        match response {
            Response::Continue(text) => self.continued(&text, now),
            Response::Tagged(tag, reply) => self.tagged(frame, &tag, reply),
            Response::Status(reply) => self.status(reply),
            Response::Untagged(Untagged::Capability(capabilities)) => self.learn(capabilities),
            Response::Untagged(Untagged::Row(parsed)) => self.row(*parsed),
            Response::Untagged(Untagged::Data(data, tag)) => self.data(*data, tag.as_deref()),
        }
    }

    fn greeting(&mut self, response: Response) {
        let Response::Status(reply) = response else {
            return self.fail(Error::NotImap);
        };
        match reply.kind {
            ReplyKind::Bye => return self.fail(Error::Refused(reply)),
            ReplyKind::Preauth if !self.is_tls && !self.config.allow_plaintext => {
                return self.fail(Error::PreauthInClear);
            }
            ReplyKind::Ok | ReplyKind::Preauth => {}
            ReplyKind::No | ReplyKind::Bad => return self.fail(Error::NotImap),
        }
        self.stage = Stage::Ready;
        let told = capabilities_in(&reply);
        self.events.push_back(Event::Greeting(reply));
        if let Some(capabilities) = told {
            self.learn(capabilities);
        }
    }

    fn learn(&mut self, capabilities: Capabilities) {
        self.waits = false;
        self.capabilities = Some(capabilities.clone());
        self.events.push_back(Event::Capabilities(capabilities));
    }

    /// The end of a command.
    fn tagged(&mut self, frame: &Bytes, tag: &[u8], reply: Reply) {
        let Some(at) = self.open.iter().position(|open| is_tag(tag, open.tag)) else {
            // Nobody waits for it.
            return self.events.push_back(Event::Data(None, Data::Raw(frame.clone())));
        };
        self.waits = false;
        let is_newest = at + 1 == self.open.len();
        let Some(done) = self.open.remove(at) else {
            return;
        };
        let ok = reply.kind == ReplyKind::Ok;
        let sending = match is_newest {
            true => std::mem::replace(&mut self.sending, Sending::Nothing),
            false => Sending::Nothing,
        };
        let told = capabilities_in(&reply);
        let is_told = told.is_some();
        match (&done.command.kind, sending) {
            (Kind::Login(..), sending) if ok => {
                if let Sending::Login(login) = &sending
                    && let Err(error) = login.finish()
                {
                    return self.fail(Error::Sasl(error));
                }
                // Most servers can do more for those they know.
                self.capabilities = None;
            }
            (Kind::StartTls, _) if ok => {
                // What the server sent in the clear behind its reply may be somebody else's.
                self.rx.clear();
                self.framer.reset();
                self.stage = Stage::StartTls;
                self.capabilities = None;
            }
            (Kind::Compress, _) if ok => self.compress(),
            (Kind::Capability, _) if !ok => _ = self.capabilities.get_or_insert_default(),
            (Kind::Select, _) => self.selected_end(&done, ok, &reply),
            (Kind::Idle { told }, Sending::Idle(idle)) if ok && idle.restart => {
                let mut again = Command::idle();
                again.kind = Kind::Idle { told: *told };
                return self.queue.push_front(Open {
                    handle: done.handle,
                    tag: 0,
                    is_part: false,
                    command: again,
                });
            }
            (Kind::Idle { .. }, _) => self.stop_idle = false,
            _ => {}
        }
        if let Some(capabilities) = told.filter(|_| is_told && self.stage == Stage::Ready) {
            self.learn(capabilities);
        }
        let logged_out = matches!(done.command.kind, Kind::Logout);
        match done.is_part {
            true => self.part_done(reply),
            false => self.close_command(done.handle, reply),
        }
        if logged_out {
            self.stage = Stage::Closed;
        }
    }

    fn close_command(&mut self, handle: Option<Handle>, reply: Reply) {
        let Some(handle) = handle else {
            return;
        };
        match &reply.code {
            Some(ReplyCode::Copied(copied)) => {
                let data = Data::Copied(copied.clone());
                self.events.push_back(Event::Data(Some(handle), data));
            }
            Some(ReplyCode::Appended(appended)) => {
                let data = Data::Appended(appended.clone());
                self.events.push_back(Event::Data(Some(handle), data));
            }
            _ => {}
        }
        self.events.push_back(match reply.kind {
            ReplyKind::Ok => Event::Done(handle, reply),
            _ => Event::Refused(handle, reply),
        });
    }

    /// An untagged status response.
    fn status(&mut self, reply: Reply) {
        match (&reply.kind, &reply.code) {
            (ReplyKind::Bye, _) => {
                self.said_bye = true;
                self.events.push_back(Event::Bye(reply));
            }
            (_, Some(ReplyCode::Capability(capabilities))) => {
                let capabilities = capabilities.clone();
                self.events.push_back(Event::Notice(reply));
                self.learn(capabilities);
            }
            (ReplyKind::Ok, Some(ReplyCode::Copied(copied))) => {
                // MOVE tells it before it is done.
                let copied = Data::Copied(copied.clone());
                let owner = self.owner(|kind| matches!(kind, Kind::Expunge | Kind::Copy));
                self.events.push_back(Event::Data(owner, copied));
            }
            (ReplyKind::Ok, Some(code)) if self.selected.is_some() && self.gather(&code.clone()) => {}
            _ => self.events.push_back(Event::Notice(reply)),
        }
    }

    /// Takes a code that tells of the mailbox being selected; says whether it was one.
    fn gather(&mut self, code: &ReplyCode) -> bool {
        let Some(selected) = &mut self.selected else {
            return false;
        };
        match code {
            // What came before was of the mailbox that is left.
            ReplyCode::Closed => **selected = Selected::default(),
            ReplyCode::PermanentFlags(flags, open) => selected.permanent_flags = Some((flags.clone(), *open)),
            ReplyCode::UidNext(n) => selected.uid_next = Some(*n),
            ReplyCode::UidValidity(n) => selected.uid_validity = Some(*n),
            ReplyCode::UidNotSticky => selected.uid_not_sticky = true,
            ReplyCode::Unseen(n) => selected.unseen = Some(*n),
            ReplyCode::HighestModSeq(n) => selected.highest_mod_seq = Some(*n),
            ReplyCode::NoModSeq => selected.highest_mod_seq = None,
            ReplyCode::MailboxId(id) => selected.mailbox_id = Some(id.clone()),
            ReplyCode::ReadOnly => selected.read_only = true,
            ReplyCode::ReadWrite => selected.read_only = false,
            _ => return false,
        }
        true
    }

    fn selected_end(&mut self, done: &Open, ok: bool, reply: &Reply) {
        if let Some(code) = &reply.code {
            self.gather(code);
        }
        let selected = self.selected.take();
        if let Some(selected) = selected.filter(|_| ok) {
            self.tell(done.handle, Data::Selected(selected));
        }
    }

    fn row(&mut self, parsed: Parsed) {
        let owner = self.row_owner(parsed.row.seq, parsed.row.uid);
        for (name, octets) in parsed.sections {
            let (section, origin, decoded) = response::section_of(&name);
            self.events.push_back(Event::Section(SectionHead {
                handle: owner,
                seq: parsed.row.seq,
                uid: parsed.row.uid,
                section,
                name,
                origin,
                decoded,
                len: octets.as_ref().map(|o| o.len() as u64),
            }));
            let octets = octets.filter(|o| !o.is_empty());
            self.events.extend(octets.map(Event::SectionData));
            self.events.push_back(Event::SectionEnd);
        }
        self.tell(owner, Data::Row(Box::new(parsed.row)));
    }

    fn tell(&mut self, owner: Option<Handle>, data: Data) {
        if self.note_for_resync(owner, &data) {
            self.events.push_back(Event::Data(owner, data));
        }
    }

    fn section(&mut self, start: SectionStart) {
        let (section, origin, decoded) = response::section_of(&start.name);
        let (seq, uid) = match start.is_uidfetch {
            true => (0, Some(start.number)),
            false => (start.number, start.uid),
        };
        self.events.push_back(Event::Section(SectionHead {
            handle: self.row_owner(seq, uid),
            seq,
            uid,
            section,
            name: start.name,
            origin,
            decoded,
            len: Some(start.len),
        }));
    }

    /// The command that a row answers. FETCH commands that are open together ask for different messages.
    fn row_owner(&self, seq: u32, uid: Option<u32>) -> Option<Handle> {
        let several = self.open.len() > 1;
        let asked = self.open.iter().filter(|_| several).find(|open| {
            let number = if open.command.by_seq { Some(seq) } else { uid };
            number.is_some_and(|number| open.command.kind.fetches(number))
        });
        match asked {
            Some(open) => open.handle,
            None => self.owner(|kind| matches!(kind, Kind::Fetch(_) | Kind::Store | Kind::Select)),
        }
    }

    fn data(&mut self, mut data: Data, tag: Option<&[u8]>) {
        if let Some(selected) = &mut self.selected {
            match &data {
                Data::Exists(n) => return selected.exists = *n,
                Data::Recent(n) => return selected.recent = *n,
                Data::Flags(flags) => return selected.flags = flags.clone(),
                // Gone while the mailbox was being selected.
                Data::Expunged(_) => selected.exists = selected.exists.saturating_sub(1),
                Data::Vanished { earlier: false, uids } => {
                    let gone = u32::try_from(uids.len()).unwrap_or(u32::MAX);
                    selected.exists = selected.exists.saturating_sub(gone);
                }
                _ => {}
            }
        }
        if let Data::Enabled(names) = &data {
            self.enabled.extend(names.iter().cloned());
        }
        let mut owner = match tag {
            Some(tag) => self
                .open
                .iter()
                .find(|open| is_tag(tag, open.tag))
                .and_then(|open| open.handle),
            None => None,
        };
        owner = owner.or_else(|| match &data {
            Data::Vanished { earlier: true, .. } => self.row_owner(0, None),
            Data::Vanished { .. } if self.selected.is_some() => self.owner(|k| matches!(k, Kind::Select)),
            Data::List(row) if row.is_lsub => self.owner(|k| matches!(k, Kind::Lsub)),
            Data::List(_) => self.owner(|k| matches!(k, Kind::List)),
            Data::Status(row) => self
                .owner(|k| matches!(k, Kind::Status(mailbox) if *mailbox == row.mailbox))
                .or_else(|| self.owner(|k| matches!(k, Kind::Status(_) | Kind::List))),
            Data::Namespaces(_) => self.owner(|k| matches!(k, Kind::Namespace)),
            Data::Search(_) => self.owner(|k| matches!(k, Kind::Search { .. })),
            Data::Sorted(_) => self.owner(|k| matches!(k, Kind::Sort)),
            Data::Threads(_) => self.owner(|k| matches!(k, Kind::Thread)),
            Data::Enabled(_) => self.owner(|k| matches!(k, Kind::Enable)),
            Data::Id(_) => self.owner(|k| matches!(k, Kind::Id)),
            Data::Quota(_) | Data::QuotaRoots(..) => self.owner(|k| matches!(k, Kind::Quota)),
            Data::Acl(..) | Data::ListRights(..) | Data::MyRights(..) => {
                self.owner(|k| matches!(k, Kind::Acl))
            }
            Data::Metadata(..) => self.owner(|k| matches!(k, Kind::Metadata)),
            _ => None,
        });
        if let Data::Search(result) = &mut data
            && let Some(Kind::Search { uid }) = self.kind_of(owner)
        {
            result.uid |= uid;
        }
        self.tell(owner, data);
    }

    fn kind_of(&self, handle: Option<Handle>) -> Option<Kind> {
        let open = self.open.iter().find(|open| open.handle == handle)?;
        match open.command.kind {
            Kind::Search { uid } => Some(Kind::Search { uid }),
            _ => None,
        }
    }

    /// The oldest open command of a kind.
    fn owner(&self, is_it: impl Fn(&Kind) -> bool) -> Option<Handle> {
        let open = self.open.iter().find(|open| is_it(&open.command.kind))?;
        open.handle
    }
}

fn is_tag(tag: &[u8], number: u64) -> bool {
    tag.strip_prefix(b"A")
        .and_then(|n| std::str::from_utf8(n).ok()?.parse::<u64>().ok())
        == Some(number)
}

fn capabilities_in(reply: &Reply) -> Option<Capabilities> {
    match &reply.code {
        Some(ReplyCode::Capability(capabilities)) => Some(capabilities.clone()),
        _ => None,
    }
}
