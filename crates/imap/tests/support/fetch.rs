//! FETCH and SEARCH of the backend.

use super::*;

/// A FETCH under way: messages, and the section that is being streamed.
pub struct Fetching {
    pub request: FetchRequest,
    todo: Vec<u32>,
    items: Vec<FetchItem>,
    stream: Option<Bytes>,
}

impl Backend {
    pub(super) fn fetch(&mut self, server: &mut Server, request: FetchRequest) {
        let mut todo: Vec<u32> = Vec::new();
        let since = request.changed_since.unwrap_or(0);
        for mail in &self.current().mails {
            if request.uids.contains(mail.uid) && (since == 0 || mail.mod_seq > since) {
                todo.insert(0, mail.uid);
            }
        }
        if let (Some(_), Some(gone)) = (&request.vanished, &self.current().gone) {
            let gone = gone.iter().filter(|(_, at)| *at > since).map(|(uid, _)| *uid);
            server.vanished(&gone.collect());
        }
        self.fetching = Some(Fetching {
            request,
            todo,
            items: vec![],
            stream: None,
        });
        self.go_on_fetching(server);
    }

    pub(super) fn go_on_fetching(&mut self, server: &mut Server) {
        let mut fetching = self.fetching.take().expect("a FETCH is being answered");
        while server.has_room() {
            if let Some(rest) = &mut fetching.stream {
                let piece = rest.split_to(rest.len().min(self.piece));
                if server.fetch_piece(piece) == 0 {
                    fetching.stream = None;
                }
            } else if let Some(item) = fetching.items.pop() {
                let uid = fetching.todo.last().copied().expect("items belong to a message");
                self.item(server, uid, &item, &mut fetching);
                if fetching.items.is_empty() {
                    fetching.todo.pop();
                }
            } else if let Some(&uid) = fetching.todo.last() {
                self.begin_row(server, uid, &mut fetching);
            } else {
                if fetching.request.mark_seen {
                    server.notify(Change::UpTo(self.current().highest));
                }
                return server.accept();
            }
        }
        self.fetching = Some(fetching);
    }

    fn begin_row(&mut self, server: &mut Server, uid: u32, fetching: &mut Fetching) {
        fetching.items = fetching.request.items.iter().rev().cloned().collect();
        let Some(mut row) = server.fetch(uid) else {
            fetching.items.clear();
            fetching.todo.pop();
            return;
        };
        let mailbox = self.current();
        let at = mailbox.mails.iter().position(|m| m.uid == uid).unwrap();
        if fetching.request.mark_seen && mailbox.mails[at].flags.insert(Flag::Seen) {
            mailbox.mails[at].mod_seq = mailbox.next_mod_seq();
            let mail = &mailbox.mails[at];
            if !fetching.items.contains(&FetchItem::Flags) {
                row.flags(&mail.flags);
            }
            row.mod_seq(mail.mod_seq);
        }
        if fetching.items.is_empty() {
            fetching.todo.pop();
        }
    }

    fn item(&mut self, server: &mut Server, uid: u32, item: &FetchItem, fetching: &mut Fetching) {
        let limit = self.piece;
        let mail = self.current().mails.iter().find(|m| m.uid == uid).unwrap();
        let mut row = server.fetch_row().expect("the row is open");
        match item {
            FetchItem::Flags => _ = row.flags(&mail.flags),
            FetchItem::InternalDate => _ = row.internal_date(mail.date),
            FetchItem::Size => _ = row.size(mail.octets.len() as u64),
            FetchItem::Envelope => _ = row.envelope_of(&mail.index),
            FetchItem::Body => _ = row.body_of(&mail.index),
            FetchItem::BodyStructure => _ = row.body_structure_of(&mail.index),
            FetchItem::Section(item) => match section(mail, item) {
                None => _ = row.section_missing(item),
                Some(section) if section.len() <= limit => _ = row.section(item, &section),
                Some(section) => {
                    let range = row.section_stream(item, section.len() as u64);
                    let owed = section.slice(range.start as usize..range.end as usize);
                    fetching.stream = (!owed.is_empty()).then_some(owed);
                }
            },
            FetchItem::ModSeq => _ = row.mod_seq(mail.mod_seq),
            FetchItem::EmailId => _ = row.email_id(&ObjectId::new(format!("M{uid}")).unwrap()),
            FetchItem::ThreadId => {
                let thread = (uid % 2 == 1).then(|| ObjectId::new(format!("T{uid}")).unwrap());
                row.thread_id(thread.as_ref());
            }
            FetchItem::SaveDate => _ = row.save_date((uid % 2 == 1).then_some(mail.date)),
            FetchItem::Preview { lazy } => {
                let body = String::from_utf8_lossy(&mail.octets[mail.index.root().body().start as usize..]);
                row.preview((!lazy || uid % 2 == 1).then(|| body.trim_end()));
            }
            // This backend decodes base64 and nothing else.
            FetchItem::Binary(item) => match decoded(mail, &item.part) {
                None => _ = row.binary_missing(item),
                Some(octets) if octets.len() <= limit => _ = row.binary(item, &octets),
                Some(octets) => {
                    let range = row.binary_stream(item, octets.len() as u64);
                    let owed = octets.slice(range.start as usize..range.end as usize);
                    fetching.stream = (!owed.is_empty()).then_some(owed);
                }
            },
            FetchItem::BinarySize(part) => {
                let len = decoded(mail, part).map_or(0, |octets| octets.len());
                row.binary_size(part, len as u64);
            }
            other => panic!("unexpected item {other:?}"),
        }
    }
}

