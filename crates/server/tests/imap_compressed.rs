//! COMPRESS=DEFLATE over a socket: our client engine against the server, in both directions and with both sides talking
//! at once.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use mailwright_imap::client::{Client, Command, Config, Data, Event, Message, Messages};
use mailwright_imap::{BodyItem, FetchItem, Section, SequenceSet};
use mailwright_sasl::Credentials;
use mailwright_server::conn::{Conn, Turn};
use std::time::Duration;
use support::imap::{Site, append};
use tokio::net::TcpStream;

struct Session(Conn<Client>);

impl Session {
    async fn start(site: &Site) -> Self {
        let stream = TcpStream::connect(site.running.address("imap").unwrap())
            .await
            .unwrap();
        let mut config = Config::default();
        config.allow_plaintext = true;
        let client = Client::new(config, [7; 32], tokio::time::Instant::now().into_std());
        let mut session = Self(Conn::new(client, stream));
        session
            .done(Command::login(Credentials::new("alice@a.test", "secret")))
            .await;
        session
    }

    async fn event(&mut self) -> Event {
        let next = tokio::time::timeout(Duration::from_secs(20), self.0.next()).await;
        match next.expect("an answer in time").expect("the session goes on") {
            Turn::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a command and returns what came before its end.
    async fn done(&mut self, command: impl Into<Command>) -> Vec<Event> {
        let handle = self.0.machine().command(command);
        let mut events = Vec::new();
        loop {
            match self.event().await {
                Event::Done(done, _) if done == handle => return events,
                Event::Refused(_, reply) => panic!("{reply}"),
                Event::Unsent(_, why) => panic!("{why}"),
                event => events.push(event),
            }
        }
    }
}

#[tokio::test]
async fn a_session_goes_on_compressed() {
    let site = Site::start(|_| {}).await;
    let mut session = Session::start(&site).await;
    session.done(Command::compress()).await;
    assert!(session.0.machine().is_compressed());
    let message: String = (0..20_000)
        .map(|n| format!("line {n} of what was sent\r\n"))
        .collect();
    let message = Bytes::from(format!("Subject: long\r\n\r\n{message}"));
    let one = Message::new(message.len() as u64);
    let handle = session.0.machine().command(Command::append("INBOX", one));
    let mut left = message.clone();
    loop {
        match session.event().await {
            Event::Upload { .. } => {
                // In pieces, as they would come from a file.
                while !left.is_empty() {
                    let piece = left.split_to(left.len().min(10_000));
                    session.0.machine().upload(piece);
                    while !session.0.machine().has_room() {
                        match session.0.next().await.unwrap() {
                            Turn::Answer => {}
                            Turn::Event(event) => panic!("{event:?}"),
                            other => panic!("{other:?}"),
                        }
                    }
                }
            }
            Event::Done(done, _) if done == handle => break,
            Event::Data(..) => {}
            event => panic!("{event:?}"),
        }
    }
    session.done(Command::select("INBOX")).await;
    let all = Messages::Uids(SequenceSet::parse(b"1:*").unwrap());
    let whole = FetchItem::Section(BodyItem::new(Section::default(), None, true));
    let fetch = Command::fetch(all, &[whole]);
    let mut read = Vec::new();
    for event in session.done(fetch).await {
        if let Event::SectionData(data) = event {
            read.extend_from_slice(&data);
        }
    }
    assert!(
        read == message,
        "the message comes back as it went, {} of {}",
        read.len(),
        message.len()
    );
    // What others do is heard while it idles.
    let mut other = site.login("alice").await;
    session.0.machine().command(Command::idle());
    loop {
        match session.event().await {
            Event::Idling(_) => _ = append(&mut other, "INBOX", "Subject: x\r\n\r\nx\r\n").await,
            Event::Data(_, Data::Exists(2)) => break,
            _ => {}
        }
    }
    session.done(Command::noop()).await;
    site.stop().await;
}
