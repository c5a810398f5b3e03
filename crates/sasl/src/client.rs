#[cfg(feature = "cram-md5")]
use crate::cram;
use crate::scram::{FinalSent, FirstSent};
use crate::{ChannelBindings, Credentials, Error, Mechanism, Secret, Server, base64_encode, oauth, plain};
use core::ops::RangeInclusive;

/// The client's side of one exchange.
///
/// Give it each challenge with [`step`](Client::step), and call [`finish`](Client::finish) when the server
/// announces success: only then is it sure that the server is the right one.
#[derive(Debug)]
pub struct Client {
    mechanism: Mechanism,
    /// In the form in which they are sent; `None` if they cannot be.
    credentials: Option<Credentials>,
    nonce: String,
    bindings: ChannelBindings,
    plus_was_offered: bool,
    iterations: RangeInclusive<u32>,
    refusal: Option<Box<[u8]>>,
    state: State,
}

/// What the client side wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum ClientStep {
    /// Send this response, which may be empty; at the first step it can go as the initial response.
    Respond(Vec<u8>),
    /// The server speaks first in this mechanism: start it without an initial response.
    Wait,
    /// All was said and the server has proved itself. It sent a challenge, so it waits for a response: send
    /// an empty one, and expect its success reply.
    Done,
}

#[derive(Debug)]
enum State {
    Start,
    LoginPassword,
    TokenSent,
    ScramFirst(FirstSent),
    ScramFinal(FinalSent),
    Done,
    Failed(Error),
}

impl Client {
    /// Starts an exchange. `nonce` must be fresh, unpredictable randomness for each exchange; see
    /// [`NonceSource`](crate::NonceSource).
    ///
    /// # Panics
    ///
    /// Panics if `nonce` is shorter than [`Server::MIN_NONCE`].
    pub fn new(mechanism: Mechanism, credentials: Credentials, nonce: &[u8]) -> Self {
        assert!(
            nonce.len() >= Server::MIN_NONCE,
            "a nonce of {} octets",
            nonce.len()
        );
        Self {
            mechanism,
            credentials: credentials.prepared().filter(|c| c.fit(mechanism)),
            nonce: base64_encode(nonce),
            bindings: ChannelBindings::none(),
            plus_was_offered: false,
            iterations: 4096..=1_000_000,
            refusal: None,
            state: State::Start,
        }
    }

    /// The best mechanism out of those that a server offers which fits the credentials: -PLUS only if there
    /// is something to bind to, those that need TLS only if `is_tls` (or somebody accepts the danger), and
    /// [weak](Mechanism::is_weak) ones only if nothing else is offered.
    pub fn choose(
        offered: &[Mechanism],
        credentials: &Credentials,
        is_tls: bool,
        bindings: &ChannelBindings,
    ) -> Option<Mechanism> {
        let fits = |m: &Mechanism| {
            offered.contains(m)
                && credentials.fit(*m)
                && (is_tls || !m.is_plaintext())
                && (!m.is_plus() || !bindings.is_empty())
        };
        let mut all = Mechanism::ALL.iter().copied().filter(fits);
        let first = all.next()?;
        match first.is_weak() {
            true => all.find(|m| !m.is_weak()).or(Some(first)),
            false => Some(first),
        }
    }

    /// Binds a -PLUS mechanism to the channel. `offered` is what the server offers: a client that could bind
    /// tells in SCRAM that no -PLUS mechanism was among it, so that the server finds out if somebody took it
    /// away (RFC 5802 §6).
    pub fn bound_to(mut self, bindings: &ChannelBindings, offered: &[Mechanism]) -> Self {
        self.bindings = bindings.clone();
        self.plus_was_offered = offered.iter().any(|m| m.is_plus());
        self
    }

    /// Sets how many iterations of the hash a server may ask for in SCRAM; 4096 to 1,000,000 by default.
    ///
    /// Below, a stolen exchange is too cheap to guess from (RFC 7677 §4); above, a hostile server keeps the
    /// client busy. [`step`](Client::step) takes as long as they need: about a second for the upper limit.
    pub fn iteration_limits(mut self, limits: RangeInclusive<u32>) -> Self {
        self.iterations = limits;
        self
    }

