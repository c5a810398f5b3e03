//! The client engine under the transcript runner.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // shared by tests that use a part each

use mailwright_imap::client::{
    Cached, Client, Command, Config, Data, Event, Fetch, List, Message, Messages, ReplyKind, Row, Search,
    SearchKey, Select, SortKey, Store,
};
use mailwright_imap::{
    BodyItem, BodyStructure, DateTime, FetchItem, Flag, Flags, PartKind, Section, SectionText, SequenceSet,
    StatusItem, StoreAction, UidSet,
};
use mailwright_sasl::{Credentials, Mechanism};
use mailwright_wire::testing::{Fixture, Seen};
use mailwright_wire::{Machine, Step};
use std::time::Instant;

pub struct Host {
    pub config: Config,
    pub tls: bool,
    /// What the server said before the transcript begins.
    pub given: Option<String>,
    /// What is left of the message that is being uploaded.
    upload: Vec<u8>,
}

impl Host {
    pub fn new() -> Self {
        let mut config = Config::default();
        config.allow_plaintext = true;
        Self {
            config,
            tls: false,
            given: None,
            upload: Vec::new(),
        }
    }
}

fn text(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

fn maybe(octets: Option<&bytes::Bytes>) -> String {
    octets.map_or("NIL".into(), |o| text(o))
}

fn addresses(list: &[mailwright_imap::Address]) -> String {
    let one = |a: &mailwright_imap::Address| {
        format!(
            "{}|{}@{}",
            maybe(a.name.as_ref()),
            maybe(a.mailbox.as_ref()),
            maybe(a.host.as_ref())
        )
    };
    list.iter().map(one).collect::<Vec<_>>().join(" ")
}

pub fn structure(body: &BodyStructure) -> String {
    let params = |p: &[(bytes::Bytes, bytes::Bytes)]| {
        p.iter()
            .map(|(k, v)| format!(";{}={}", text(k), text(v)))
            .collect::<String>()
    };
    match body {
        BodyStructure::Multipart(m) => format!(
            "{}{}[{}]",
            text(&m.subtype),
            params(&m.params),
            m.parts.iter().map(structure).collect::<Vec<_>>().join(", ")
        ),
        BodyStructure::Part(p) => {
            let mut s = format!(
                "{}/{}{} {}",
                text(&p.media_type),
                text(&p.subtype),
                params(&p.params),
                p.octets
            );
            match &p.kind {
                PartKind::Text { lines } => s.push_str(&format!(" {lines} lines")),
                PartKind::Message { envelope, body, .. } => s.push_str(&format!(
                    " <{}: {}>",
                    maybe(envelope.subject.as_ref()),
                    structure(body)
                )),
                PartKind::Basic => {}
            }
            if let Some(d) = &p.fields.disposition {
                s.push_str(&format!(" {}{}", text(&d.kind), params(&d.params)));
            }
            s
        }
    }
}

fn row(row: &Row) -> String {
    let mut s = format!("row {}", row.seq);
    let mut put = |name: &str, value: String| s.push_str(&format!(" {name}={value}"));
    if let Some(uid) = row.uid {
        put("uid", uid.to_string());
    }
    if let Some(flags) = &row.flags {
        put(
            "flags",
            format!("({flags}{})", if row.recent { " +recent" } else { "" }),
        );
    }
    if !row.odd_flags.is_empty() {
        put(
            "odd",
            row.odd_flags
                .iter()
                .map(|f| text(f))
                .collect::<Vec<_>>()
                .join(","),
        );
    }
    if let Some(date) = row.internal_date {
        put("date", format!("\"{date}\""));
    }
    if let Some(size) = row.size {
        put("size", size.to_string());
    }
    if let Some(modseq) = row.mod_seq {
        put("modseq", modseq.to_string());
    }
    if let Some(e) = &row.envelope {
        let lists = [("from", &e.from), ("to", &e.to), ("cc", &e.cc)];
        let lists: String = lists
            .iter()
            .filter(|(_, l)| !l.is_empty())
            .map(|(n, l)| format!(" {n}={}", addresses(l)))
            .collect();
        put(
            "envelope",
            format!(
                "[{}{lists} id={}]",
                maybe(e.subject.as_ref()),
                maybe(e.message_id.as_ref())
            ),
        );
    }
    if let Some(body) = &row.body_structure {
        put("body", structure(body));
    }
    for (name, value) in [
        ("email", &row.email_id),
        ("thread", &row.thread_id),
        ("preview", &row.preview),
    ] {
        if let Some(value) = value {
            put(name, text(value));
        }
    }
    if let Some(date) = row.save_date {
        put("saved", format!("\"{date}\""));
    }
    for (part, size) in &row.binary_sizes {
        put("binary", format!("{part:?}:{size}"));
    }
    for raw in &row.raw {
        put("raw", format!("<{} {}>", text(&raw.name), text(&raw.octets)));
    }
    s
}

pub fn data(data: &Data) -> String {
    match data {
        Data::Exists(n) => format!("exists {n}"),
        Data::Recent(n) => format!("recent {n}"),
        Data::Expunged(n) => format!("expunged {n}"),
        Data::Vanished { earlier, uids } => {
            format!("vanished{} {uids}", if *earlier { " earlier" } else { "" })
        }
        Data::Row(r) => row(r),
        Data::Raw(octets) => format!("raw {}", text(octets)),
        Data::List(l) => format!(
            "{} {} {:?} ({}){}",
            if l.is_lsub { "lsub" } else { "list" },
            l.mailbox,
            l.delimiter.unwrap_or(' '),
            l.attributes.join(" "),
            text(&l.extended),
        ),
        Data::Selected(s) => format!(
            "selected exists={} recent={} flags=({}) permanent={} validity={:?} next={:?} unseen={:?} modseq={:?}{}",
            s.exists,
            s.recent,
            s.flags,
            s.permanent_flags.as_ref().map_or("?".into(), |(f, open)| format!(
                "({f}{})",
                if *open { " *" } else { "" }
            )),
            s.uid_validity.map_or(0, std::num::NonZero::get),
            s.uid_next.map_or(0, std::num::NonZero::get),
            s.unseen.unwrap_or(0),
            s.highest_mod_seq.unwrap_or(0),
            if s.read_only { " read-only" } else { "" },
        ),
        Data::Search(s) => format!(
            "search{} all={} min={:?} max={:?} count={:?} modseq={:?}{}",
            if s.uid { " uids" } else { "" },
            s.all,
            s.min,
            s.max,
            s.count,
            s.mod_seq,
            s.order.as_ref().map_or(String::new(), |order| {
                let told = order.ranges().iter().map(|it| match it.start() == it.end() {
                    true => it.start().to_string(),
                    false => format!("{}:{}", it.start(), it.end()),
                });
                format!(" order={}", told.collect::<Vec<_>>().join(","))
            }),
        ),
        Data::Status(s) => {
            let mut t = format!("status {}", s.mailbox);
            let i = &s.status;
            for (name, value) in [
                ("messages", i.messages),
                ("unseen", i.unseen),
                ("recent", i.recent),
                ("deleted", i.deleted),
                ("next", i.uid_next.map(std::num::NonZero::get)),
                ("validity", i.uid_validity.map(std::num::NonZero::get)),
            ] {
                if let Some(value) = value {
                    t.push_str(&format!(" {name}={value}"));
                }
            }
            if let Some(size) = i.size {
                t.push_str(&format!(" size={size}"));
            }
            if let Some(modseq) = s.status.highest_mod_seq {
                t.push_str(&format!(" modseq={modseq}"));
            }
            for (name, value) in &s.other {
                t.push_str(&format!(" {}={}", text(name), text(value)));
            }
            t
        }
        Data::Copied(c) => format!(
            "copied {} {}",
            c.uid_validity,
            c.pairs()
                .map(|(a, b)| format!("{a}>{b}"))
                .collect::<Vec<_>>()
                .join(" ")
        ),
        Data::Appended(a) => format!("appended {} {}", a.uid_validity, a.uids.to_set()),
        Data::Threads(nodes) => format!(
            "threads {}",
            nodes
                .iter()
                .map(|n| format!(
                    "{}{}",
                    "-".repeat(n.depth as usize),
                    n.message.map_or(0, std::num::NonZero::get)
                ))
                .collect::<Vec<_>>()
                .join(" ")
        ),
        Data::Namespaces(kinds) => format!(
            "namespaces {}",
            kinds
                .iter()
                .map(|k| k
                    .iter()
                    .map(|n| format!("{:?}{}", n.prefix.name(), n.delimiter.unwrap_or(' ')))
                    .collect::<Vec<_>>()
                    .join(" "))
                .collect::<Vec<_>>()
                .join(" / ")
        ),
        other => format!("{other:?}"),
    }
}

/// What the event looks like in a transcript; `None` for what belongs to a body.
pub fn seen(event: Event) -> Seen {
    Seen::Line(match event {
        Event::Greeting(reply) => format!("greeting {:?}: {reply}", reply.kind),
        Event::Capabilities(c) => format!("capabilities {}", c.iter().collect::<Vec<_>>().join(" ")),
        Event::Data(handle, d) => format!("{}{}", number(handle), data(&d)),
        Event::Section(head) => format!(
            "{}section {} of {}{} {}{}{}",
            number(head.handle),
            text(&head.name),
            head.seq,
            head.uid.map_or(String::new(), |u| format!(" uid {u}")),
            head.len.map_or("NIL".into(), |n| n.to_string()),
            head.origin.map_or(String::new(), |o| format!(" from {o}")),
            if head.section.is_none() { " ?" } else { "" },
        ),
        Event::SectionData(octets) => return Seen::Body(octets),
        Event::SectionEnd => "end of section".into(),
        Event::Upload { handle, message } => format!("{}upload {message}", number(Some(handle))),
        Event::Idling(handle) => format!("{}idling", number(Some(handle))),
        Event::Done(handle, reply) => format!("{}done: {reply}", number(Some(handle))),
        Event::Refused(handle, reply) => format!(
            "{}refused {:?}{}: {reply}",
            number(Some(handle)),
            reply.kind,
            reply.code.as_ref().map_or(String::new(), |c| format!(" {c:?}")),
        ),
        Event::Unsent(handle, why) => format!("{}unsent: {why}", number(Some(handle))),
        Event::Resynced(handle, r) => format!(
            "{}resynced by {:?}: drop {} fetch {} validity {:?} modseq {:?}",
            number(Some(handle)),
            r.method,
            r.drop,
            r.fetch,
            r.uid_validity.map_or(0, std::num::NonZero::get),
            r.highest_mod_seq.unwrap_or(0),
        ),
        Event::Notice(reply) => format!(
            "notice {:?}{}: {reply}",
            reply.kind,
            if reply.is_alert() { " alert" } else { "" }
        ),
        Event::Bye(reply) => {
            assert_eq!(reply.kind, ReplyKind::Bye);
            format!("bye: {reply}")
        }
        other => format!("{other:?}"),
    })
}

/// Handles count from 1.
fn number(handle: Option<mailwright_imap::client::Handle>) -> String {
    let Some(handle) = handle else {
        return String::new();
    };
    let debug = format!("{handle:?}");
    format!("#{} ", debug.trim_start_matches("Handle(").trim_end_matches(')'))
}

fn items(words: &[&str]) -> Vec<FetchItem> {
    let section = |text: SectionText, part: &[u32]| {
        let part = part.iter().map(|n| (*n).try_into().unwrap()).collect();
        FetchItem::Section(BodyItem::new(Section { part, text }, None, true))
    };
    words
        .iter()
        .map(|word| match *word {
            "flags" => FetchItem::Flags,
            "date" => FetchItem::InternalDate,
            "size" => FetchItem::Size,
            "envelope" => FetchItem::Envelope,
            "structure" => FetchItem::BodyStructure,
            "body" => section(SectionText::All, &[]),
            "header" => section(SectionText::Header, &[]),
            "text" => section(SectionText::Text, &[]),
            "1" => section(SectionText::All, &[1]),
            "2" => section(SectionText::All, &[2]),
            other => panic!("unknown item {other}"),
        })
        .collect()
}

pub fn uids(set: &str) -> Messages {
    Messages::Uids(SequenceSet::parse(set.as_bytes()).unwrap())
}

pub fn flags(list: &str) -> Flags {
    list.split(',').filter_map(Flag::parse).collect()
}

pub fn set(list: &str) -> UidSet {
    let ranges = list.split(',').filter(|r| !r.is_empty()).map(|r| {
        let (a, b) = r.split_once(':').unwrap_or((r, r));
        a.parse().unwrap()..=b.parse().unwrap()
    });
    UidSet::from_ranges(ranges)
}

fn status_items(words: &[&str]) -> Vec<StatusItem> {
    words
        .iter()
        .map(|w| match *w {
            "messages" => StatusItem::Messages,
            "unseen" => StatusItem::Unseen,
            "next" => StatusItem::UidNext,
            "size" => StatusItem::Size,
            other => panic!("unknown item {other}"),
        })
        .collect()
}

/// The command that a line of a transcript means.
pub fn command(line: &str) -> Command {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["noop"] => Command::noop(),
        ["check"] => Command::check(),
        ["capability"] => Command::capability(),
        ["starttls"] => Command::start_tls(),
        ["compress"] => Command::compress(),
        ["login", user, password] => Command::login(Credentials::new(user, password)),
        ["auth", mechanism, user, password] => Command::authenticate(
            Mechanism::from_name(mechanism).unwrap(),
            Credentials::new(user, password),
        ),
        ["logout"] => Command::logout(),
        ["enable", ref names @ ..] => Command::enable(names),
        ["id"] => Command::id(&[]),
        ["id", name, value] => Command::id(&[(name, value)]),
        ["namespace"] => Command::namespace(),
        ["select", ref name @ ..] => Command::select(name.join(" ")),
        ["examine", name] => Command::examine(name),
        ["condstore", name] => Select::new(name).condstore().into(),
        ["qresync", name, validity, modseq, known] => Select::new(name)
            .qresync(validity.parse().unwrap(), modseq.parse().unwrap(), &set(known))
            .into(),
        ["create", name] => Command::create(name, &[]),
        ["create", name, special] => {
            Command::create(name, &[mailwright_imap::SpecialUse::parse(special).unwrap()])
        }
        ["delete", name] => Command::delete(name),
        ["rename", from, to] => Command::rename(from, to),
        ["subscribe", name] => Command::subscribe(name),
        ["unsubscribe", name] => Command::unsubscribe(name),
        ["list", pattern] => Command::list(pattern),
        ["list-status", pattern] => List::new(pattern)
            .only_subscribed()
            .with_children()
            .with_special_use()
            .with_status(&[StatusItem::Messages, StatusItem::Unseen])
            .into(),
        ["list-two", a, b] => List::new(a).or(b).only_special_use().with_subscribed().into(),
        ["lsub", pattern] => Command::lsub(pattern),
        ["status", name, ref items @ ..] => Command::status(name, &status_items(items)),
        ["close"] => Command::close(),
        ["unselect"] => Command::unselect(),
        ["expunge"] => Command::expunge(),
        ["expunge", set] => Command::uid_expunge(&SequenceSet::parse(set.as_bytes()).unwrap()),
        ["fetch", set, ref i @ ..] => Command::fetch(uids(set), &items(i)),
        ["fetch-seq", set, ref i @ ..] => Command::fetch(
            Messages::Seqs(SequenceSet::parse(set.as_bytes()).unwrap()),
            &items(i),
        ),
        ["fetch-since", set, modseq, ref i @ ..] => Fetch::new(uids(set), &items(i))
            .changed_since(modseq.parse().unwrap())
            .into(),
        ["fetch-vanished", set, modseq, ref i @ ..] => Fetch::new(uids(set), &items(i))
            .changed_since(modseq.parse().unwrap())
            .vanished()
            .into(),
        ["store", set, list] => Store::new(uids(set), StoreAction::Add, flags(list)).into(),
        ["store-silent", set, list] => Store::new(uids(set), StoreAction::Remove, flags(list))
            .silent()
            .into(),
        ["store-unchanged", set, modseq, list] => Store::new(uids(set), StoreAction::Replace, flags(list))
            .unchanged_since(modseq.parse().unwrap())
            .into(),
        ["copy", set, name] => Command::copy(&uids(set), name),
        ["move", set, name] => Command::move_to(&uids(set), name),
        ["search", "text", word] => Command::search(vec![SearchKey::Text(word.to_owned().into())]),
        ["search"] => Command::search(vec![]),
        ["esearch"] => Search::new(vec![SearchKey::Lacks(Flag::Seen)])
            .min()
            .max()
            .count()
            .all()
            .into(),
        ["search-save"] => Search::new(vec![SearchKey::Has(Flag::Flagged)]).save().into(),
        ["sort"] => Command::sort(&[(SortKey::Subject, false), (SortKey::Date, true)], vec![]),
        ["thread"] => Command::thread_references(vec![SearchKey::Larger(10)]),
        ["thread-subject"] => Command::thread_ordered_subject(vec![]),
        ["append", name, size] => Command::append(name, Message::new(size.parse().unwrap())),
        ["append", name, size, list] => {
            let mut message = Message::new(size.parse().unwrap());
            message.flags = flags(list);
            message.internal_date = Some(DateTime::new(837_596_665, -420));
            Command::append(name, message)
        }
        ["append-binary", name, size] => {
            let mut message = Message::new(size.parse().unwrap());
            message.binary = true;
            Command::append(name, message)
        }
        ["append-all", name, ref sizes @ ..] => Command::append_all(
            name,
            sizes.iter().map(|s| Message::new(s.parse().unwrap())).collect(),
        ),
        ["idle"] => Command::idle(),
        ["notify", ref rest @ ..] => Command::notify(&rest.join(" ")).unwrap(),
        ["quota", root] => Command::get_quota(root.as_bytes()),
        ["quotaroot", name] => Command::get_quota_root(name),
        ["set-quota", root, n] => {
            Command::set_quota(root.as_bytes(), &[("STORAGE", n.parse().unwrap())]).unwrap()
        }
        ["acl", name] => Command::get_acl(name),
        ["set-acl", name, who, rights] => Command::set_acl(name, who.as_bytes(), rights),
        ["delete-acl", name, who] => Command::delete_acl(name, who.as_bytes()),
        ["rights", name, who] => Command::list_rights(name, who.as_bytes()),
        ["my-rights", name] => Command::my_rights(name),
        ["metadata", name, entry] => Command::get_metadata(name, &[entry]),
        ["set-metadata", name, entry, value] => {
            Command::set_metadata(name, &[(entry, Some(value.as_bytes()))])
        }
        ["raw", ref rest @ ..] => Command::raw(&rest.join(" ")).unwrap(),
        _ => panic!("unknown command {line:?}"),
    }
}

