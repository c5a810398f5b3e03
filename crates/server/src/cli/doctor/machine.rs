//! The machine: permissions, disk.

use super::{Bounds, Findings};
use crate::cli::queue::size;
use mailwright_server::Config;
use mailwright_server::tls::self_made_certificate;
use std::fs::Metadata;
use std::path::Path;

/// Who may read what, and whose it is.
#[cfg(unix)]
pub(super) fn permissions(config: &Config, file: &Path, findings: &mut Findings) {
    const CHECK: &str = "permissions";
    use std::os::unix::fs::MetadataExt as _;

    let Some(data) = look(CHECK, &config.data, findings) else {
        return;
    };
    narrow(&config.data, &data, 0o077, "0700", "all mail", findings);
    let secrets = [
        (Some(config.accounts_file.as_path()), "the hashes of passwords"),
        (
            config
                .outbound
                .smart_host
                .as_ref()
                .and_then(|host| Some(host.login.as_ref()?.password_file.as_path())),
            "a password",
        ),
    ];
    let keys = config
        .dkim
        .iter()
        .map(|key| (Some(key.file.as_path()), "a key to sign with"));
    for (path, what) in secrets.into_iter().chain(keys) {
        let Some(path) = path else { continue };
        if path.exists()
            && let Some(metadata) = look(CHECK, path, findings)
        {
            narrow(path, &metadata, 0o077, "0600", what, findings);
        }
    }
    let self_made = self_made_certificate(config);
    let listeners = config.listeners.iter().filter_map(|it| it.certificate.as_ref());
    for files in config.certificate.iter().chain(listeners).chain([&self_made]) {
        if let Ok(metadata) = std::fs::metadata(&files.key) {
            // A group for those who use certificates is a custom.
            narrow(
                &files.key,
                &metadata,
                0o027,
                "0640",
                "the key of a certificate",
                findings,
            );
        }
    }
    if let Some(metadata) = look(CHECK, file, findings) {
        let (unwanted, mode, what) = match config.accounts.is_empty() {
            true => (0o022, "0640", "the configuration, to write"),
            false => (0o027, "0640", "the hashes of passwords"),
        };
        narrow(file, &metadata, unwanted, mode, what, findings);
    }
    let own = (data.uid(), data.gid());
    let mut strange = Vec::new();
    let inside = [&config.data, &config.data.join("mail"), &config.data.join("tls")];
    let entries = inside
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten();
    for entry in entries.filter_map(Result::ok) {
        if entry.metadata().is_ok_and(|metadata| metadata.uid() != own.0) {
            strange.push(entry.path().display().to_string());
        }
    }
    if strange.is_empty() {
        return findings.ok(
            "owner",
            config.data.display(),
            format!("user {} owns all of it", own.0),
        );
    }
    strange.sort_unstable();
    strange.truncate(5);
    findings.fail(
        "owner",
        config.data.display(),
        format!("another user than that of the folder owns {}", strange.join(", ")),
        format!("chown -R {}:{} {}", own.0, own.1, config.data.display()),
    );
}

#[cfg(not(unix))]
pub(super) fn permissions(_: &Config, _: &Path, _: &mut Findings) {}

/// Looks at a file; says why that cannot be done.
fn look(check: &'static str, path: &Path, findings: &mut Findings) -> Option<Metadata> {
    match std::fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let advice = "the server makes it when it starts; if it has run already, correct `data`";
            findings.warn(check, path.display(), "it is not there", advice);
            None
        }
        Err(error) => {
            findings.unknown(
                check,
                path.display(),
                error,
                "run the doctor as root, or as the server's user",
            );
            None
        }
    }
}

#[cfg(unix)]
fn narrow(path: &Path, metadata: &Metadata, unwanted: u32, mode: &str, what: &str, findings: &mut Findings) {
    let own = std::os::unix::fs::MetadataExt::mode(metadata) & 0o7777;
    let about = path.display();
    match own & unwanted {
        0 => findings.ok("permissions", about, format!("mode {own:04o}")),
        _ => findings.fail(
            "permissions",
            &about,
            format!("mode {own:04o} opens {what} to others"),
            format!("chmod {mode} {about}"),
        ),
    }
}

/// Whether there is room for mail.
#[cfg(unix)]
pub(super) fn disk(config: &Config, bounds: &Bounds, findings: &mut Findings) {
    let about = config.data.display();
    let Ok(disk) = rustix::fs::statvfs(&config.data) else {
        return findings.unknown(
            "disk.space",
            about,
            "the disk cannot be asked",
            "see whether the data folder is there, and may be looked into",
        );
    };
    let octets = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    let (free, whole) = (octets(disk.f_bavail), octets(disk.f_blocks));
    let seen = format!("{} of {} are free", size(free), size(whole));
    let advice = "make room: without it mail is turned away with 452, and waits where it comes from";
    match free {
        _ if free < bounds.min_free.0 => findings.fail(
            "disk.space",
            &about,
            format!("{seen}, less than {}", size(bounds.min_free.0)),
            advice,
        ),
        _ if free < whole / 20 => findings.warn("disk.space", &about, seen, advice),
        _ => findings.ok("disk.space", &about, seen),
    }
    let (free, whole) = (disk.f_favail, disk.f_files);
    let advice = "remove files, or make the file system anew with more inodes";
    let seen = format!("there is room for {free} of {whole} files");
    match free {
        _ if whole == 0 => findings.ok("disk.files", &about, "the file system has as many as it needs"),
        _ if free < bounds.min_free_files => findings.fail("disk.files", &about, seen, advice),
        _ if free < whole / 20 => findings.warn("disk.files", &about, seen, advice),
        _ => findings.ok("disk.files", &about, seen),
    }
}

#[cfg(not(unix))]
pub(super) fn disk(config: &Config, _: &Bounds, findings: &mut Findings) {
    findings.unknown(
        "disk.space",
        config.data.display(),
        "this system is not asked",
        "look yourself",
    );
}
