#[cfg(feature = "cram-md5")]
use crate::cram;
use crate::credentials::MAX_TRACE;
use crate::plain;
use crate::question::ANONYMOUS;
use crate::scram::{ClientFirst, Exchange, Flag, ScramCredentials, Verdict};
use crate::{
    Answer, ChannelBindings, Failure, Identity, Mechanism, Question, ScramHash, Secret, base64_encode, oauth,
    prep,
};

/// The server's side of one exchange.
///
/// Give it each response of the client with [`step`](Server::step), and the embedder's decision with
/// [`answer`](Server::answer); do what the returned [`ServerStep`] says.
#[derive(Debug)]
pub struct Server {
    mechanism: Mechanism,
    nonce: String,
    bindings: ChannelBindings,
    offers_plus: bool,
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

#[derive(Debug)]
enum State {
    Start,
    LoginUsername,
    LoginPassword {
        username: String,
    },
    #[cfg(feature = "cram-md5")]
    CramResponse {
        challenge: String,
    },
    #[cfg(feature = "cram-md5")]
    CramAsked {
        identity: Identity,
        challenge: String,
        digest: String,
    },
    PasswordAsked {
        identity: Identity,
        password: Secret,
    },
    /// OAUTHBEARER, XOAUTH2, EXTERNAL, ANONYMOUS: the answer decides alone.
    Asked(Identity),
    /// The client was told why its token is refused, and must say that it heard.
    TokenRefused(Failure),
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
            bindings: ChannelBindings::none(),
            offers_plus: false,
            state: State::Start,
        }
    }

    /// Binds a -PLUS mechanism to the channel. `offered` is what the client was told of: if a -PLUS mechanism
    /// is among it, a client that could bind but did not see that has been deceived, and is refused
    /// (RFC 5802 §6).
    pub fn bound_to(mut self, bindings: &ChannelBindings, offered: &[Mechanism]) -> Self {
        self.bindings = bindings.clone();
        self.offers_plus = !bindings.is_empty() && offered.iter().any(|m| m.is_plus());
        self
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
        let step = match (core::mem::replace(&mut self.state, State::Over), response) {
            (State::Start, None) => Ok(self.first_challenge()),
            (State::Start, Some(response)) => self.first_response(response),
            (_, None) => Err(Failure::Malformed),
            (State::LoginUsername, Some(response)) => self.login_username(response),
            (State::LoginPassword { username }, Some(response)) => self.login_password(username, response),
            #[cfg(feature = "cram-md5")]
            (State::CramResponse { challenge }, Some(response)) => self.cram_response(challenge, response),
            (State::TokenRefused(failure), Some(_)) => Err(failure),
            (State::ScramProof { exchange, denied }, Some(response)) => {
                self.scram_proof(*exchange, denied, response)
            }
            (State::FinalData(identity), Some([])) => Ok(done(identity)),
            (State::FinalData(_) | State::Over, Some(_)) => Err(Failure::Malformed),
            (State::PasswordAsked { .. } | State::Asked(_) | State::ScramAsked(_), _) => {
                panic!("an answer is owed")
            }
            #[cfg(feature = "cram-md5")]
            (State::CramAsked { .. }, _) => panic!("an answer is owed"),
        };
        step.unwrap_or_else(ServerStep::Failed)
    }

    /// Takes the embedder's decision on the last [`ServerStep::Ask`].
    ///
    /// # Panics
    ///
    /// Panics if nothing was asked.
    pub fn answer(&mut self, answer: Answer) -> ServerStep {
        match (core::mem::replace(&mut self.state, State::Over), answer) {
            (State::ScramAsked(client), answer) => self.scram_answer(client, answer),
            (State::Asked(_), answer @ (Answer::Deny | Answer::Unavailable)) if self.has_token() => {
                self.state = State::TokenRefused(match answer {
                    Answer::Deny => Failure::Denied,
                    _ => Failure::Unavailable,
                });
                ServerStep::Challenge(oauth::refusal(self.mechanism).to_vec())
            }
            (State::PasswordAsked { identity, password }, Answer::Scram(stored)) => {
                admitted(stored.verify(&password), identity)
            }
            (State::PasswordAsked { identity, password }, Answer::Password(stored)) => {
                admitted(prep::password(&stored).as_ref() == &password, identity)
            }
            #[cfg(feature = "cram-md5")]
            (
                State::CramAsked {
                    identity,
                    challenge,
                    digest,
                },
                Answer::Password(stored),
            ) => {
                let password = prep::password(&stored);
                admitted(cram::verify(&password, challenge.as_bytes(), &digest), identity)
            }
            #[cfg(feature = "cram-md5")]
            (
                State::CramAsked {
                    challenge, digest, ..
                },
                Answer::Deny,
            ) => {
                // As much work as a wrong password makes.
                let _ = cram::verify(&Secret::from(self.nonce.as_str()), challenge.as_bytes(), &digest);
                ServerStep::Failed(Failure::Denied)
            }
            (
                State::PasswordAsked { mut identity, .. } | State::Asked(mut identity),
                Answer::AcceptAs(name),
            ) if !name.is_empty() => {
                identity.authcid = name;
                done(identity)
            }
            // Somebody without a name is nobody.
            (State::PasswordAsked { identity, .. } | State::Asked(identity), Answer::Accept)
                if !identity.authcid.is_empty() =>
            {
                done(identity)
            }
            (State::PasswordAsked { .. } | State::Asked(_), Answer::Deny) => {
                ServerStep::Failed(Failure::Denied)
            }
            (State::PasswordAsked { .. } | State::Asked(_), _) => ServerStep::Failed(Failure::Unavailable),
            #[cfg(feature = "cram-md5")]
            (State::CramAsked { .. }, _) => ServerStep::Failed(Failure::Unavailable),
            _ => panic!("no answer is owed"),
        }
    }

    /// Ends the exchange because the client cancelled it (the line `*` in mail protocols).
    pub fn abort(&mut self) -> ServerStep {
        self.state = State::Over;
        ServerStep::Failed(Failure::Aborted)
    }

    fn has_token(&self) -> bool {
        matches!(self.mechanism, Mechanism::OAuthBearer | Mechanism::XOAuth2)
    }

    fn first_challenge(&mut self) -> ServerStep {
        match self.mechanism {
            Mechanism::Login => {
                self.state = State::LoginUsername;
                ServerStep::Challenge(b"Username:".to_vec())
            }
            #[cfg(feature = "cram-md5")]
            Mechanism::CramMd5 => {
                let challenge = cram::challenge(&self.nonce);
                self.state = State::CramResponse {
                    challenge: challenge.clone(),
                };
                ServerStep::Challenge(challenge.into_bytes())
            }
            // RFC 4422 §5: where the client speaks first, it is asked to by an empty challenge.
            _ => {
                self.state = State::Start;
                ServerStep::Challenge(Vec::new())
            }
        }
    }

    fn first_response(&mut self, response: &[u8]) -> Result<ServerStep, Failure> {
        match self.mechanism {
            Mechanism::Plain => {
                let message = plain::Message::parse(response).ok_or(Failure::Malformed)?;
                let authzid = message.authzid.as_deref().map(prepared).transpose()?;
                Ok(self.ask_password(authzid, prepared(&message.authcid)?, message.password))
            }
            Mechanism::Login => self.login_username(response),
            #[cfg(feature = "cram-md5")]
            Mechanism::CramMd5 => Err(Failure::Malformed),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => self.token(response),
            Mechanism::External => self.external(response),
            Mechanism::Anonymous => self.anonymous(response),
            Mechanism::ScramSha256Plus
            | Mechanism::ScramSha256
            | Mechanism::ScramSha1Plus
            | Mechanism::ScramSha1 => self.scram_first(response),
        }
    }

    fn login_username(&mut self, response: &[u8]) -> Result<ServerStep, Failure> {
        let username = prepared(text(response)?)?;
        self.state = State::LoginPassword { username };
        Ok(ServerStep::Challenge(b"Password:".to_vec()))
    }

    fn login_password(&mut self, username: String, response: &[u8]) -> Result<ServerStep, Failure> {
        let password = Secret::from(text(response)?);
        Ok(self.ask_password(None, username, password))
    }

    fn ask_password(&mut self, authzid: Option<String>, username: String, password: Secret) -> ServerStep {
        let password = prep::password(&password).into_owned();
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

    #[cfg(feature = "cram-md5")]
    fn cram_response(&mut self, challenge: String, response: &[u8]) -> Result<ServerStep, Failure> {
        let (username, digest) = cram::parse(response).ok_or(Failure::Malformed)?;
        let username = prepared(username)?;
        self.state = State::CramAsked {
            identity: Identity::new(username.clone(), None),
            challenge,
            digest: digest.to_owned(),
        };
        Ok(ServerStep::Ask(Question::SharedSecret { username }))
    }

    fn token(&mut self, response: &[u8]) -> Result<ServerStep, Failure> {
        let message = oauth::Message::parse(self.mechanism, response).ok_or(Failure::Malformed)?;
        let username = match message.username.as_str() {
            "" if self.mechanism == Mechanism::OAuthBearer => String::new(),
            username => prepared(username)?,
        };
        self.state = State::Asked(Identity::new(username.clone(), None));
        Ok(ServerStep::Ask(Question::Token {
            username,
            token: message.token,
        }))
    }

    fn external(&mut self, response: &[u8]) -> Result<ServerStep, Failure> {
        let authzid = match response {
            [] => None,
            response => Some(prepared(text(response)?)?),
        };
        // Accepted without a name of its own, the client is the one it asks to be.
        let name = authzid.clone().unwrap_or_default();
        self.state = State::Asked(Identity::new(name, authzid.clone()));
        Ok(ServerStep::Ask(Question::External { authzid }))
    }

    fn anonymous(&mut self, response: &[u8]) -> Result<ServerStep, Failure> {
        let trace = core::str::from_utf8(response).map_err(|_| Failure::Malformed)?;
        if trace.chars().count() > MAX_TRACE || trace.chars().any(char::is_control) {
            return Err(Failure::Malformed);
        }
        self.state = State::Asked(Identity::new(ANONYMOUS, None));
        Ok(ServerStep::Ask(Question::Anonymous {
            trace: trace.to_owned(),
        }))
    }

    fn scram_first(&mut self, response: &[u8]) -> Result<ServerStep, Failure> {
        let mut client = ClientFirst::parse(response).ok_or(Failure::Malformed)?;
        match (&client.flag, self.mechanism.is_plus()) {
            // RFC 5802 §6: the client believes that -PLUS is not offered, but it is.
            (Flag::Unseen, false) if self.offers_plus => return Err(Failure::ChannelBinding),
            (Flag::Unable | Flag::Unseen, false) => {}
            (Flag::Bound(name), true) => {
                let data = self.bindings.named(name).ok_or(Failure::Malformed)?;
                client.binding = data.to_vec();
            }
            _ => return Err(Failure::Malformed),
        }
        client.authzid = client.authzid.as_deref().map(prepared).transpose()?;
        client.username = prepared(&client.username)?;
        let question = Question::Scram {
            authzid: client.authzid.clone(),
            username: client.username.clone(),
            hash: self.scram_hash(),
        };
        self.state = State::ScramAsked(client);
        Ok(ServerStep::Ask(question))
    }

    fn scram_answer(&mut self, client: ClientFirst, answer: Answer) -> ServerStep {
        let (credentials, denied) = match answer {
            Answer::Scram(credentials) if credentials.hash() == self.scram_hash() => (credentials, false),
            Answer::Deny => (self.decoy(&client.username), true),
            _ => return ServerStep::Failed(Failure::Unavailable),
        };
        let exchange = Box::new(Exchange::new(client, credentials, &self.nonce));
        let challenge = exchange.server_first().as_bytes().to_vec();
        self.state = State::ScramProof { exchange, denied };
        ServerStep::Challenge(challenge)
    }

    fn scram_proof(
        &mut self,
        exchange: Exchange,
        denied: bool,
        response: &[u8],
    ) -> Result<ServerStep, Failure> {
        match exchange.verify(response) {
            Verdict::Malformed => Err(Failure::Malformed),
            Verdict::OtherChannel => Err(Failure::ChannelBinding),
            Verdict::Right(server_final) if !denied => {
                let (authzid, authcid) = exchange.into_names();
                let identity = Identity::new(authcid, authzid);
                self.state = State::FinalData(identity.clone());
                Ok(ServerStep::Done {
                    identity,
                    final_data: Some(server_final.into_bytes()),
                })
            }
            Verdict::Right(_) | Verdict::WrongProof => Err(Failure::Denied),
        }
    }

    fn scram_hash(&self) -> ScramHash {
        self.mechanism
            .scram_hash()
            .expect("only exchanges of SCRAM come here")
    }

    fn decoy(&self, username: &str) -> ScramCredentials {
        ScramCredentials::decoy_with(
            self.scram_hash(),
            self.nonce.as_bytes(),
            username,
            ScramCredentials::DEFAULT_ITERATIONS,
        )
    }
}

fn admitted(right: bool, identity: Identity) -> ServerStep {
    match right {
        true => done(identity),
        false => ServerStep::Failed(Failure::Denied),
    }
}

fn done(identity: Identity) -> ServerStep {
    ServerStep::Done {
        identity,
        final_data: None,
    }
}

fn prepared(name: &str) -> Result<String, Failure> {
    prep::name(name)
        .map(std::borrow::Cow::into_owned)
        .ok_or(Failure::Malformed)
}

/// What a user types: not empty, without NUL, UTF-8.
fn text(response: &[u8]) -> Result<&str, Failure> {
    core::str::from_utf8(response)
        .ok()
        .filter(|t| !t.is_empty() && !t.contains('\0'))
        .ok_or(Failure::Malformed)
}
