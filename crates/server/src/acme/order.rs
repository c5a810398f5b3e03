//! One order: from a name to its certificate (RFC 8555 §7.4)

use super::carrier::Carrier;
use crate::config::{Acme, CertificateFiles};
use crate::dns::Dns;
use crate::files::replace;
use crate::http::Client;
use crate::shared::Shared;
use crate::tls::{Challenges, Tls, fits};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use mailwright_address::Domain;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why there is no certificate.
type Failure = Box<dyn Error + Send + Sync>;

/// How long the ACME server may take for its look, and to write the certificate.
const PATIENCE: Duration = Duration::from_secs(120);

/// Orders certificates.
pub(super) struct Orders<'a> {
    acme: &'a Acme,
    folder: PathBuf,
    dns: Dns,
    challenges: Challenges,
    account: Option<Account>,
}

impl<'a> Orders<'a> {
    pub(super) fn new<S>(shared: &Shared<S>, acme: &'a Acme) -> Self {
        Self {
            acme,
            folder: Acme::folder(&shared.config.data),
            dns: shared.dns.clone(),
            challenges: shared.tls.challenges().clone(),
            account: None,
        }
    }

    /// Gets a certificate, and puts it into its files.
    pub(super) async fn obtain(&mut self, name: &Domain, files: &CertificateFiles) -> Result<(), Failure> {
        let ascii = name.to_ascii()?.to_string().to_lowercase();
        let challenges = self.challenges.clone();
        let names = [Identifier::Dns(ascii.clone())];
        let account = self.account().await?;
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        let mut answered = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                status => return Err(format!("the authorization is {status:?}").into()),
            }
            let mut challenge = authorization
                .challenge(ChallengeType::TlsAlpn01)
                .ok_or("the server has no challenge of the kind TLS-ALPN-01")?;
            answered.push(challenges.answer(&ascii, challenge.key_authorization().digest().as_ref())?);
            challenge.set_ready().await?;
        }
        let policy = RetryPolicy::new().timeout(PATIENCE);
        if order.poll_ready(&policy).await? != OrderStatus::Ready {
            return Err(refusal(&mut order).await.into());
        }
        drop(answered);
        let key = match std::fs::read_to_string(&files.key) {
            Ok(pem) => rcgen::KeyPair::from_pem(&pem)?,
            Err(_) => rcgen::KeyPair::generate()?,
        };
        let mut params = rcgen::CertificateParams::new([ascii])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        order.finalize_csr(params.serialize_request(&key)?.der()).await?;
        let chain = order.poll_certificate(&policy).await?;
        let key = key.serialize_pem();
        fits(&chain, &key)?;
        // The key first: a certificate whose key is not there yet could not be used.
        std::fs::create_dir_all(&self.folder)?;
        if std::fs::read_to_string(&files.key).ok().as_deref() != Some(&*key) {
            replace_file(&files.key, &key)?;
        }
        replace_file(&files.certificate, &chain)
    }

    /// The account: the one that is kept, if it is with the same server.
    async fn account(&mut self) -> Result<Account, Failure> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let tls = Tls::trusting(self.acme.ca.as_deref())?;
        let client = Client::new(self.dns.clone(), tls);
        let builder = Account::builder_with_http(Box::new(Carrier(client)));
        let file = self.folder.join("account.json");
        let account = match kept(&file, &self.acme.directory) {
            Some(credentials) => builder.from_credentials(credentials).await?,
            None => {
                let contact: Vec<_> = self
                    .acme
                    .contact
                    .iter()
                    .map(|to| format!("mailto:{to}"))
                    .collect();
                let contact: Vec<_> = contact.iter().map(String::as_str).collect();
                let wanted = NewAccount {
                    contact: &contact,
                    terms_of_service_agreed: true,
                    only_return_existing: false,
                };
                let made = builder.create(&wanted, self.acme.directory.clone(), None).await?;
                let (account, credentials) = made;
                std::fs::create_dir_all(&self.folder)?;
                replace_file(&file, &serde_json::to_string(&credentials)?)?;
                tracing::info!(
                    directory = self.acme.directory,
                    "an account was made with the ACME server"
                );
                account
            }
        };
        Ok(self.account.insert(account).clone())
    }
}

/// The account of a file, if it is one with this server.
fn kept(file: &Path, directory: &str) -> Option<AccountCredentials> {
    let text = std::fs::read_to_string(file).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    (value["directory"] == directory).then(|| serde_json::from_value(value).ok())?
}

/// What the server says was wrong.
async fn refusal(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let Ok(mut authorization) = authorization else {
            continue;
        };
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        if let Some(problem) = state.challenges.iter().find_map(|one| one.error.as_ref()) {
            return problem.to_string();
        }
    }
    "the server does not say why".to_owned()
}

fn replace_file(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}