fn section(mail: &Mail, item: &BodyItem) -> Option<Bytes> {
    let range = item.section.locate(&mail.index)?;
    let octets = mail.octets.slice(range.start as usize..range.end as usize);
    Some(match &item.section.text {
        SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => item.section.text.pick(&octets),
        _ => octets,
    })
}

fn decoded(mail: &Mail, part: &[NonZeroU32]) -> Option<Bytes> {
    let section = mailwright_imap::Section {
        part: part.to_vec(),
        text: SectionText::All,
    };
    let range = section.locate(&mail.index)?;
    let octets = mail.octets.slice(range.start as usize..range.end as usize);
    let text: Vec<u8> = octets
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    match mail.octets.windows(6).any(|w| w.eq_ignore_ascii_case(b"base64")) {
        true => mailwright_sasl::base64_decode(&text).map(|octets| octets.to_vec().into()),
        false => Some(octets),
    }
}

pub fn matches(criterion: &Criterion, mail: &Mail) -> bool {
    let contains = |text: &[u8], part: &str| {
        let text = String::from_utf8_lossy(text).to_lowercase();
        text.contains(&part.to_lowercase())
    };
    let parts = || {
        let body = mail.index.root().body();
        mail.octets.split_at(body.start as usize)
    };
    match criterion {
        Criterion::All => true,
        Criterion::Uids(uids) => uids.contains(mail.uid),
        Criterion::Flag(flag) => mail.flags.contains(flag),
        Criterion::Before(date) => mail.date.date() < *date,
        Criterion::On(date) => mail.date.date() == *date,
        Criterion::Since(date) => mail.date.date() >= *date,
        Criterion::Larger(n) => mail.octets.len() as u64 > *n,
        Criterion::Smaller(n) => (mail.octets.len() as u64) < *n,
        Criterion::Header { name, value } => {
            let names = SectionText::HeaderFields(vec![Bytes::from(name.clone())]);
            let picked = names.pick(parts().0);
            picked.len() > 2 && contains(&picked, value)
        }
        Criterion::Body(value) => contains(parts().1, value),
        Criterion::Text(value) => contains(&mail.octets, value),
        Criterion::ModSeq(n) => mail.mod_seq >= *n,
        // The clock of this backend stands at 3,600 seconds after its messages.
        Criterion::Younger(seconds) => *seconds >= 3600,
        Criterion::Older(seconds) => *seconds <= 3600,
        Criterion::EmailId(id) => id.as_str() == format!("M{}", mail.uid),
        Criterion::ThreadId(id) => id.as_str() == format!("T{}", mail.uid),
        Criterion::SavedBefore(date) => mail.date.date() < *date,
        Criterion::SavedOn(date) => mail.date.date() == *date,
        Criterion::SavedSince(date) => mail.date.date() >= *date,
        Criterion::SaveDateSupported => true,
        Criterion::Not(inner) => !matches(inner, mail),
        Criterion::Or(a, b) => matches(a, mail) || matches(b, mail),
        Criterion::And(all) => all.iter().all(|c| matches(c, mail)),
        // This backend keeps no dates of sending.
        _ => false,
    }
}
