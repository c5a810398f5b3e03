//! A POP3 client on a blocking socket, logged in.

use crate::imap::{Account, Refused, Trust};
use crate::net::{Conn, Fallible, Socket, Turn, client_tls};
use mailwright_pop3::client::{Capabilities, Client, Command, Config, Event};
use mailwright_pop3::{Error, Reply};
use mailwright_sasl as sasl;
use mailwright_sasl::{ChannelBindings, Credentials};
use rustls::pki_types::ServerName;
use std::time::{Duration, Instant};

/// Reads where a maildrop is, and whose: `pop3s://bob@mail.example.org`; `pop3://` means STLS.
///
/// # Errors
///
/// What is wrong with it, for the person who wrote it.
pub fn account(text: &str) -> Result<Account, String> {
    Account::read(text, ("pop3s", 995), ("pop3", 110))
}

/// A connection that is logged in.
#[derive(Debug)]
pub struct Session {
    conn: Conn<Client>,
    capabilities: Capabilities,
}

impl Session {
    /// Connects, and logs in: under TLS, with the best mechanism that the server offers, in UTF-8 mode if it has one.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, is not who it should be, or does not let the user in.
    pub fn open(account: &Account, password: &str, trust: &Trust) -> Fallible<Self> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy)?;
        let mut config = Config::default();
        config.allow_plaintext = trust.in_clear;
        let address = format!("{}:{}", account.host, account.port);
        let socket = Socket::connect(&address, Duration::from_secs(120))?;
        let mut client = Client::new(config, entropy, Instant::now());
        if account.tls_first {
            client = client.over_tls();
        }
        let host = account
            .host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name: ServerName<'static> = host
            .try_into()
            .map_err(|_| format!("{address}: no name to verify"))?;
        let mut session = Self {
            conn: Conn::new(client, socket),
            capabilities: Capabilities::default(),
        };
        session
            .prepare(account, name, trust)
            .map_err(|e| format!("{address}: {e}"))?;
        session
            .log_in(&Credentials::new(account.user.as_str(), password))
            .map_err(|e| format!("{account}: {e}"))?;
        Ok(session)
    }

    /// What the server can do, as it said before the login.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Queues a command, whose events will come.
    ///
    /// # Errors
    ///
    /// If it must not be sent.
    pub fn queue(&mut self, command: Command) -> Result<(), Error> {
        self.conn.machine.command(command)
    }

    /// What happens next; `None` at the end.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub fn event(&mut self) -> Fallible<Option<Event>> {
        match self.conn.turn()? {
            Turn::Event(event) => Ok(Some(event)),
            Turn::StartTls => Err("TLS was not asked for".into()),
            Turn::Close => Ok(None),
        }
    }

    /// Runs a command to its end; returns the server's last word, and tells `told` what came before.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the server says no; others if the connection is lost.
    pub fn run(&mut self, what: &str, command: Command, mut told: impl FnMut(Event)) -> Fallible<Reply> {
        self.queue(command)?;
        loop {
            match self.event()? {
                Some(Event::Done(reply)) => return Ok(reply),
                Some(Event::Refused(reply)) => return Err(Refused::new(what, reply).into()),
                Some(event) => told(event),
                None => return Err("the server closed the connection".into()),
            }
        }
    }

    /// As far as the login: greeting, capabilities, TLS.
    fn prepare(&mut self, account: &Account, name: ServerName<'static>, trust: &Trust) -> Fallible<()> {
        if account.tls_first {
            self.start_tls(name.clone(), trust)?;
        }
        while !matches!(self.event()?, Some(Event::Greeting(_))) {}
        self.ask_capabilities()?;
        if !account.tls_first {
            self.queue(Command::Stls)?;
            loop {
                match self.conn.turn()? {
                    Turn::StartTls => {
                        self.start_tls(name, trust)?;
                        self.conn.machine.tls_started();
                        break;
                    }
                    Turn::Event(Event::Refused(_)) if trust.in_clear => return Ok(()),
                    Turn::Event(Event::Refused(why)) => {
                        return Err(format!(
                            "the server does not do STLS ({why}); use pop3s://, or --in-clear to do without TLS"
                        )
                        .into());
                    }
                    Turn::Event(_) => {}
                    Turn::Close => return Err("the server closed the connection".into()),
                }
            }
            // The end of STLS, and what counts behind it.
            while !matches!(self.event()?, Some(Event::Done(_))) {}
            self.ask_capabilities()?;
        }
        Ok(())
    }

    fn start_tls(&mut self, name: ServerName<'static>, trust: &Trust) -> Fallible<()> {
        let config = client_tls(trust.authorities.as_deref())?;
        self.conn.connect_tls(config, name)
    }

    /// A server without CAPA has none.
    fn ask_capabilities(&mut self) -> Fallible<()> {
        let mut found = Capabilities::default();
        let asked = self.run("CAPA", Command::Capa, |event| {
            if let Event::Capabilities(capabilities) = event {
                found = capabilities;
            }
        });
        match asked {
            Err(error) if !error.is::<Refused>() => Err(error),
            _ => {
                self.capabilities = found;
                Ok(())
            }
        }
    }

    fn log_in(&mut self, credentials: &Credentials) -> Fallible<()> {
        if self.capabilities.has("UTF8") {
            self.run("UTF8", Command::Utf8, |_| ())?;
        }
        let is_tls = self.conn.machine.is_tls();
        let offered = self.capabilities.mechanisms();
        let mechanism = sasl::Client::choose(&offered, credentials, is_tls, &ChannelBindings::none());
        let login = match mechanism {
            Some(mechanism) => Command::Auth(mechanism, credentials.clone()),
            None => Command::Login(credentials.clone()),
        };
        self.run("login", login, |_| ()).map(drop)
    }
}
