//! `mailwright sendmail`: takes the place of `/usr/sbin/sendmail`, also under that name.
//!
//! It reads a message from the standard input and hands it to the running server: through its control socket where the user
//! is root or the server's own, and through the socket for users (`[sendmail]` in the configuration) otherwise. That one is
//! named by `--socket`, by `MAILWRIGHT_SENDMAIL`, or by the configuration; where the user may not read the configuration,
//! it is `/run/mailwright/sendmail`. Exit codes are those of `sysexits.h`.

use super::place::Place;
use mailwright_message::{address_list, header};
use mailwright_server::control::local::{self, Kind};
use mailwright_server::control::submit::{Request, Taken};
use mailwright_server::control::{CallError, Client};
use mailwright_server::{Config, domains::Domains};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The configuration, unless another one is named.
const CONFIG: &str = "/etc/mailwright/mailwright.toml";

/// What went wrong, by `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    Usage = 64,
    Data = 65,
    NoUser = 67,
    Unavailable = 69,
    Io = 74,
    TemporaryFailure = 75,
    NoPermission = 77,
    Config = 78,
}

type Failure = (Exit, String);

/// The arguments that count.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    place: Place,
    /// `--socket`: where users hand mail in.
    socket: Option<PathBuf>,
    /// `-t`: recipients are read from the header.
    of_header: bool,
    /// `-i`, `-oi`: a line with a single full stop is a line like others.
    ignore_dots: bool,
    /// `-f`, `-r`.
    from: Option<String>,
    /// `-F`.
    name: Option<String>,
    mode: Mode,
    recipients: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Deliver,
    /// `-bp`: list the queue.
    Queue,
    /// `-q`, `-bi`: the queue and the aliases see to themselves.
    Nothing,
}

/// Whether the program was called by the name of the one it takes the place of.
pub(super) fn is_called(program: Option<&OsStr>) -> bool {
    program
        .map(Path::new)
        .and_then(Path::file_name)
        .is_some_and(|name| name == "sendmail")
}

/// Does what the arguments say.
pub(super) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Arguments::parse(arguments).and_then(perform) {
        Ok(()) => ExitCode::SUCCESS,
        Err((exit, why)) => {
            eprintln!("sendmail: {why}");
            ExitCode::from(exit as u8)
        }
    }
}

fn perform(arguments: Arguments) -> Result<(), Failure> {
    match arguments.mode {
        Mode::Deliver => deliver(arguments),
        Mode::Nothing => Ok(()),
        Mode::Queue => {
            let config = config(&arguments.place)?;
            super::queue::tell_all(&config.data).map_err(|error| (Exit::Unavailable, error.to_string()))
        }
    }
}

impl Arguments {
    /// As sendmail(8) has them: letters whose values follow at once or as the next argument.
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        /// Options that have a value, and do nothing here.
        const WITH_VALUE: &[char] = &[
            'A', 'B', 'C', 'd', 'D', 'h', 'L', 'M', 'N', 'O', 'p', 'R', 'V', 'X',
        ];

        let mut parsed = Self::default();
        let mut arguments = arguments
            .into_iter()
            .map(|text| text.to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            let mut value = |inline: &str, what: &str| match inline {
                "" => arguments
                    .next()
                    .ok_or_else(|| (Exit::Usage, format!("{what} needs a value"))),
                inline => Ok(inline.to_owned()),
            };
            let Some(option) = argument.strip_prefix('-').filter(|option| !option.is_empty()) else {
                parsed.recipients.push(argument);
                continue;
            };
            if option == "-" {
                parsed.recipients.extend(arguments);
                break;
            }
            if let Some(long) = option.strip_prefix('-') {
                let (name, inline) = long.split_once('=').unwrap_or((long, ""));
                let path = value(inline, &argument)?;
                match name {
                    "config" => parsed.place.config = Some(path.into()),
                    "data" => parsed.place.data = Some(path.into()),
                    "socket" => parsed.socket = Some(path.into()),
                    _ => return Err((Exit::Usage, format!("{argument} is not known"))),
                }
                continue;
            }
            let letter = option.chars().next().unwrap_or_default();
            let inline = &option[letter.len_utf8()..];
            match letter {
                't' => parsed.of_header = true,
                'i' => parsed.ignore_dots = true,
                'o' if inline == "i" => parsed.ignore_dots = true,
                'f' | 'r' => parsed.from = Some(value(inline, &argument)?),
                'F' => parsed.name = Some(value(inline, &argument)?),
                'b' => match inline {
                    "m" => {}
                    "p" => parsed.mode = Mode::Queue,
                    "i" | "d" | "h" | "H" => parsed.mode = Mode::Nothing,
                    _ => return Err((Exit::Usage, format!("{argument} is not served here"))),
                },
                'q' => parsed.mode = Mode::Nothing,
                // Of these the value, if any, is in the same argument.
                'o' | 'e' | 'v' | 'n' | 'm' | 'G' | 'U' | 'I' | 's' | 'x' => {}
                letter if WITH_VALUE.contains(&letter) => drop(value(inline, &argument)?),
                _ => return Err((Exit::Usage, format!("{argument} is not known"))),
            }
        }
        Ok(parsed)
    }
}

