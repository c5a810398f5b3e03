//! AUTH with every mechanism (RFC 4954): the same conversation at both ends, at every fragmentation.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod support;

use mailwright_sasl::{ChannelBindings, Credentials, Mechanism};
use mailwright_smtp::Protocol;
use mailwright_wire::testing::{Role, run_transcript};
use support::{ClientFixture, PASSWORD, ServerFixture, TOKEN, USER, client_config, server_config};

/// A conversation up to the reply that decides, and how each end goes on.
macro_rules! transcripts {
    ($($name:ident: $login:expr, $server:expr, $client:expr;)*) => {$(
        #[test]
        fn $name() {
            let shared = include_str!(concat!("transcripts/sasl/", stringify!($name), ".txt"));
            let login: Login = $login;
            run_transcript(Role::Server, &format!("{shared}{}", $server), || login.server());
            run_transcript(Role::Client, &format!("{shared}{}", $client), || login.client());
        }
    )*};
}

const QUIT: &str = "C: QUIT\nS: 221 2.0.0 Goodbye\nEND: close\n";
const OPEN: &str = "C: NOOP\nS: 250 2.0.0 OK\nEND: open\n";
const REFUSED: &str = "C: QUIT\nEND: error refused at AUTH: 535 5.7.8 Authentication credentials invalid\n";

transcripts! {
    external: by(Mechanism::External, Credentials::external()), QUIT, QUIT;
    external_acting_as: by(Mechanism::External, Credentials::external().acting_as(USER)), QUIT, QUIT;
    external_refused: by(Mechanism::External, Credentials::external().acting_as("bob")), OPEN, REFUSED;
    anonymous: by(Mechanism::Anonymous, Credentials::anonymous("sirhc")), QUIT, QUIT;
    oauthbearer: by(
        Mechanism::OAuthBearer,
        Credentials::token(USER, TOKEN).at_server("mx.example", 587),
    ), QUIT, QUIT;
    oauthbearer_refused: by(Mechanism::OAuthBearer, Credentials::token("", "stale")), OPEN, REFUSED;
    xoauth2: by(Mechanism::XOAuth2, Credentials::token(USER, TOKEN)), QUIT, QUIT;
    xoauth2_refused: by(Mechanism::XOAuth2, Credentials::token(USER, "stale")), OPEN, REFUSED;
    plain: by(Mechanism::Plain, password()), QUIT, QUIT;
    login: by(Mechanism::Login, password()), QUIT, QUIT;
    cram_md5: by(Mechanism::CramMd5, password()), QUIT, QUIT;
    cram_md5_refused: by(Mechanism::CramMd5, Credentials::new(USER, "mirror")), OPEN, REFUSED;
    scram_sha_1: by(Mechanism::ScramSha1, password()), QUIT, QUIT;
    scram_sha_256: by(Mechanism::ScramSha256, password()), QUIT, QUIT;
    scram_sha_256_refused: by(Mechanism::ScramSha256, Credentials::new(USER, "mirror")), OPEN, REFUSED;
    // RFC 9266: what the connection exports.
    scram_sha_1_plus: bound(Mechanism::ScramSha1Plus, exporter(1), exporter(1)), QUIT, QUIT;
    scram_sha_256_plus: bound(Mechanism::ScramSha256Plus, exporter(1), exporter(1)), QUIT, QUIT;
    // RFC 5929 §4: the certificate, where the connection exports nothing.
    scram_sha_256_plus_end_point: bound(Mechanism::ScramSha256Plus, end_point(), end_point()), QUIT, QUIT;
    // RFC 5802 §6: somebody stands in between, with a channel to each end.
    scram_sha_256_plus_misbound: bound(Mechanism::ScramSha256Plus, exporter(1), exporter(2)), OPEN, REFUSED;
}

/// A server that offers one mechanism, and a client that has something for it.
struct Login {
    mechanism: Mechanism,
    credentials: Credentials,
    server: ChannelBindings,
    client: ChannelBindings,
}

fn by(mechanism: Mechanism, credentials: Credentials) -> Login {
    Login {
        mechanism,
        credentials,
        server: ChannelBindings::none(),
        client: ChannelBindings::none(),
    }
}

fn bound(mechanism: Mechanism, server: ChannelBindings, client: ChannelBindings) -> Login {
    Login {
        server,
        client,
        ..by(mechanism, password())
    }
}

fn password() -> Credentials {
    Credentials::new(USER, PASSWORD)
}

fn exporter(of: u8) -> ChannelBindings {
    ChannelBindings::none().with_tls_exporter(&[of; 32])
}

fn end_point() -> ChannelBindings {
    ChannelBindings::none().with_tls_server_end_point(&[3; 32])
}

impl Login {
    fn server(&self) -> ServerFixture {
        let mut config = server_config(Protocol::Submission);
        config.extensions.auth = true;
        config.mechanisms = vec![self.mechanism];
        ServerFixture::new(config)
            .over_tls()
            .bound_to(self.server.clone())
    }

    fn client(&self) -> ClientFixture {
        let mut config = client_config(Protocol::Submission);
        config.mechanisms = vec![self.mechanism];
        config.credentials = Some(self.credentials.clone());
        ClientFixture::new(config)
            .over_tls()
            .bound_to(self.client.clone())
    }
}
