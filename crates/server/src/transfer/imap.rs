//! A live IMAP account as a source (RFC 9051, RFC 3501).

use super::TransferError;
use super::source::{Ended, Folder, Item, Piece, Sink};
use crate::conn::{Conn, Turn};
use crate::imap::convert::flags_from_imap;
use crate::{Stream, random};
use mailwright_imap::client::{
    Client, Command, Config, Data, Event, ListRow, Messages, Reply, Row, Selected,
};
use mailwright_imap::{BodyItem, FetchItem, Section, SectionText, SequenceSet};
use mailwright_mailbox::{BlobHash, MailboxName, Uid, UidValidity};
use mailwright_sasl::{Credentials, Secret};
use rustls::pki_types::ServerName;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An account on another server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImapAccount {
    /// The name of the server, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way to it is protected.
    pub security: TransportSecurity,
    /// The login name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// How the way to another server is protected.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TransportSecurity {
    /// TLS at once; port 993.
    Implicit(Arc<rustls::ClientConfig>),
    /// STARTTLS, which must be there; port 143.
    Starttls(Arc<rustls::ClientConfig>),
    /// Not at all, the password included: for a server on this machine.
    None,
}

/// Why reading stopped.
enum Stop {
    /// Nobody wants more.
    Ended,
    /// The server, or the way to it.
    Failed(String),
}

impl From<Ended> for Stop {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl ImapAccount {
    /// How long it may take to reach the server.
    const CONNECT: Duration = Duration::from_secs(60);

    /// Names an account.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        security: TransportSecurity,
        user: impl Into<String>,
        password: Secret,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            security,
            user: user.into(),
            password,
        }
    }

    /// The name of the note, on a mailbox here, of how far it has come with the one there.
    pub(super) fn mark(&self) -> String {
        let source = format!("{}:{}/{}", self.host.to_lowercase(), self.port, self.user);
        let hash = BlobHash::of(source.as_bytes()).to_string();
        format!("/private/vendor/mailwright/import/{}", &hash[..16])
    }

    /// Gives all messages behind those that are done: UIDVALIDITY and highest UID.
    pub(super) async fn read(
        &self,
        done: impl Fn(&MailboxName) -> Option<(u32, u32)>,
        sink: Sink,
    ) -> Result<(), Ended> {
        match self.run(&done, &sink).await {
            Ok(()) => Ok(()),
            Err(Stop::Ended) => Err(Ended),
            Err(Stop::Failed(what)) => {
                let server = format!("{}:{}", self.host, self.port);
                sink.pass(Piece::Failed(TransferError::Server { server, what }))
                    .await
            }
        }
    }

    async fn run(&self, done: &impl Fn(&MailboxName) -> Option<(u32, u32)>, sink: &Sink) -> Result<(), Stop> {
        let mut session = self.log_in().await?;
        let mut rows: Vec<ListRow> = Vec::new();
        session
            .run(Command::list("*"), async |event| {
                if let Event::Data(_, Data::List(row)) = event {
                    rows.push(*row);
                }
                Ok(())
            })
            .await?;
        let mut subscribed = Vec::new();
        session
            .run(Command::lsub("*"), async |event| {
                if let Event::Data(_, Data::List(row)) = event {
                    subscribed.push(*row);
                }
                Ok(())
            })
            .await?;
        for row in rows.iter().filter(|row| row.is_selectable()) {
            let Some(name) = name(row) else {
                let what = format!("mailbox {}", row.mailbox);
                let why = "its name cannot be that of a mailbox here".to_owned();
                sink.pass(Piece::Skipped { what, why }).await?;
                continue;
            };
            session.mailbox(row, name, self.mark(), done, sink).await?;
        }
        for name in subscribed.iter().filter_map(name) {
            sink.pass(Piece::Subscribed(name)).await?;
        }
        session.log_out().await;
        Ok(())
    }

    async fn log_in(&self) -> Result<Session, Stop> {
        let failed = |error: std::io::Error| Stop::Failed(error.to_string());
        let connect = TcpStream::connect((&*self.host, self.port));
        let tcp = timeout(Self::CONNECT, connect)
            .await
            .map_err(|_| Stop::Failed("no answer".into()))?
            .map_err(failed)?;
        let name =
            ServerName::try_from(self.host.clone()).map_err(|error| Stop::Failed(error.to_string()))?;
        let mut config = Config::default();
        config.allow_plaintext = matches!(self.security, TransportSecurity::None);
        let now = tokio::time::Instant::now().into_std();
        let mut client = Client::new(config, random::entropy(), now);
        let mut stream = Stream::from(tcp);
        if let TransportSecurity::Implicit(tls) = &self.security {
            stream = stream
                .connect_tls(tls.clone(), name.clone(), Conn::<Client>::TLS_TIMEOUT)
                .await
                .map_err(failed)?;
            client = client.over_tls();
            client.bind_channel(stream.channel_bindings());
        }
        let mut conn = Conn::new(client, stream);
        if let TransportSecurity::Starttls(tls) = &self.security {
            conn = start_tls(conn, tls, name).await?;
        }
        let mut session = Session { conn };
        let credentials = Credentials::new(self.user.clone(), self.password.clone());
        session.run(Command::login(credentials), async |_| Ok(())).await?;
        Ok(session)
    }
}