    /// The mechanism of this exchange.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes a challenge of the server; at first `None`, to get the initial response.
    ///
    /// Where the protocol has no initial response, the first call may have the server's first challenge
    /// instead (an empty one, where the client speaks first).
    ///
    /// # Errors
    ///
    /// Says why the client will not go on. Cancel the exchange in the protocol, and do not trust the server.
    /// Errors are sticky.
    pub fn step(&mut self, challenge: Option<&[u8]>) -> Result<ClientStep, Error> {
        let state = core::mem::replace(&mut self.state, State::Done);
        let result = self.advance(state, challenge);
        match result {
            Ok((state, step)) => {
                self.state = state;
                Ok(step)
            }
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// Says whether the exchange is complete, when the server announces success.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] if the server announces it too early: a mechanism in which the server proves
    /// itself has not come to that point, and the one who speaks may not be the server.
    pub fn finish(&self) -> Result<(), Error> {
        match &self.state {
            State::Done | State::TokenSent => Ok(()),
            State::Failed(error) => Err(*error),
            _ => Err(Error::Incomplete),
        }
    }

    /// Why the server did not take a token, if it said so: JSON of RFC 7628 §3.2.2, exactly as it came from
    /// a server that nobody vouches for.
    pub fn refusal(&self) -> Option<&[u8]> {
        self.refusal.as_deref()
    }

    fn advance(&mut self, state: State, challenge: Option<&[u8]>) -> Result<(State, ClientStep), Error> {
        let respond = |state, response: Vec<u8>| Ok((state, ClientStep::Respond(response)));
        match (state, challenge) {
            (State::Failed(error), _) => Err(error),
            (State::Start, challenge) => self.start(challenge),
            (_, None) | (State::Done, _) => Err(Error::Unexpected),
            (State::LoginPassword, Some(_)) => respond(State::Done, self.password()?.as_bytes().to_vec()),
            (State::TokenSent, Some(why)) => {
                self.refusal = Some(why.into());
                let dummy = oauth::dummy(self.mechanism).to_vec();
                respond(State::Failed(Error::Refused), dummy)
            }
            (State::ScramFirst(sent), Some(challenge)) => {
                let (sent, message) = sent.respond(self.password()?, challenge, &self.iterations)?;
                respond(State::ScramFinal(sent), message.into_bytes())
            }
            (State::ScramFinal(sent), Some(challenge)) => {
                sent.verify(challenge)?;
                Ok((State::Done, ClientStep::Done))
            }
        }
    }

    fn start(&self, challenge: Option<&[u8]>) -> Result<(State, ClientStep), Error> {
        let credentials = self.credentials.as_ref().ok_or(Error::Credentials)?;
        let (username, authzid) = (credentials.username(), credentials.authzid());
        let respond = |state, response: Vec<u8>| Ok((state, ClientStep::Respond(response)));
        match (self.mechanism, challenge) {
            (Mechanism::Login, None) => Ok((State::Start, ClientStep::Wait)),
            // Servers differ in what they ask ("Username:", "User Name\0"), never in the order.
            (Mechanism::Login, Some(_)) => respond(State::LoginPassword, username.into()),
            #[cfg(feature = "cram-md5")]
            (Mechanism::CramMd5, None) => Ok((State::Start, ClientStep::Wait)),
            #[cfg(feature = "cram-md5")]
            (Mechanism::CramMd5, Some(challenge)) => {
                let response = cram::response(username, self.password()?, challenge);
                respond(State::Done, response.into_bytes())
            }
            (_, Some([_, ..])) => Err(Error::Malformed),
            (Mechanism::Plain, _) => {
                respond(State::Done, plain::message(authzid, username, self.password()?))
            }
            (Mechanism::OAuthBearer | Mechanism::XOAuth2, _) => {
                let message = oauth::message(self.mechanism, credentials).ok_or(Error::Credentials)?;
                respond(State::TokenSent, message)
            }
            (Mechanism::External, _) => respond(State::Done, authzid.unwrap_or_default().into()),
            (Mechanism::Anonymous, _) => respond(State::Done, username.into()),
            (
                Mechanism::ScramSha256Plus
                | Mechanism::ScramSha256
                | Mechanism::ScramSha1Plus
                | Mechanism::ScramSha1,
                _,
            ) => {
                let hash = self.mechanism.scram_hash().expect("these mechanisms have one");
                let binding = match (self.mechanism.is_plus(), self.bindings.best()) {
                    (true, None) => return Err(Error::NoBinding),
                    (true, Some((name, data))) => (format!("p={name}"), data),
                    // It could have been bound, but the server does not seem to know how.
                    (false, Some(_)) if !self.plus_was_offered => ("y".to_owned(), &[][..]),
                    (false, _) => ("n".to_owned(), &[][..]),
                };
                let sent = FirstSent::new(hash, binding, authzid, username, self.nonce.clone());
                let message = sent.message();
                respond(State::ScramFirst(sent), message.into_bytes())
            }
        }
    }

    fn password(&self) -> Result<&Secret, Error> {
        let credentials = self.credentials.as_ref().ok_or(Error::Credentials)?;
        credentials.password().ok_or(Error::Credentials)
    }
}
