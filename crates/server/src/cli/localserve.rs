//! `mailwright localserve`: a server for this machine alone, without any configuration.

use super::{Failure, kept, run, terminal};
use clap::Args;
use mailwright_address::{Domain, EmailAddress, Host};
use mailwright_sasl::Secret;
use mailwright_server::accounts::{AccountsFile, password_fits, random_password, set_password};
use mailwright_server::config::{
    AccountEntry, Config, ListenerConfig, LogFormat, MetricsConfig, PlaintextLogin, Protocol, TlsMode,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The data folder, unless another one is named.
pub(super) const DATA: &str = "mailwright-data";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where mail, accounts and the certificate are kept.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
    /// An account and its password, for scripts; repeatable. Without a domain it is NAME@localhost.
    #[arg(long = "account", value_name = "NAME:PASSWORD")]
    accounts: Vec<Given>,
    /// Write the log as JSON, an object on each line.
    #[arg(long)]
    json_log: bool,
    /// Added to every port.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    port_offset: i32,
}

/// An account from the command line.
#[derive(Debug, Clone)]
struct Given {
    name: EmailAddress,
    password: Secret,
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, password) = text.split_once(':').ok_or("expected NAME:PASSWORD")?;
        if password.is_empty() || password.contains(char::is_control) {
            return Err("the password is empty or holds a control character".into());
        }
        let name = match name.contains('@') {
            true => name.parse(),
            false => EmailAddress::new(name, Host::Domain(localhost())),
        };
        Ok(Self {
            name: name.map_err(|error| error.to_string())?,
            password: password.into(),
        })
    }
}

/// What listens where: name, protocol, TLS, port.
const LISTENERS: [(&str, Protocol, TlsMode, u16); 9] = [
    ("smtp", Protocol::Smtp, TlsMode::Starttls, 2025),
    ("submission", Protocol::Submission, TlsMode::Starttls, 2587),
    ("submissions", Protocol::Submission, TlsMode::Implicit, 2465),
    ("imap", Protocol::Imap, TlsMode::Starttls, 2143),
    ("imaps", Protocol::Imap, TlsMode::Implicit, 2993),
    ("pop3", Protocol::Pop3, TlsMode::Starttls, 2110),
    ("pop3s", Protocol::Pop3, TlsMode::Implicit, 2995),
    ("lmtp", Protocol::Lmtp, TlsMode::None, 2024),
    ("http", Protocol::Http, TlsMode::None, 2080),
];

/// The port of `/healthz` and `/metrics`.
const METRICS: u16 = 2090;

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut config = Config::new(localhost(), &arguments.data);
    config.domains.push(localhost());
    config.plaintext_login = PlaintextLogin::Loopback;
    config.outbound.enabled = false;
    let at = |port| {
        let port = shifted(port, arguments.port_offset)?;
        Ok::<_, Failure>(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    };
    config.observing.metrics = Some(MetricsConfig::new(at(METRICS)?));
    if arguments.json_log {
        config.observing.log.format = LogFormat::Json;
    }
    // Nobody on the way can read or change what is told on this machine.
    config.web.behind_tls = true;
    for (name, protocol, tls, port) in LISTENERS {
        let address = at(port)?;
        // What is on loopback is told to nobody otherwise.
        if matches!(protocol, Protocol::Imap | Protocol::Pop3 | Protocol::Submission) {
            config.web.ports.insert(name.to_owned(), address.port());
        }
        let listener = ListenerConfig::new(protocol, address)
            .with_tls(tls)
            .with_name(name);
        // No mail program needs LMTP: a port that somebody else has shall not keep the rest from running.
        config.listeners.push(match protocol {
            Protocol::Lmtp => listener.optional(),
            _ => listener,
        });
    }
    kept::private_folder(&config.data)?;
    let people = accounts(&config.accounts_file, arguments.accounts)?;
    for domain in people.iter().filter_map(|person| person.name.domain()) {
        if !config.is_local(&domain) {
            config.domains.push(domain);
        }
    }
    let data = config.data.clone();
    run::until_stopped(config, None, |running| {
        terminal::print(&welcome(&data, &people, |name| running.address(name)));
        Ok(())
    })
}

/// Somebody who has an account here, with the password if it is to be shown.
struct Person {
    name: EmailAddress,
    password: Option<Secret>,
}

/// Makes the demo accounts and the given ones, as far as they are not there.
fn accounts(path: &Path, given: Vec<Given>) -> Result<Vec<Person>, Failure> {
    let mut file = AccountsFile::open(path)?;
    let mut people = Vec::new();
    let mut changed = false;
    let names = ["alice", "bob"].map(|name| EmailAddress::new(name, Host::Domain(localhost())));
    for name in names {
        let name = name?;
        if file.entry(name.as_str()).is_none() && !given.iter().any(|given| given.name == name) {
            let password = random_password();
            put(&mut file, &name, &password);
            people.push(Person {
                name,
                password: Some(password),
            });
            changed = true;
        }
    }
    for Given { name, password } in given {
        let fits = file
            .entry(name.as_str())
            .is_some_and(|entry| password_fits(entry, &password));
        if !fits {
            put(&mut file, &name, &password);
            changed = true;
        }
        people.push(Person {
            name,
            password: Some(password),
        });
    }
    if changed {
        file.save()?;
    }
    for entry in file.entries() {
        if !people.iter().any(|person| person.name == entry.name) {
            people.push(Person {
                name: entry.name.clone(),
                password: None,
            });
        }
    }
    people.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(people)
}

