use crate::plain::Message;
use crate::scram::{ClientFirst, Exchange, ScramCredentials};
use crate::{Failure, Mechanism, Secret, base64_encode};

/// The server's side of one exchange.
///
/// Give it each response of the client with [`step`](Server::step), and the embedder's decision with
/// [`answer`](Server::answer); do what the returned [`ServerStep`] says.
#[derive(Debug)]
pub struct Server {
    mechanism: Mechanism,
    nonce: String,
    state: State,
}

/// What the server side wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum ServerStep {
    /// Send this challenge, which may be empty, and give the response to [`Server::step`].
    Challenge(Vec<u8>),
    /// Decide, then call [`Server::answer`].
    Ask(Question),
    /// The client is who it says.
    ///
    /// With `final_data`, there is something left that the client must see: a protocol whose success reply
    /// has room for it sends it there, and is done. SMTP, IMAP and POP3 have none: they send it as a
    /// challenge and give the response, which must be empty, to [`Server::step`]; that step is `Done` without
    /// data, or `Failed`.
    Done {
        /// Who the client is.
        identity: Identity,
        /// What the client needs to trust the server.
        final_data: Option<Vec<u8>>,
    },
    /// The client did not get in; the exchange is over.
    Failed(Failure),
}

/// What the embedder has to decide or to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// May this user with this password act as `authzid` (as itself, if there is none)?
    ///
    /// Answer [`Answer::Accept`] or [`Answer::Deny`]; or give what is stored, [`Answer::Scram`], and the
    /// password is checked against it.
    Password {
        /// On whose behalf the client wants to act, if not its own.
        authzid: Option<String>,
        /// Whose password it is. Never empty, and without NUL.
        username: String,
        /// The password. Never empty, and without NUL.
        password: Secret,
    },
    /// What is stored for this user, if it may act as `authzid` (as itself, if there is none)?
    ///
    /// Answer [`Answer::Scram`]; for an unknown user with [`ScramCredentials::decoy`], which hides best that
    /// there is no such user, or with [`Answer::Deny`].
    Scram {
        /// On whose behalf the client wants to act, if not its own.
        authzid: Option<String>,
        /// Whose credentials are wanted. Never empty, and without NUL.
        username: String,
    },
}

impl Question {
    /// The name the client wants to be known by: of whom the password or proof is.
    pub fn username(&self) -> &str {
        match self {
            Self::Password { username, .. } | Self::Scram { username, .. } => username,
        }
    }

    /// On whose behalf the client wants to act, if not its own.
    pub fn authzid(&self) -> Option<&str> {
        match self {
            Self::Password { authzid, .. } | Self::Scram { authzid, .. } => authzid.as_deref(),
        }
    }
}

/// The embedder's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The password is right and the user may act as it asks. Answers [`Question::Password`] alone; to
    /// another question it fails as [`Unavailable`](Answer::Unavailable) does.
    Accept,
    /// These are the user's credentials, and it may act as it asks.
    Scram(ScramCredentials),
    /// No. A SCRAM exchange goes on to the point where a wrong password fails.
    Deny,
    /// It cannot be told at the moment.
    Unavailable,
}

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identity {
    /// The user whose credentials were shown.
    pub authcid: String,
    /// On whose behalf it acts, if it asked for that.
    pub authzid: Option<String>,
}

impl Identity {
    /// Names the user, and on whose behalf it acts if not on its own.
    pub fn new(authcid: impl Into<String>, authzid: Option<String>) -> Self {
        Self {
            authcid: authcid.into(),
            authzid,
        }
    }

    /// The name to act under: the authzid if there is one, else the authcid.
    pub fn acting(&self) -> &str {
        self.authzid.as_deref().unwrap_or(&self.authcid)
    }
}

#[derive(Debug)]
enum State {
    Start,
    LoginUsername,
    LoginPassword {
        username: String,
    },
    PasswordAsked {
        identity: Identity,
        password: Secret,
    },
    ScramAsked(ClientFirst),
    ScramProof {
        exchange: Box<Exchange>,
        denied: bool,
    },
    /// The final data was handed out; its response must be empty.
    FinalData(Identity),
    Over,
}

impl Server {
    /// The least length of a nonce, in octets.
    pub const MIN_NONCE: usize = 16;

    /// Starts an exchange. `nonce` must be fresh, unpredictable randomness for each exchange; see
    /// [`NonceSource`](crate::NonceSource).
    ///
    /// # Panics
    ///
    /// Panics if `nonce` is shorter than [`MIN_NONCE`](Server::MIN_NONCE).
    pub fn new(mechanism: Mechanism, nonce: &[u8]) -> Self {
        assert!(
            nonce.len() >= Self::MIN_NONCE,
            "a nonce of {} octets",
            nonce.len()
        );
        Self {
            mechanism,
            nonce: base64_encode(nonce),
            state: State::Start,
        }
    }