fn deliver(arguments: Arguments) -> Result<(), Failure> {
    let mut message = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut message)
        .map_err(|error| (Exit::Io, format!("the message cannot be read: {error}")))?;
    if !arguments.ignore_dots {
        cut_at_dot(&mut message);
    }
    let user = user();
    let mut to = arguments.recipients;
    if arguments.of_header {
        to.extend(take_recipients(&mut message));
    }
    if to.is_empty() {
        return Err((Exit::Usage, "no recipient is named: give addresses, or -t".into()));
    }
    let mut way = Way::find(arguments.socket, &arguments.place)?;
    let usual = way.usual_sender(&user)?;
    let from = arguments.from.unwrap_or_else(|| usual.sender.clone());
    if header::find(&message, "From").is_none() && !matches!(from.as_str(), "" | "<>") {
        let author = match (from.contains('@'), &usual.domain) {
            (false, Some(domain)) => format!("{from}@{domain}"),
            _ => from.clone(),
        };
        let name = arguments.name.or_else(|| user.full_name.clone());
        add_author(&mut message, &author, name.as_deref());
    }
    let request = Request::new(from, to, message.len() as u64, user.name);
    way.submit(request, &message)
}

/// How a message reaches the server.
enum Way {
    /// As one who may do everything.
    Control(Client, Box<Config>),
    /// As a user of this machine.
    Local(local::Client),
}

/// Who sends where nobody is named, and in which domain.
struct Usual {
    sender: String,
    domain: Option<String>,
}

impl Way {
    fn find(socket: Option<PathBuf>, place: &Place) -> Result<Self, Failure> {
        let named = socket.or_else(|| std::env::var_os("MAILWRIGHT_SENDMAIL").map(PathBuf::from));
        if let Some(socket) = named {
            return Self::local(&socket);
        }
        let place = place_of(place);
        let config = match place.config() {
            Ok(config) => config,
            Err(error) => {
                let is_closed = place.config.as_deref().is_some_and(is_closed);
                return match Path::new(local::SOCKET) {
                    socket if is_closed && socket.exists() => Self::local(socket),
                    _ => Err((Exit::Config, error.to_string())),
                };
            }
        };
        match Client::connect(&config.data) {
            Ok(Some(client)) => Ok(Self::Control(client, Box::new(config))),
            Ok(None) => {
                let folder = config.data.display();
                Err((Exit::TemporaryFailure, format!("no server runs on {folder}")))
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => match &config.sendmail {
                Some(settings) => Self::local(&settings.socket),
                None => Err((
                    Exit::NoPermission,
                    "the server's socket is open to root and the server's own user alone; [sendmail] in its \
                     configuration makes one for users"
                        .to_owned(),
                )),
            },
            Err(error) => Err(unreachable(&error)),
        }
    }

    fn local(socket: &Path) -> Result<Self, Failure> {
        let client = local::Client::connect(socket);
        client.map(Self::Local).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => (
                Exit::NoPermission,
                format!("{} is not open to this user", socket.display()),
            ),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => (
                Exit::TemporaryFailure,
                format!("no server runs at {}", socket.display()),
            ),
            _ => unreachable(&error),
        })
    }

    fn usual_sender(&mut self, user: &User) -> Result<Usual, Failure> {
        match self {
            Self::Control(_, config) => {
                let domains = Domains::load(config).map_err(|error| (Exit::Config, error.to_string()))?;
                Ok(Usual {
                    sender: user.name.clone(),
                    domain: domains.all().first().map(ToString::to_string),
                })
            }
            Self::Local(client) => {
                let who = client.who().map_err(refused)?;
                Ok(Usual {
                    sender: who.sender,
                    domain: Some(who.domain),
                })
            }
        }
    }

    fn submit(&mut self, request: Request, message: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Control(client, _) => match client.submit(request, message) {
                Ok(Taken { .. }) => Ok(()),
                Err(CallError::Refused(why)) if why.starts_with("the store") => {
                    Err((Exit::TemporaryFailure, why))
                }
                Err(CallError::Refused(why)) => Err((Exit::Data, why)),
                Err(error) => Err((Exit::TemporaryFailure, error.to_string())),
            },
            Self::Local(client) => client.submit(request, message).map(drop).map_err(refused),
        }
    }
}