impl Fixture for Host {
    type Machine = Client;

    #[allow(clippy::disallowed_methods)] // a test brings the clock
    fn origin(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, now: Instant) -> Client {
        let client = Client::new(self.config.clone(), [2; 32], now);
        let mut client = if self.tls { client.over_tls() } else { client };
        if let Some(given) = &self.given {
            client.recv_buf()[..given.len()].copy_from_slice(given.as_bytes());
            client.received(given.len());
            while let Step::Event(_) = client.poll(now).unwrap() {}
        }
        client
    }

    fn event(&mut self, _: &mut Client, event: Event) -> Seen {
        if let Event::Upload { .. } = event {
            self.upload =
                b"From: bob\r\nSubject: a message of which the test takes the front\r\n\r\nbody\r\n".to_vec();
        }
        seen(event)
    }

    fn answer(&mut self, client: &mut Client, text: &str) {
        for line in text.split("; ") {
            match line {
                "stop" => client.stop_idle(),
                "abort" => client.abort(),
                line if line.starts_with("resync ") => {
                    let words: Vec<_> = line.split(' ').collect();
                    let modseq = words[3].parse().ok().filter(|n| *n > 0);
                    let cached = Cached::new(words[2].parse().unwrap(), modseq, set(words[4]));
                    client.resync(words[1], cached);
                }
                line => _ = client.command(command(line)),
            }
        }
    }

    /// Gives a message in pieces of seven octets.
    fn default_answer(&mut self, client: &mut Client) {
        let n = self.upload.len().min(7).min(client.upload_left() as usize);
        assert!(n > 0, "nothing is owed");
        client.upload(self.upload.drain(..n).collect::<Vec<_>>().into());
    }

    fn tls_started(&mut self, client: &mut Client) {
        client.tls_started();
    }
}