    /// The mechanism of this exchange.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes a response of the client: at first its initial response, or `None` if it sent none.
    ///
    /// After the exchange is over it always fails as malformed.
    ///
    /// # Panics
    ///
    /// Panics if the last step was [`ServerStep::Ask`], which is answered with [`answer`](Server::answer).
    pub fn step(&mut self, response: Option<&[u8]>) -> ServerStep {
        let state = core::mem::replace(&mut self.state, State::Over);
        let Some(response) = response else {
            return match (state, self.mechanism) {
                (State::Start, Mechanism::Login) => {
                    self.state = State::LoginUsername;
                    ServerStep::Challenge(b"Username:".to_vec())
                }
                // RFC 4422 §5: where the client speaks first, it is asked to by an empty challenge.
                (State::Start, _) => {
                    self.state = State::Start;
                    ServerStep::Challenge(Vec::new())
                }
                _ => ServerStep::Failed(Failure::Malformed),
            };
        };
        let next = match (state, self.mechanism) {
            (State::Start, Mechanism::Plain) => self.plain(response),
            (State::Start | State::LoginUsername, Mechanism::Login) => self.login_username(response),
            (State::Start, Mechanism::ScramSha256) => self.scram_first(response),
            (State::LoginPassword { username }, _) => self.login_password(username, response),
            (State::ScramProof { exchange, denied }, _) => {
                return self.scram_proof(*exchange, denied, response);
            }
            (State::FinalData(identity), _) if response.is_empty() => Some(done(identity)),
            (State::PasswordAsked { .. } | State::ScramAsked(_), _) => panic!("an answer is owed"),
            _ => None,
        };
        next.unwrap_or(ServerStep::Failed(Failure::Malformed))
    }

    /// Takes the embedder's decision on the last [`ServerStep::Ask`].
    ///
    /// # Panics
    ///
    /// Panics if nothing was asked.
    pub fn answer(&mut self, answer: Answer) -> ServerStep {
        match core::mem::replace(&mut self.state, State::Over) {
            State::PasswordAsked { identity, password } => match answer {
                Answer::Accept => done(identity),
                Answer::Scram(credentials) if credentials.verify(&password) => done(identity),
                Answer::Scram(_) | Answer::Deny => ServerStep::Failed(Failure::Denied),
                Answer::Unavailable => ServerStep::Failed(Failure::Unavailable),
            },
            State::ScramAsked(client) => {
                let (credentials, denied) = match answer {
                    Answer::Scram(credentials) => (credentials, false),
                    Answer::Deny => (self.decoy(&client.username), true),
                    Answer::Accept | Answer::Unavailable => return ServerStep::Failed(Failure::Unavailable),
                };
                let exchange = Box::new(Exchange::new(client, credentials, &self.nonce));
                let challenge = exchange.server_first().as_bytes().to_vec();
                self.state = State::ScramProof { exchange, denied };
                ServerStep::Challenge(challenge)
            }
            _ => panic!("no answer is owed"),
        }
    }

    /// Ends the exchange because the client cancelled it (the line `*` in mail protocols).
    pub fn abort(&mut self) -> ServerStep {
        self.state = State::Over;
        ServerStep::Failed(Failure::Aborted)
    }

    fn plain(&mut self, response: &[u8]) -> Option<ServerStep> {
        let message = Message::parse(response)?;
        Some(self.ask_password(message.authzid, message.authcid, message.password))
    }

    fn login_username(&mut self, response: &[u8]) -> Option<ServerStep> {
        let username = text(response)?.to_owned();
        self.state = State::LoginPassword { username };
        Some(ServerStep::Challenge(b"Password:".to_vec()))
    }

    fn login_password(&mut self, username: String, response: &[u8]) -> Option<ServerStep> {
        let password = Secret::from(text(response)?);
        Some(self.ask_password(None, username, password))
    }

    fn ask_password(&mut self, authzid: Option<String>, username: String, password: Secret) -> ServerStep {
        self.state = State::PasswordAsked {
            identity: Identity::new(username.clone(), authzid.clone()),
            password: password.clone(),
        };
        ServerStep::Ask(Question::Password {
            authzid,
            username,
            password,
        })
    }

    fn scram_first(&mut self, response: &[u8]) -> Option<ServerStep> {
        let client = ClientFirst::parse(response)?;
        let question = Question::Scram {
            authzid: client.authzid.clone(),
            username: client.username.clone(),
        };
        self.state = State::ScramAsked(client);
        Some(ServerStep::Ask(question))
    }

    fn scram_proof(&mut self, exchange: Exchange, denied: bool, response: &[u8]) -> ServerStep {
        match exchange.verify(response) {
            None => ServerStep::Failed(Failure::Malformed),
            Some(Some(server_final)) if !denied => {
                let (authzid, authcid) = exchange.into_names();
                let identity = Identity::new(authcid, authzid);
                self.state = State::FinalData(identity.clone());
                ServerStep::Done {
                    identity,
                    final_data: Some(server_final.into_bytes()),
                }
            }
            Some(_) => ServerStep::Failed(Failure::Denied),
        }
    }

    fn decoy(&self, username: &str) -> ScramCredentials {
        ScramCredentials::decoy(
            self.nonce.as_bytes(),
            username,
            ScramCredentials::DEFAULT_ITERATIONS,
        )
    }
}

fn done(identity: Identity) -> ServerStep {
    ServerStep::Done {
        identity,
        final_data: None,
    }
}

/// What a user types: not empty, without NUL, UTF-8.
fn text(response: &[u8]) -> Option<&str> {
    core::str::from_utf8(response)
        .ok()
        .filter(|t| !t.is_empty() && !t.contains('\0'))
}
