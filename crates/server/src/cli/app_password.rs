//! `mailwright account app-password`: passwords of single programs and devices.

use super::account_files::AccountFiles;
use super::{Failure, terminal};
use clap::Subcommand;
use mailwright_address::EmailAddress;
use mailwright_server::accounts::{AccountsFile, last_use};
use mailwright_server::config::{AppPassword, Service};
use mailwright_server::shared::{entropy, unix_now};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a password for one program or device, and print it. Nobody can print it again.
    ///
    /// It works with the mechanisms PLAIN and LOGIN. SCRAM, which cannot tell several passwords apart, is offered to
    /// nobody while any account has one.
    Add {
        /// The address of the account.
        name: EmailAddress,
        /// What to call it: "phone", "laptop".
        #[arg(long)]
        label: String,
        /// What it may be used for; without it, for everything.
        #[arg(long, value_delimiter = ',', value_name = "imap,smtp,pop3")]
        scope: Vec<Service>,
    },
    /// List the application passwords of an account: what they are called and for, when they were made and last used.
    List {
        /// The address of the account.
        name: EmailAddress,
    },
    /// Remove an application password. Sessions of the account that began while it was there end.
    Remove {
        /// The address of the account.
        name: EmailAddress,
        /// What it is called.
        #[arg(long)]
        label: String,
    },
}

pub(super) fn run(place: &AccountFiles, command: Command) -> Result<(), Failure> {
    match command {
        Command::Add { name, label, scope } => add(place, &name, &label, scope),
        Command::List { name } => list(place, &name),
        Command::Remove { name, label } => remove(place, &name, &label),
    }
}

fn add(place: &AccountFiles, name: &EmailAddress, label: &str, scope: Vec<Service>) -> Result<(), Failure> {
    if label.is_empty() || label.len() > 100 || label.contains(char::is_control) {
        return Err("a label has 1 to 100 octets, and no control characters".into());
    }
    let (made, password) = AppPassword::generate(label, scope, unix_now(), &entropy());
    change(place, name, |passwords| {
        if passwords.iter().any(|one| one.label == label) {
            return Err(format!("{name} has an application password \"{label}\": remove it first").into());
        }
        if passwords.len() >= AppPassword::MOST {
            return Err(format!("{name} has {} of them: remove some first", AppPassword::MOST).into());
        }
        passwords.push(made);
        Ok(())
    })?;
    terminal::print(&format!("{}\n", password.as_str().unwrap_or_default()));
    Ok(())
}

fn list(place: &AccountFiles, name: &EmailAddress) -> Result<(), Failure> {
    let mut file = AccountsFile::open(&place.accounts_file)?;
    let entry = file.entry(name.as_str()).ok_or_else(|| unknown(place, name))?;
    let mut text = String::new();
    for one in &entry.app_passwords {
        let scope: Vec<_> = one.scope.iter().map(ToString::to_string).collect();
        let scope = match scope.is_empty() {
            true => "everything".to_owned(),
            false => scope.join(","),
        };
        // One of the same label that was removed may have been used before.
        let used = last_use(&place.logins_file, entry.name.as_str(), &one.label)?;
        let used = used
            .filter(|used| *used >= one.created)
            .map_or_else(|| "never".to_owned(), date);
        text += &format!(
            "{}\t{scope}\tmade {}\tlast used {used}\n",
            one.label,
            date(one.created)
        );
    }
    terminal::print(&text);
    Ok(())
}

fn remove(place: &AccountFiles, name: &EmailAddress, label: &str) -> Result<(), Failure> {
    change(place, name, |passwords| {
        let before = passwords.len();
        passwords.retain(|one| one.label != label);
        match passwords.len() < before {
            true => Ok(()),
            false => Err(format!(
                "{name} has no application password \"{label}\"; `mailwright account app-password list {name}` tells \
                 which there are"
            )
            .into()),
        }
    })?;
    terminal::print(&format!("\"{label}\" of {name} is removed\n"));
    Ok(())
}

fn change(
    place: &AccountFiles,
    name: &EmailAddress,
    change: impl FnOnce(&mut Vec<AppPassword>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut file = AccountsFile::open(&place.accounts_file)?;
    let entry = file.entry(name.as_str()).ok_or_else(|| unknown(place, name))?;
    change(&mut entry.app_passwords)?;
    file.save()?;
    Ok(())
}

fn unknown(place: &AccountFiles, name: &EmailAddress) -> Failure {
    place.is_of_config(name).unwrap_or_else(|| {
        format!("there is no account {name}; `mailwright account list` tells who is").into()
    })
}

fn date(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).map_or_else(
        |_| unix.to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}
