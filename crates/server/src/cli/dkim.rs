//! `mailwright dkim`: keys that mail is signed with (RFC 6376 §3.3, RFC 8463).

use super::place::create;
use super::{Failure, rsa, terminal};
use clap::{Args, Subcommand, ValueEnum};
use mailwright_address::Domain;
use mailwright_auth::crypto::{RingKey, SigningKey};
use mailwright_server::keys::read_key;
use mailwright_server::shared::entropy;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a private key, and tell what to publish and what to write into the configuration.
    Keygen {
        /// The domain that will answer for the mail.
        domain: Domain,
        /// The selector, under which the key is published. A key that takes the place of another needs another one.
        selector: Domain,
        /// The file to make, which must not be there.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The kind of key. Not all receivers know Ed25519: sign with both.
        #[arg(long, value_enum, default_value_t = Kind::Rsa)]
        kind: Kind,
    },
    /// Tell what to publish for a private key.
    Txt {
        /// The file with the key, in PEM.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// A kind of key.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    /// RSA of 2048 bits, which every receiver knows.
    Rsa,
    /// Ed25519: short, and not known everywhere.
    Ed25519,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Keygen {
            domain,
            selector,
            file,
            kind,
        } => keygen(&domain, &selector, &file, kind),
        Command::Txt { file } => {
            terminal::print(&format!("{}\n", key(&file)?.record()));
            Ok(())
        }
    }
}

fn keygen(domain: &Domain, selector: &Domain, file: &Path, kind: Kind) -> Result<(), Failure> {
    make(file, kind)?;
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let absolute = std::path::absolute(file).map_err(failed)?;
    terminal::print(&format!(
        "; Publish this first, and wait until it is known:\n\
         {selector}._domainkey.{domain}. IN TXT ( {} )\n\n\
         # Then add this to the configuration, and restart:\n\
         [[dkim]]\ndomain = \"{domain}\"\nselector = \"{selector}\"\nkey = {:?}\n",
        mailwright_server::publish::quote(&key(file)?.record()),
        absolute.display().to_string(),
    ));
    Ok(())
}

/// Makes a key of this kind in a file that is not there.
pub(super) fn make(file: &Path, kind: Kind) -> Result<(), Failure> {
    let pem = match kind {
        Kind::Rsa => rsa::make(),
        Kind::Ed25519 => RingKey::ed25519_pem(&entropy()),
    };
    // What is written must be what can be read.
    RingKey::from_pem(&pem)?;
    create(file, &pem, 0o600)
}

fn key(file: &Path) -> Result<RingKey, Failure> {
    read_key(file).map_err(|error| format!("{}: {error}", file.display()).into())
}