/// A session, logged in.
struct Session {
    conn: Conn<Client>,
}

impl Session {
    /// Runs a command to its end, and gives what is told meanwhile.
    async fn run(
        &mut self,
        command: impl Into<Command>,
        mut told: impl AsyncFnMut(Event) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let handle = self.conn.machine().command(command);
        loop {
            match self.conn.next().await {
                Ok(Turn::Event(Event::Done(it, _))) if it == handle => return Ok(()),
                Ok(Turn::Event(Event::Refused(it, reply))) if it == handle => {
                    return Err(Stop::Failed(format!("the server refuses: {reply}")));
                }
                Ok(Turn::Event(Event::Unsent(it, why))) if it == handle => {
                    return Err(Stop::Failed(why.to_string()));
                }
                Ok(Turn::Event(Event::Bye(reply))) => return Err(bye(&reply)),
                Ok(Turn::Event(event)) => told(event).await?,
                // Nothing is uploaded, and TLS was begun before.
                Ok(Turn::Answer | Turn::StartTls) => {}
                Ok(Turn::Close) => return Err(Stop::Failed("the server closed the connection".into())),
                Err(error) => return Err(Stop::Failed(error.to_string())),
            }
        }
    }

    async fn log_out(mut self) {
        // All is read: how the server says goodbye does not matter.
        let _ = self.run(Command::logout(), async |_| Ok(())).await;
        self.conn.close().await;
    }

    async fn mailbox(
        &mut self,
        row: &ListRow,
        name: MailboxName,
        mark: String,
        done: &impl Fn(&MailboxName) -> Option<(u32, u32)>,
        sink: &Sink,
    ) -> Result<(), Stop> {
        let mut selected: Option<Selected> = None;
        let examined = self
            .run(Command::examine(row.mailbox.clone()), async |event| {
                if let Event::Data(_, Data::Selected(it)) = event {
                    selected = Some(*it);
                }
                Ok(())
            })
            .await;
        let selected = match (examined, selected) {
            (Ok(()), Some(selected)) => selected,
            (Err(Stop::Failed(why)), _) if why.starts_with("the server refuses") => {
                let what = format!("mailbox {}", row.mailbox);
                return Ok(sink.pass(Piece::Skipped { what, why }).await?);
            }
            (Err(stop), _) => return Err(stop),
            (Ok(()), None) => return Err(Stop::Failed(format!("nothing is told of {}", row.mailbox))),
        };
        let uid_validity = selected
            .uid_validity
            .filter(|_| !selected.uid_not_sticky)
            .and_then(|it| UidValidity::new(it.get()));
        let from = match (uid_validity, done(&name)) {
            (Some(validity), Some((known, uid))) if known == validity.value() => uid,
            _ => 0,
        };
        sink.pass(Piece::Folder(Folder {
            name,
            uid_validity,
            uid_next: selected.uid_next.and_then(|it| Uid::new(it.get())),
            mark: Some(mark),
            goes_on: from > 0,
        }))
        .await?;
        let Some(first) = from.checked_add(1).filter(|_| selected.exists > 0) else {
            return Ok(());
        };
        // `N:*` is at least the last message, even if its UID is lower: it is passed over then.
        let uids = SequenceSet::parse(format!("{first}:*").as_bytes());
        let Some(uids) = uids else { return Ok(()) };
        let all = Section {
            part: Vec::new(),
            text: SectionText::All,
        };
        let items = [
            FetchItem::Flags,
            FetchItem::InternalDate,
            FetchItem::Section(BodyItem::new(all, None, true)),
        ];
        let mut reading = Reading {
            mailbox: row.mailbox.to_string(),
            above: from,
            open: None,
        };
        let fetch = Command::fetch(Messages::Uids(uids), &items);
        self.run(fetch, async |event| {
            reading.event(event, sink).await.map_err(Stop::from)
        })
        .await
    }
}

