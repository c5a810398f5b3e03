//! Certificates: whether they can be used, for how long, for which names, and who vouches for them.

use super::{Bounds, Findings};
use mailwright_server::config::{CertificateFiles, Config, TlsMode};
use mailwright_server::tls::{Tls, self_made_certificate};
use mailwright_server::unix_now;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

const DAY: u64 = 86_400;

pub(super) fn examine(config: &Config, bounds: &Bounds, findings: &mut Findings) {
    if config
        .listeners
        .iter()
        .all(|listener| listener.tls == TlsMode::None)
    {
        return;
    }
    // Whether they can be read at all, and the keys belong to them.
    if let Err(error) = Tls::check(config) {
        let advice =
            "name a PEM file with the chain, the server's own certificate first, and one with its key";
        return findings.fail("certificate", "files", error, advice);
    }
    let mut all: Vec<(&CertificateFiles, bool)> = Vec::new();
    let self_made = self_made_certificate(config);
    match &config.certificate {
        Some(files) => all.push((files, false)),
        None if self_made.certificate.exists() => all.push((&self_made, true)),
        None => findings.warn(
            "certificate",
            "files",
            "none is configured: the server makes one itself when it starts",
            "mail programs ask about such a certificate: get one from an authority, and name it in [tls]",
        ),
    }
    for files in config
        .listeners
        .iter()
        .filter_map(|listener| listener.certificate.as_ref())
    {
        if !all.iter().any(|(known, _)| *known == files) {
            all.push((files, false));
        }
    }
    for (files, is_self_made) in all {
        one(config, bounds, files, is_self_made, findings);
    }
}

fn one(
    config: &Config,
    bounds: &Bounds,
    files: &CertificateFiles,
    is_self_made: bool,
    findings: &mut Findings,
) {
    let about = files.certificate.display();
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect);
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => return findings.fail("certificate", about, "it holds no certificate", "name a PEM file"),
        Err(error) => {
            let advice = "let this user read it: run the doctor as root, or as the server's user";
            return findings.unknown("certificate", about, error, advice);
        }
    };
    let (leaf, others) = (&chain[0], &chain[1..]);
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else {
        let advice = "have it made anew, as X.509 version 3";
        return findings.fail("certificate", about, "it is not understood", advice);
    };
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    // Whom this server trusts beside the public authorities may have made its own certificate.
    if let Some(extra) = &config.outbound.ca
        && let Ok(certificates) = CertificateDer::pem_file_iter(extra)
    {
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.expect("there are public authorities");
    let now = u64::try_from(unix_now()).unwrap_or_default();
    let hostname = ServerName::try_from(config.hostname.as_str().to_owned()).ok();
    let verified_at = |seconds: u64| {
        let name = hostname.clone().unwrap_or_else(|| {
            ServerName::try_from("invalid.invalid").expect("it is a name of the right form")
        });
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        match verifier.verify_server_cert(leaf, others, &name, &[], time) {
            Err(Error::InvalidCertificate(error)) => Some(error),
            _ => None,
        }
    };
    // The verifier tells of no date but that which is not met.
    let end = match verified_at(u64::from(u32::MAX) * 16) {
        Some(CertificateError::ExpiredContext { not_after, .. }) => Some(not_after.as_secs()),
        _ => None,
    };
    let renew = if is_self_made {
        "delete it, and restart the server: it makes another one"
    } else {
        "renew it, and see why that is not done by itself"
    };
    match (verified_at(now), end) {
        (Some(CertificateError::NotValidYetContext { not_before, .. }), _) => findings.fail(
            "certificate.dates",
            &about,
            format!("it is not valid before {}", date(not_before.as_secs())),
            "set the clock, or have it made anew",
        ),
        (_, Some(end)) if end < now => {
            findings.fail(
                "certificate.dates",
                &about,
                format!("it has expired on {}", date(end)),
                renew,
            );
        }
        (_, Some(end)) if end - now < u64::from(bounds.certificate_days) * DAY => findings.warn(
            "certificate.dates",
            &about,
            format!("it expires on {}, in {} days", date(end), (end - now) / DAY),
            renew,
        ),
        (_, Some(end)) => findings.ok(
            "certificate.dates",
            &about,
            format!("it is valid until {}", date(end)),
        ),
        (_, None) => findings.unknown(
            "certificate.dates",
            &about,
            "until when it is valid is not known",
            "look: openssl x509 -enddate -noout -in FILE",
        ),
    }
    match &hostname {
        Some(name) if verify_server_name(&parsed, name).is_ok() => findings.ok(
            "certificate.names",
            &about,
            format!("it is for {}", config.hostname),
        ),
        _ => findings.fail(
            "certificate.names",
            &about,
            format!("it is not for {}", config.hostname),
            "have one made for the server's `hostname`: other servers and mail programs look for it",
        ),
    }
    let is_of_dates_or_names = |error: &CertificateError| {
        use CertificateError as Error;
        matches!(
            error,
            Error::ExpiredContext { .. }
                | Error::NotValidYetContext { .. }
                | Error::NotValidForName
                | Error::NotValidForNameContext { .. }
        )
    };
    let is_distrusted = verified_at(now).is_some_and(|error| !is_of_dates_or_names(&error));
    match (is_self_made, is_distrusted) {
        (true, _) => findings.warn(
            "certificate.trust",
            &about,
            "it is self-made",
            "mail programs ask about it: get one from an authority, and name it in [tls]",
        ),
        (false, true) => findings.warn(
            "certificate.trust",
            &about,
            "no authority that is known vouches for it",
            "let the file hold the whole chain, the intermediate certificates behind the server's own",
        ),
        (false, false) => findings.ok(
            "certificate.trust",
            &about,
            format!("its chain has {} certificates", chain.len()),
        ),
    }
}

fn date(seconds: u64) -> String {
    let second = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(second).map_or_else(
        |_| "a day far away".to_owned(),
        |moment| moment.strftime("%Y-%m-%d").to_string(),
    )
}