fn unreachable(error: &io::Error) -> Failure {
    let text = format!("the server cannot be reached: {error}");
    (Exit::TemporaryFailure, text)
}

/// Why the socket for users does not do it.
fn refused(error: local::CallError) -> Failure {
    let exit = match &error {
        local::CallError::Refused { kind, .. } => match kind {
            Kind::Data => Exit::Data,
            Kind::NoUser => Exit::NoUser,
            Kind::Unavailable => Exit::Unavailable,
            Kind::NoPermission => Exit::NoPermission,
            _ => Exit::TemporaryFailure,
        },
        _ => Exit::TemporaryFailure,
    };
    (exit, error.to_string())
}

/// Whether a file is there that this user may not read.
fn is_closed(file: &Path) -> bool {
    std::fs::File::open(file).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn config(named: &Place) -> Result<Config, Failure> {
    place_of(named)
        .config()
        .map_err(|error| (Exit::Config, error.to_string()))
}

/// The place that is named, or the usual one.
fn place_of(named: &Place) -> Place {
    let config = match (&named.config, &named.data) {
        (None, None) => {
            Some(std::env::var_os("MAILWRIGHT_CONFIG").map_or_else(|| CONFIG.into(), PathBuf::from))
        }
        (config, _) => config.clone(),
    };
    Place {
        config,
        data: named.data.clone(),
    }
}

/// Ends the message in front of a line with a single full stop, as a person at a terminal would end it.
fn cut_at_dot(message: &mut Vec<u8>) {
    let mut start = 0;
    while start < message.len() {
        let end = memchr::memchr(b'\n', &message[start..]).map_or(message.len(), |at| start + at + 1);
        let line = message[start..end].trim_ascii_end();
        if line == b"." {
            return message.truncate(start);
        }
        start = end;
    }
}

/// The recipients that the header names; `Bcc` is gone then (RFC 5322 §3.6.3). Where the message is sent again, those count
/// that it is sent again to.
fn take_recipients(message: &mut Vec<u8>) -> Vec<String> {
    let is_resent = header::fields(message).any(|field| {
        ["Resent-To", "Resent-Cc", "Resent-Bcc"]
            .iter()
            .any(|name| field.is(name))
    });
    let (open, blind): (&[&str], &str) = match is_resent {
        true => (&["Resent-To", "Resent-Cc"], "Resent-Bcc"),
        false => (&["To", "Cc"], "Bcc"),
    };
    let mut recipients = Vec::new();
    let mut gone = Vec::new();
    for field in header::fields(message) {
        let is_blind = field.is(blind);
        if is_blind || open.iter().any(|name| field.is(name)) {
            for mailbox in address_list::mailboxes(field.value) {
                let domain = match mailbox.domain.is_empty() {
                    true => String::new(),
                    false => format!("@{}", mailbox.domain),
                };
                recipients.push(format!("{}{domain}", mailbox.local_part));
            }
        }
        if is_blind {
            let start = usize::try_from(field.offset).unwrap_or(usize::MAX);
            gone.push(start..start + field.raw.len());
        }
    }
    for range in gone.into_iter().rev() {
        message.drain(range);
    }
    recipients
}

/// Puts the author on top, who is not named.
fn add_author(message: &mut Vec<u8>, address: &str, name: Option<&str>) {
    let (local_part, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let mut author = address_list::Mailbox::default();
    author.name = name.filter(|name| !name.is_empty()).map(Into::into);
    author.local_part = local_part.into();
    author.domain = domain.into();
    let field = format!("From: {author}\n");
    // A message that has no header at all begins with its body.
    let has_header = header::fields(message).next().is_some()
        || message.starts_with(b"\n")
        || message.starts_with(b"\r\n");
    let end = if has_header { "" } else { "\n" };
    message.splice(0..0, field.bytes().chain(end.bytes()));
}

/// Who calls.
struct User {
    name: String,
    full_name: Option<String>,
}

/// As `/etc/passwd` has it, or the environment.
fn user() -> User {
    let id = rustix::process::getuid().as_raw().to_string();
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = known.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = line
        .into_iter()
        .find(|fields| fields.get(2) == Some(&id.as_str()));
    match found {
        Some(fields) => User {
            name: fields[0].to_owned(),
            full_name: fields
                .get(4)
                .and_then(|gecos| gecos.split(',').next())
                .map(str::to_owned),
        },
        None => User {
            name: std::env::var("LOGNAME").unwrap_or(format!("uid{id}")),
            full_name: None,
        },
    }
}