/// A FETCH that is being answered.
struct Reading {
    mailbox: String,
    /// Messages up to this UID are done.
    above: u32,
    /// A section that comes, and whether it is wanted.
    open: Option<bool>,
}

impl Reading {
    async fn event(&mut self, event: Event, sink: &Sink) -> Result<(), Ended> {
        match event {
            Event::Section(head) => {
                let is_old = head.uid.is_some_and(|uid| uid <= self.above);
                let is_wanted = !is_old && head.len.is_some() && self.open.is_none();
                self.open = Some(is_wanted);
                if is_wanted {
                    let uid = head
                        .uid
                        .map_or_else(|| format!("number {}", head.seq), |it| format!("UID {it}"));
                    let name = format!("{}, {uid}", self.mailbox);
                    sink.pass(Piece::Message(name)).await?;
                }
                Ok(())
            }
            Event::SectionData(octets) if self.open == Some(true) => sink.pass(Piece::Octets(octets)).await,
            Event::Data(Some(_), Data::Row(row)) => self.row(*row, sink).await,
            _ => Ok(()),
        }
    }

    async fn row(&mut self, row: Row, sink: &Sink) -> Result<(), Ended> {
        let is_old = row.uid.is_some_and(|uid| uid <= self.above);
        match self.open.take() {
            Some(true) if is_old => sink.pass(Piece::Known).await,
            Some(true) => {
                let flags = row.flags.as_ref().map(flags_from_imap);
                sink.pass(Piece::End(Item {
                    uid: row.uid.and_then(Uid::new),
                    flags: flags.unwrap_or_default(),
                    internal_date: row.internal_date.map(mailwright_imap::DateTime::unix),
                }))
                .await
            }
            // What the server tells of its own accord has flags alone, and no section.
            None if row.internal_date.is_none() => Ok(()),
            _ if is_old => Ok(()),
            _ => {
                let uid = row
                    .uid
                    .map_or_else(|| "a message".to_owned(), |uid| format!("UID {uid}"));
                let what = format!("{}, {uid}", self.mailbox);
                let why = "the server gives nothing of it".to_owned();
                sink.pass(Piece::Skipped { what, why }).await
            }
        }
    }
}

/// Asks for TLS, and goes on under it.
async fn start_tls(
    mut conn: Conn<Client>,
    tls: &Arc<rustls::ClientConfig>,
    name: ServerName<'static>,
) -> Result<Conn<Client>, Stop> {
    let handle = conn.machine().command(Command::start_tls());
    loop {
        match conn.next().await {
            Ok(Turn::StartTls) => {
                conn = conn
                    .connect_tls(tls.clone(), name.clone())
                    .await
                    .map_err(|error| Stop::Failed(error.to_string()))?;
                let bindings = conn.stream().channel_bindings();
                conn.machine().tls_started();
                conn.machine().bind_channel(bindings);
            }
            Ok(Turn::Event(Event::Done(it, _))) if it == handle => return Ok(conn),
            Ok(Turn::Event(Event::Refused(it, reply))) if it == handle => {
                return Err(Stop::Failed(format!("the server refuses TLS: {reply}")));
            }
            Ok(Turn::Event(Event::Unsent(it, why))) if it == handle => {
                return Err(Stop::Failed(why.to_string()));
            }
            Ok(Turn::Event(Event::Bye(reply))) => return Err(bye(&reply)),
            Ok(Turn::Event(_) | Turn::Answer) => {}
            Ok(Turn::Close) => return Err(Stop::Failed("the server closed the connection".into())),
            Err(error) => return Err(Stop::Failed(error.to_string())),
        }
    }
}

/// The name of a mailbox there, as it is here.
fn name(row: &ListRow) -> Option<MailboxName> {
    let name = row.mailbox.name();
    let name = match row.delimiter {
        Some(MailboxName::SEPARATOR) => name.to_owned(),
        // A slash is no delimiter there, and would be one here.
        Some(delimiter) => name.replace(MailboxName::SEPARATOR, "_").replace(delimiter, "/"),
        None => name.replace(MailboxName::SEPARATOR, "_"),
    };
    MailboxName::parse(&name).ok()
}

fn bye(reply: &Reply) -> Stop {
    Stop::Failed(format!("the server ends the session: {reply}"))
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("Ended"),
            Self::Failed(what) => write!(f, "Failed({what})"),
        }
    }
}
