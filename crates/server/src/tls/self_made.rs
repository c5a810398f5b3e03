//! A certificate of one's own making, for as long as there is no better one

use super::TlsError;
use crate::clock::unix_now;
use crate::config::CertificateFiles;
use crate::files::private;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// The file names of the self-made certificate in the data folder.
pub(super) fn self_made_files(folder: &Path) -> CertificateFiles {
    CertificateFiles::new(folder.join("self-made.crt"), folder.join("self-made.key"))
}

/// The self-made certificate of `folder`; made if there is none for this name, or it gets old.
pub(super) fn self_made(folder: &Path, hostname: &str) -> Result<CertificateFiles, TlsError> {
    /// Renewed after 700 days of the 820 it is valid: systems refuse certificates of more than 825.
    const RENEW_AFTER: u64 = 700 * 86_400;

    let files = self_made_files(folder);
    let names = folder.join("self-made.names");
    let young = |path: &Path| {
        let age = fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()?;
        Some(age.as_secs() < RENEW_AFTER)
    };
    let ours = fs::read_to_string(&names).is_ok_and(|text| text == hostname);
    if ours && files.key.exists() && young(&files.certificate) == Some(true) {
        return Ok(files);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| TlsError::File { path, error }
    };
    let (certificate, key) = make_certificate(hostname).map_err(|error| TlsError::Content {
        path: files.certificate.clone(),
        what: error.to_string(),
    })?;
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let write = |path: &Path, text: &str| {
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    // The names come last: they say that the two before them are complete.
    let _ = fs::remove_file(&names);
    write(&files.key, &key).map_err(failed(&files.key))?;
    write(&files.certificate, &certificate).map_err(failed(&files.certificate))?;
    write(&names, hostname).map_err(failed(&names))?;
    Ok(files)
}

/// Certificate and key, both PEM.
fn make_certificate(hostname: &str) -> Result<(String, String), rcgen::Error> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if hostname != "localhost" && hostname.is_ascii() {
        names.insert(0, hostname.to_owned());
    }
    let mut params = rcgen::CertificateParams::new(names)?;
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(
        rcgen::DnType::CommonName,
        format!("{hostname} (self-made by Mailwright)"),
    );
    params.distinguished_name = subject;
    let day = |days_from_today: i64| {
        let seconds = unix_now() + days_from_today * 86_400;
        let date = jiff::Timestamp::from_second(seconds)
            .unwrap_or_default()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        rcgen::date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    // From yesterday on: clocks differ.
    params.not_before = day(-1);
    params.not_after = day(819);
    params
        .extended_key_usages
        .push(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