fn put(file: &mut AccountsFile, name: &EmailAddress, password: &Secret) {
    let mut entry = AccountEntry::new(name.clone());
    set_password(&mut entry, password);
    file.put(entry);
}

/// What is printed when the server is ready: accounts, ports, and lines to try it.
fn welcome(data: &Path, people: &[Person], address: impl Fn(&str) -> Option<SocketAddr>) -> String {
    let port = |name| address(name).map_or(0, |address| address.port());
    let shown = |person: Option<&Person>| {
        let password = person
            .and_then(|person| person.password.as_ref())
            .and_then(|secret| secret.as_str());
        password.unwrap_or("PASSWORD").to_owned()
    };
    let find = |name: &str| people.iter().find(|person| person.name.as_str() == name);
    let from = find("alice@localhost").or(people.first());
    let to = find("bob@localhost").or(people.last());
    let name_of = |person: Option<&Person>| person.map_or(String::new(), |person| person.name.to_string());
    let (alice, bob) = (name_of(from), name_of(to));
    let certificate = data.join("tls/self-made.crt");
    let certificate = certificate.display();
    let mut text = format!(
        "\nMailwright is ready. Mail is kept in {}. Ctrl-C stops it.\n\n",
        data.display()
    );
    let width = people
        .iter()
        .map(|person| person.name.as_str().len())
        .max()
        .unwrap_or(0);
    for person in people {
        let password = match person.password.as_ref().and_then(|secret| secret.as_str()) {
            Some(password) => format!("password {password}"),
            None => "password as it was set".to_owned(),
        };
        text += &format!("  {:width$}   {password}\n", person.name.as_str());
    }
    let unknown = people.iter().find(|person| person.password.is_none());
    text += &match unknown {
        Some(person) => format!(
            "\nPasswords are printed once, when they are made. To set another one:\n\n  \
             mailwright account passwd {} --data {}\n",
            person.name,
            data.display()
        ),
        None => "\nRandom passwords are printed this once; only their hashes are kept.\n".to_owned(),
    };
    text += &format!(
        "
Send a message with curl:

  printf 'From: {alice}\\r\\nTo: {bob}\\r\\nSubject: Hello\\r\\n\\r\\nHello Bob.\\r\\n' |
    curl --cacert {certificate} --ssl-reqd --url smtp://localhost:{submission} \\
      --user '{alice}:{alice_password}' --mail-from {alice} --mail-rcpt {bob} --upload-file -

Read it:

  curl --cacert {certificate} --user '{bob}:{bob_password}' 'imaps://localhost:{imaps}/INBOX;MAILINDEX=*'
  curl --cacert {certificate} --user '{bob}:{bob_password}' pop3s://localhost:{pop3s}/1

In a mail program: server localhost, user name {bob}
  IMAP        port {imaps} (SSL/TLS) or {imap} (STARTTLS)
  POP3        port {pop3s} (SSL/TLS) or {pop3} (STARTTLS)
  submission  port {submissions} (SSL/TLS) or {submission} (STARTTLS)
  or by itself: http://localhost:{http}/mail/config-v1.1.xml?emailaddress={bob}
The certificate is self-made: confirm it once, or trust {certificate}.
For programs that watch: http://localhost:{metrics}/healthz and http://localhost:{metrics}/metrics
For programs that deliver: SMTP port {smtp}, {lmtp}. Mail for other domains is refused.

",
        alice_password = shown(from),
        bob_password = shown(to),
        submission = port("submission"),
        submissions = port("submissions"),
        imap = port("imap"),
        imaps = port("imaps"),
        pop3 = port("pop3"),
        pop3s = port("pop3s"),
        smtp = port("smtp"),
        http = port("http"),
        metrics = port("metrics"),
        lmtp = match address("lmtp") {
            Some(address) => format!("LMTP port {}", address.port()),
            None => "no LMTP because another program has its port".to_owned(),
        },
    );
    text
}

fn shifted(port: u16, offset: i32) -> Result<u16, Failure> {
    let shifted = i32::from(port)
        .checked_add(offset)
        .and_then(|port| u16::try_from(port).ok());
    shifted.filter(|port| *port > 0).ok_or_else(|| {
        format!("--port-offset {offset}: port {port} would leave the range of 1 to 65535").into()
    })
}

fn localhost() -> Domain {
    Domain::parse("localhost").expect("it is a domain")
}
