use crate::scram::{FinalSent, FirstSent};
use crate::{Error, Mechanism, Secret, Server, base64_encode, plain};
use core::ops::RangeInclusive;

/// What a client proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    authzid: Option<String>,
    username: String,
    password: Secret,
}

impl Credentials {
    /// A user name and its password: neither empty nor with a NUL, or the exchange fails before it starts.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            authzid: None,
            username: username.into(),
            password: password.into(),
        }
    }

    /// Asks to act on behalf of somebody else. LOGIN cannot say so and fails.
    pub fn acting_as(mut self, authzid: impl Into<String>) -> Self {
        self.authzid = Some(authzid.into()).filter(|a| !a.is_empty());
        self
    }

    /// On whose behalf the client wants to act, if not its own.
    pub fn authzid(&self) -> Option<&str> {
        self.authzid.as_deref()
    }

    /// The user name.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    fn are_sendable(&self) -> bool {
        let authzid = self.authzid.as_deref().unwrap_or("");
        !self.username.is_empty()
            && !self.password.as_bytes().is_empty()
            && !authzid.contains('\0')
            && !self.username.contains('\0')
            && !self.password.as_bytes().contains(&0)
    }
}

/// The client's side of one exchange.
///
/// Give it each challenge with [`step`](Client::step), and call [`finish`](Client::finish) when the server
/// announces success: only then is it sure that the server is the right one.
#[derive(Debug)]
pub struct Client {
    mechanism: Mechanism,
    credentials: Credentials,
    nonce: String,
    iterations: RangeInclusive<u32>,
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
            credentials,
            nonce: base64_encode(nonce),
            iterations: 4096..=1_000_000,
            state: State::Start,
        }
    }

    /// The best mechanism out of those that a server offers; those that show the password only if that is
    /// allowed, because the connection is under TLS.
    pub fn choose(offered: &[Mechanism], allow_plaintext: bool) -> Option<Mechanism> {
        Mechanism::ALL
            .iter()
            .copied()
            .find(|m| offered.contains(m) && (allow_plaintext || !m.is_plaintext()))
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
            State::Done => Ok(()),
            State::Failed(error) => Err(*error),
            _ => Err(Error::Incomplete),
        }
    }

    fn advance(&self, state: State, challenge: Option<&[u8]>) -> Result<(State, ClientStep), Error> {
        let credentials = &self.credentials;
        let respond = |state, response: &[u8]| Ok((state, ClientStep::Respond(response.to_vec())));
        match (state, challenge) {
            (State::Failed(error), _) => Err(error),
            (State::Start, _) if !credentials.are_sendable() => Err(Error::Credentials),
            (State::Start, challenge) => match (self.mechanism, challenge) {
                (Mechanism::Login, _) if credentials.authzid.is_some() => Err(Error::Credentials),
                (Mechanism::Login, None) => Ok((State::Start, ClientStep::Wait)),
                // Servers differ in what they ask ("Username:", "User Name\0"), never in the order.
                (Mechanism::Login, Some(_)) => respond(State::LoginPassword, credentials.username.as_bytes()),
                (_, Some([_, ..])) => Err(Error::Malformed),
                (Mechanism::Plain, _) => {
                    let message = plain::message(
                        credentials.authzid(),
                        &credentials.username,
                        &credentials.password,
                    );
                    respond(State::Done, &message)
                }
                (Mechanism::ScramSha256, _) => {
                    let sent = FirstSent::new(credentials, self.nonce.clone());
                    let message = sent.message();
                    respond(State::ScramFirst(sent), message.as_bytes())
                }
            },
            (_, None) | (State::Done, _) => Err(Error::Unexpected),
            (State::LoginPassword, Some(_)) => respond(State::Done, credentials.password.as_bytes()),
            (State::ScramFirst(sent), Some(challenge)) => {
                let (sent, message) = sent.respond(credentials, challenge, &self.iterations)?;
                respond(State::ScramFinal(sent), message.as_bytes())
            }
            (State::ScramFinal(sent), Some(challenge)) => {
                sent.verify(challenge)?;
                Ok((State::Done, ClientStep::Done))
            }
        }
    }
}
