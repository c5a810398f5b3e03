//! What a session knows about its client, and what that client may do (RFC 5321 §3, RFC 3207, RFC 4954,
//! RFC 8689, RFC 9422)

use super::{AuthWithoutTls, Config, Protocol};
use crate::ehlo::Keyword;
use crate::futurerelease::DateTime;
use crate::limits;
use crate::xclient::Xclient;
use crate::xforward::Xforward;
use crate::{Command, EnhancedCode, Extensions, Hello, HelloVerb, Reply, proxy};
use mailwright_sasl::{ChannelBindings, Identity, Mechanism};
use std::fmt::Write;
use std::sync::Arc;

/// The session layer: greeting, EHLO, STARTTLS and AUTH.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    /// What this client is offered; the configuration's until the caller says otherwise.
    offered: Extensions,
    /// What of that it may use as things are.
    usable: Extensions,
    pub(super) proxy: Option<proxy::Header>,
    pub(super) xclient: Xclient,
    pub(super) spoke_early: bool,
    hello: Option<Hello>,
    tls: bool,
    pub(super) bindings: ChannelBindings,
    pub(super) identity: Option<Identity>,
    /// The connection was rejected; only QUIT is served.
    pub(super) refused: bool,
    pub(super) errors: u32,
    pub(super) refused_recipients: u32,
    pub(super) auth_failures: u32,
    pub(super) commands: u32,
    pub(super) transactions: u32,
}

impl Session {
    pub(super) fn new(config: Arc<Config>) -> Self {
        let mut this = Self {
            offered: config.extensions,
            usable: Extensions::NONE,
            config,
            proxy: None,
            xclient: Xclient::default(),
            spoke_early: false,
            hello: None,
            tls: false,
            bindings: ChannelBindings::none(),
            identity: None,
            refused: false,
            errors: 0,
            refused_recipients: 0,
            auth_failures: 0,
            commands: 0,
            transactions: 0,
        };
        this.update_usable();
        this
    }

    /// How the client introduced itself; `None` before that, and again after STARTTLS and XCLIENT.
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

    /// What stood in the PROXY header; `None` where [`Config::proxy`] is not set.
    pub fn proxy(&self) -> Option<&proxy::Header> {
        self.proxy.as_ref()
    }

    /// What a proxy said of the client by XCLIENT, with what later commands said in place of earlier ones.
    pub fn xclient(&self) -> &Xclient {
        &self.xclient
    }

    /// What this client is offered: the configuration's extensions, unless
    /// [`set_extensions`](super::Server::set_extensions) changed them.
    pub fn offered(&self) -> Extensions {
        self.offered
    }

