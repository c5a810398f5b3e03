//! The backend under the transcript runner.

use super::*;

/// The backend under the transcript runner.
pub struct Host {
    pub backend: Backend,
    pub config: Config,
    pub transport: Transport,
    pub preauth: bool,
    /// Commands that were given before the transcript begins; with any, it begins behind the greeting.
    pub given: Vec<String>,
}

impl Host {
    pub fn new(mailboxes: Vec<Mailbox>) -> Self {
        let mut config = Config::default();
        config.plaintext_login = true;
        config.greeting = "ready".into();
        config.capabilities = Capabilities::basic();
        Self {
            backend: Backend::new(mailboxes),
            config,
            transport: Transport::Plaintext,
            preauth: false,
            given: vec![],
        }
    }

    /// Fills INBOX: `7 messages` of the UIDs 1 to 7, or `messages 5,9` of these.
    pub fn fill(&mut self, given: &str) {
        let uids: Vec<u32> = match given.split_once(' ') {
            Some((count, "messages")) => (1..=count.parse().unwrap()).collect(),
            Some(("messages", uids)) => uids.split(',').map(|uid| uid.parse().unwrap()).collect(),
            _ => panic!("{given:?}"),
        };
        let mail = |&uid: &u32| Mail::new(uid, "\\Seen", format!("Subject: number {uid}\r\n\r\nbody\r\n"));
        self.backend.mailboxes[0] = Mailbox::new("INBOX").with_mails(uids.iter().map(mail).collect());
    }

    /// Lets the session say its greeting and answer what was given, to nobody.
    fn prepare(&mut self, server: &mut Server, now: Instant) {
        let mut given = std::mem::take(&mut self.given).into_iter();
        loop {
            match server.poll(now).unwrap() {
                Step::Event(event) => _ = self.event(server, event),
                Step::Write => server.sent(server.send_buf().len()),
                Step::Answer => self.default_answer(server),
                Step::Read => {
                    let Some(command) = given.next() else { return };
                    let line = format!("given {command}\r\n");
                    server.recv_buf()[..line.len()].copy_from_slice(line.as_bytes());
                    server.received(line.len());
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Fixture for Host {
    type Machine = Server;

    fn origin(&self) -> Instant {
        Instant::now()
    }

    fn start(&mut self, now: Instant) -> Server {
        self.backend.upload.clear();
        let config = Arc::new(self.config.clone());
        let mut server = match self.preauth {
            true => Server::preauthenticated(config, self.transport, [7; 32], now),
            false => Server::new(config, self.transport, [7; 32], now),
        };
        if !self.given.is_empty() {
            self.prepare(&mut server, now);
        }
        server
    }

    fn event(&mut self, _: &mut Server, event: Event) -> Seen {
        let seen = match &event {
            Event::AppendData(data) => Seen::Body(data.clone()),
            other => Seen::Line(format!("{other:?}")),
        };
        self.backend.event(event);
        seen
    }

    /// `A:` gives refusals, `DO:` changes behind the session's back.
    fn answer(&mut self, server: &mut Server, text: &str) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let set = || {
            let ranges = rest.split(',').map(|r| r.split_once('-').unwrap_or((r, r)));
            UidSet::from_ranges(ranges.map(|(a, b)| a.parse().unwrap()..=b.parse().unwrap()))
        };
        match word {
            "default" => self.backend.answer(server),
            "no" => {
                self.backend.question = None;
                self.backend.upload.clear();
                let coded = rest.strip_prefix('[').and_then(|it| it.split_once("] "));
                let (code, text) = coded.map_or((None, rest), |(code, text)| (code_named(code), text));
                server.reject(Rejection::new(code, text.to_owned()));
            }
            "unavailable" => {
                self.backend.question = None;
                server.answer_auth(Answer::Unavailable);
            }
            "expunged" => {
                let uids = set();
                if let Some(name) = self.backend.selected.clone() {
                    let mailbox = self.backend.mailbox(&name).unwrap();
                    mailbox.remove(&uids);
                    server.notify(Change::Expunged(uids));
                    server.notify(Change::UpTo(mailbox.highest));
                } else {
                    self.backend.mailbox("INBOX").unwrap().remove(&uids);
                }
            }
            "appended" => {
                let octets: Bytes = rest.replace("\\r\\n", "\r\n").into();
                let mailbox = self.backend.current();
                let uid = mailbox.add(Flags::new(), DateTime::new(0, 0), octets);
                server.notify(Change::Appended(UidSet::from(uid..=uid)));
                server.notify(Change::UpTo(mailbox.highest));
            }
            "flags" => {
                let (uid, flags) = rest.split_once(' ').unwrap();
                let (uid, flags) = (uid.parse().unwrap(), parse_flags(flags));
                let selected = self.backend.selected.clone();
                let name = selected.as_deref().unwrap_or("INBOX");
                let mailbox = self.backend.mailbox(name).unwrap();
                let mod_seq = Some(mailbox.next_mod_seq()).filter(|n| *n > 0);
                if let Some(m) = mailbox.mails.iter_mut().find(|m| m.uid == uid) {
                    m.flags = flags.clone();
                    m.mod_seq = mod_seq.unwrap_or(1);
                }
                if selected.is_some() {
                    server.notify(Change::Flags { uid, flags, mod_seq });
                    server.notify(Change::UpTo(mailbox.highest));
                }
            }
            // Before the default answer to the question that is open.
            "progress" => {
                let mut numbers = rest.split(' ').map(|n| n.parse().ok());
                server.in_progress(numbers.next().flatten(), numbers.next().flatten());
                self.backend.answer(server);
            }
            "notice" => extensions::notice(&self.backend, server, rest),
            "soft" => {
                server.warn_over_quota();
                self.backend.answer(server);
            }
            "forget" => self.backend.mailbox("INBOX").unwrap().gone = None,
            "no-mod-seqs" => self.backend.mailbox("INBOX").unwrap().highest = 0,
            "shutdown" => server.shutdown(rest),
            "abort" => server.abort(),
            other => panic!("unknown answer {other}"),
        }
    }

    fn default_answer(&mut self, server: &mut Server) {
        self.backend.answer(server);
    }

    fn tls_started(&mut self, server: &mut Server) {
        server.tls_started();
    }
}

/// The response code with this name, of those that a backend can give.
fn code_named(name: &str) -> Option<Code> {
    use Code::*;
    let all = [
        AlreadyExists,
        Cannot,
        Corruption,
        HasChildren,
        InUse,
        NoPerm,
        OverQuota,
        ServerBug,
        Unavailable,
        UseAttr,
    ];
    let found = all.into_iter().find(|code| code.as_str() == name);
    assert!(
        found.is_some() || name.starts_with("METADATA "),
        "unknown code {name}"
    );
    found
}
