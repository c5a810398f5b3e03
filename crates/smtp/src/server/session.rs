//! What a session knows about its client, and what that client may do (RFC 5321 §3, RFC 3207, RFC 4954)

use super::{AuthWithoutTls, Config, Protocol};
use crate::{Command, EnhancedCode, Extensions, Hello, HelloVerb, Reply};
use mailwright_sasl::{ChannelBindings, Identity, Mechanism};
use std::fmt::Write;
use std::sync::Arc;

/// The session layer: greeting, EHLO, STARTTLS and AUTH.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    pub(super) hello: Option<Hello>,
    pub(super) tls: bool,
    pub(super) bindings: ChannelBindings,
    pub(super) identity: Option<Identity>,
    /// The connection was rejected; only QUIT is served.
    pub(super) refused: bool,
    pub(super) errors: u32,
    pub(super) refused_recipients: u32,
    pub(super) auth_failures: u32,
    pub(super) commands: u32,
}

impl Session {
    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            hello: None,
            tls: false,
            bindings: ChannelBindings::none(),
            identity: None,
            refused: false,
            errors: 0,
            refused_recipients: 0,
            auth_failures: 0,
            commands: 0,
        }
    }

    /// How the client introduced itself; `None` before that, and again after STARTTLS.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Who the client is; `None` before AUTH.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The name of the transmission type for the `with` clause of a `Received` line: RFC 3848 and, where the
    /// transaction uses SMTPUTF8, RFC 6531 §4.3.
    pub(super) fn transmission_type(&self, smtputf8: bool) -> &'static str {
        let lmtp = self.config.protocol == Protocol::Lmtp;
        let helo = self.hello.as_ref().is_some_and(|h| h.verb == HelloVerb::Helo);
        match (lmtp, smtputf8, self.tls, self.identity.is_some()) {
            (false, false, false, false) if helo => "SMTP",
            (false, false, false, false) => "ESMTP",
            (false, false, false, true) => "ESMTPA",
            (false, false, true, false) => "ESMTPS",
            (false, false, true, true) => "ESMTPSA",
            (false, true, false, false) => "UTF8SMTP",
            (false, true, false, true) => "UTF8SMTPA",
            (false, true, true, false) => "UTF8SMTPS",
            (false, true, true, true) => "UTF8SMTPSA",
            (true, false, false, false) => "LMTP",
            (true, false, false, true) => "LMTPA",
            (true, false, true, false) => "LMTPS",
            (true, false, true, true) => "LMTPSA",
            (true, true, false, false) => "UTF8LMTP",
            (true, true, false, true) => "UTF8LMTPA",
            (true, true, true, false) => "UTF8LMTPS",
            (true, true, true, true) => "UTF8LMTPSA",
        }
    }

    /// Which extensions the client may use: none after HELO.
    pub(super) fn extensions(&self) -> Extensions {
        match &self.hello {
            Some(hello) if hello.verb == HelloVerb::Helo => Extensions::NONE,
            _ => self.config.extensions,
        }
    }

    pub(super) fn sends_enhanced_codes(&self) -> bool {
        self.config.extensions.enhanced_status_codes
    }

    /// Whether a command may be used at this point of the session; else what the client is told.
    pub(super) fn permit(&self, command: &Command) -> Result<(), Reply> {
        let needs_hello = matches!(
            command,
            Command::Mail(_) | Command::Rcpt(_) | Command::Data | Command::StartTls | Command::Auth { .. }
        );
        let before_tls = matches!(
            command,
            Command::Hello(_) | Command::Noop | Command::Rset | Command::Quit | Command::StartTls
        );
        match command {
            Command::Quit => Ok(()),
            _ if self.refused => Err(Reply::fixed(503, BAD_SEQUENCE, "No service here, please QUIT")),
            Command::Hello(hello) if !self.speaks(hello.verb) => {
                // RFC 2033 §4.1: an LMTP server must not take HELO or EHLO; the other way round likewise.
                Err(Reply::fixed(500, BAD_COMMAND, "Wrong protocol for this greeting"))
            }
            Command::StartTls if !self.config.extensions.starttls => Err(not_implemented()),
            Command::Auth { .. } if !self.has_auth() => Err(not_implemented()),
            _ if needs_hello && self.hello.is_none() => {
                Err(Reply::fixed(503, BAD_SEQUENCE, "Introduce yourself first"))
            }
            Command::StartTls if self.tls => Err(Reply::fixed(503, BAD_SEQUENCE, "TLS is already active")),
            _ if self.config.require_tls && !self.tls && !before_tls => Err(Reply::fixed(
                530,
                EnhancedCode::new(5, 7, 0),
                "Must issue a STARTTLS command first",
            )),
            Command::Mail(_) if self.config.require_auth && self.identity.is_none() => Err(Reply::fixed(
                530,
                EnhancedCode::new(5, 7, 0),
                "Authentication required",
            )),
            Command::Auth { .. } if self.identity.is_some() => {
                Err(Reply::fixed(503, BAD_SEQUENCE, "Already authenticated"))
            }
            Command::Expn(_)
            | Command::Bdat(_)
            | Command::Etrn(_)
            | Command::Xclient(_)
            | Command::Xforward(_) => Err(not_implemented()),
            _ => Ok(()),
        }
    }

    fn speaks(&self, verb: HelloVerb) -> bool {
        (verb == HelloVerb::Lhlo) == (self.config.protocol == Protocol::Lmtp)
    }

    fn has_auth(&self) -> bool {
        self.config.extensions.auth && !self.config.mechanisms.is_empty()
    }

    /// The mechanism for an AUTH command, if it may be used as things are.
    pub(super) fn mechanism(&self, name: &str) -> Result<Mechanism, Reply> {
        let mechanism = Mechanism::from_name(name).filter(|m| self.knows(*m));
        match mechanism {
            None => Err(Reply::fixed(
                504,
                EnhancedCode::new(5, 5, 4),
                "Mechanism not recognised",
            )),
            Some(mechanism) if self.may_use(mechanism) => Ok(mechanism),
            Some(_) => Err(Reply::fixed(
                538,
                EnhancedCode::new(5, 7, 11),
                "Encryption required for this mechanism",
            )),
        }
    }

    /// Whether a mechanism is offered as soon as there is TLS, if it needs that.
    fn knows(&self, mechanism: Mechanism) -> bool {
        self.config.mechanisms.contains(&mechanism) && (!mechanism.is_plus() || !self.bindings.is_empty())
    }

    fn may_use(&self, mechanism: Mechanism) -> bool {
        self.tls
            || match self.config.auth_without_tls {
                AuthWithoutTls::Never => false,
                AuthWithoutTls::Protected => !mechanism.is_plaintext(),
                AuthWithoutTls::Always => true,
            }
    }

    /// RFC 3207 §4.2: after the handshake everything the client said before is forgotten.
    pub(super) fn tls_started(&mut self) {
        self.tls = true;
        self.hello = None;
        self.identity = None;
    }

    /// The text of the greeting.
    pub(super) fn greeting(&self, text: Option<&str>) -> Reply {
        let protocol = match self.config.protocol {
            Protocol::Smtp | Protocol::Submission => "ESMTP",
            Protocol::Lmtp => "LMTP",
        };
        let text = text.unwrap_or("Mailwright");
        Reply::of(220, None, &format!("{} {protocol} {text}", self.config.hostname))
    }

    /// The reply to an accepted EHLO, HELO or LHLO: RFC 5321 §4.1.1.1.
    pub(super) fn welcome(&self, text: Option<&str>) -> Reply {
        let mut out = self.config.hostname.to_string();
        if let Some(text) = text {
            let _ = write!(out, " {}", text.replace('\n', " "));
        }
        let extensions = self.extensions();
        let mechanisms: Vec<_> = (self.config.mechanisms.iter())
            .filter(|m| extensions.auth && self.identity.is_none() && self.knows(**m) && self.may_use(**m))
            .map(|m| m.name())
            .collect();
        let size = format!("SIZE {}", self.config.limits.message_size);
        let auth = format!("AUTH {}", mechanisms.join(" "));
        let keywords = [
            (extensions.pipelining, "PIPELINING"),
            (extensions.size, size.as_str()),
            (extensions.eight_bit_mime, "8BITMIME"),
            (extensions.smtputf8, "SMTPUTF8"),
            (extensions.dsn, "DSN"),
            (extensions.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
            (extensions.starttls && !self.tls, "STARTTLS"),
            (!mechanisms.is_empty(), auth.as_str()),
        ];
        for (_, keyword) in keywords.iter().filter(|k| k.0) {
            out.push('\n');
            out.push_str(keyword);
        }
        Reply::of(250, None, &out)
    }
}

pub(super) const BAD_SEQUENCE: EnhancedCode = EnhancedCode::new(5, 5, 1);
const BAD_COMMAND: EnhancedCode = EnhancedCode::new(5, 5, 1);

fn not_implemented() -> Reply {
    Reply::fixed(502, BAD_COMMAND, "Command not implemented")
}