    /// Whether the client spoke before the greeting, while [`Config::greeting_delay`] passed.
    pub fn spoke_early(&self) -> bool {
        self.spoke_early
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

    /// Which extensions the client may use as things are: none after HELO.
    pub(super) fn extensions(&self) -> &Extensions {
        &self.usable
    }

    /// To be called when something changed that decides about them.
    fn update_usable(&mut self) {
        let helo = self.hello.as_ref().is_some_and(|h| h.verb == HelloVerb::Helo);
        let offered = self.offered;
        self.usable = match helo {
            true => Extensions::NONE,
            false => Extensions {
                starttls: offered.starttls && !self.tls,
                binary_mime: offered.binary_mime && offered.chunking,
                // RFC 8689 §2: only where the session employs TLS.
                require_tls: offered.require_tls && self.tls,
                // RFC 4865 §3.
                future_release: offered.future_release && self.config.protocol == Protocol::Submission,
                ..offered
            },
        };
    }

    pub(super) fn set_offered(&mut self, extensions: Extensions) {
        self.offered = extensions;
        self.update_usable();
    }

    pub(super) fn set_tls(&mut self) {
        self.tls = true;
        self.update_usable();
    }

    /// The client introduced itself, or has to do it again.
    pub(super) fn set_hello(&mut self, hello: Option<Hello>) {
        self.hello = hello;
        self.update_usable();
    }

    pub(super) fn sends_enhanced_codes(&self) -> bool {
        self.offered.enhanced_status_codes
    }

    /// XCLIENT_README: as if the client had just connected.
    pub(super) fn begin_anew(&mut self, attributes: Xclient) {
        self.xclient.update(attributes);
        self.set_hello(None);
        let login = self.xclient.login.as_ref().and_then(|login| login.known());
        self.identity = login.map(|login| Identity::new(login.as_str(), None));
    }

    /// Whether a command may be used at this point of the session; else what the client is told.
    pub(super) fn permit(&self, command: &Command) -> Result<(), Reply> {
        let needs_hello = matches!(
            command,
            Command::Mail(_)
                | Command::Rcpt(_)
                | Command::Data
                | Command::Bdat(_)
                | Command::StartTls
                | Command::Auth { .. }
                | Command::Etrn(_)
        );
        let before_tls = matches!(
            command,
            Command::Hello(_)
                | Command::Noop
                | Command::Rset
                | Command::Quit
                | Command::StartTls
                // A proxy and its server may need no TLS in between.
                | Command::Xclient(_)
                | Command::Xforward(_)
        );
        match command {
            Command::Quit => Ok(()),
            _ if self.refused => Err(Reply::fixed(503, BAD_SEQUENCE, "No service here, please QUIT")),
            Command::Hello(hello) if !self.speaks(hello.verb) => {
                // RFC 2033 §4.1: an LMTP server must not take HELO or EHLO; the other way round likewise.
                Err(Reply::fixed(500, BAD_COMMAND, "Wrong protocol for this greeting"))
            }
            Command::StartTls if !self.offered.starttls => Err(not_implemented()),
            Command::Bdat(_) if !self.offered.chunking => Err(not_implemented()),
            Command::Etrn(_) if !self.offered.etrn => Err(not_implemented()),
            Command::Expn(_) if !self.config.questions.expn => Err(not_implemented()),
            // XCLIENT_README: what those hear who are not trusted.
            Command::Xclient(_) if !self.offered.xclient => Err(not_authorised()),
            Command::Xforward(_) if !self.offered.xforward => Err(not_authorised()),
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
            _ => Ok(()),
        }
    }

    fn speaks(&self, verb: HelloVerb) -> bool {
        (verb == HelloVerb::Lhlo) == (self.config.protocol == Protocol::Lmtp)
    }

    fn has_auth(&self) -> bool {
        self.offered.auth && !self.config.mechanisms.is_empty()
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
        self.set_tls();
        self.set_hello(None);
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

    /// The reply to an accepted EHLO, HELO or LHLO: RFC 5321 §4.1.1.1. `horizon` is the last moment a message
    /// may be held until.
    pub(super) fn welcome(&self, text: Option<&str>, horizon: Option<DateTime>) -> Reply {
        let mut out = String::with_capacity(512);
        let _ = write!(out, "{}", self.config.hostname);
        if let Some(text) = text {
            let _ = write!(out, " {}", text.replace('\n', " "));
        }
        for keyword in self.keywords(horizon) {
            let _ = write!(out, "\n{keyword}");
        }
        Reply::of(250, None, &out)
    }

    fn keywords(&self, horizon: Option<DateTime>) -> impl Iterator<Item = Keyword> {
        let (extensions, config) = (*self.extensions(), &*self.config);
        let any = extensions != Extensions::NONE;
        let mechanisms: Vec<_> = (config.mechanisms.iter())
            .filter(|m| extensions.auth && self.identity.is_none() && self.knows(**m) && self.may_use(**m))
            .map(|m| m.name().to_owned())
            .collect();
        let limits = limits::Limits {
            mail_max: Some(config.limits.transactions),
            rcpt_max: Some(config.limits.recipients),
            rcpt_domain_max: Some(config.limits.recipient_domains),
        };
        let profile = config.mt_priority_profile.as_ref();
        let profile = profile.map(|profile| profile.as_str().to_owned());
        let future_release = horizon.map(|horizon| (config.future_release_max, horizon));
        let all = [
            (extensions.pipelining, Keyword::Pipelining),
            (extensions.size, Keyword::Size(Some(config.limits.message_size))),
            (extensions.eight_bit_mime, Keyword::EightBitMime),
            (extensions.smtputf8, Keyword::SmtpUtf8),
            (extensions.chunking, Keyword::Chunking),
            (extensions.binary_mime, Keyword::BinaryMime),
            (extensions.dsn, Keyword::Dsn),
            (extensions.enhanced_status_codes, Keyword::EnhancedStatusCodes),
            (extensions.starttls, Keyword::StartTls),
            (!mechanisms.is_empty(), Keyword::Auth(mechanisms)),
            (extensions.deliver_by, Keyword::DeliverBy(config.deliver_by_min)),
            (
                extensions.future_release && future_release.is_some(),
                Keyword::FutureRelease(future_release),
            ),
            (extensions.mt_priority, Keyword::MtPriority(profile)),
            (extensions.require_tls, Keyword::RequireTls),
            (config.questions.vrfy, Keyword::Vrfy),
            (config.questions.expn, Keyword::Expn),
            (config.questions.help, Keyword::Help),
            (extensions.etrn, Keyword::Etrn),
            (extensions.xclient, Keyword::Xclient(Xclient::ATTRIBUTES.into())),
            (
                extensions.xforward,
                Keyword::Xforward(Xforward::ATTRIBUTES.into()),
            ),
            (extensions.limits, Keyword::Limits(limits)),
        ];
        all.into_iter().filter(move |k| any && k.0).map(|k| k.1)
    }
}

pub(super) const BAD_SEQUENCE: EnhancedCode = EnhancedCode::new(5, 5, 1);
const BAD_COMMAND: EnhancedCode = EnhancedCode::new(5, 5, 1);

fn not_implemented() -> Reply {
    Reply::fixed(502, BAD_COMMAND, "Command not implemented")
}

fn not_authorised() -> Reply {
    Reply::fixed(550, EnhancedCode::new(5, 7, 0), "Insufficient authorization")
}
