//! The accounts file: read whole, written whole, never seen half-written.

use crate::config::{AccountEntry, AccountSection, ConfigError, PasswordLogins, Problems};
use crate::files::LockedFile;
use crate::names;
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::Path;

/// An accounts file that is about to be changed, locked against other writers.
///
/// Changes are in memory until [`save`](AccountsFile::save).
#[derive(Debug)]
pub struct AccountsFile {
    file: LockedFile,
    entries: Vec<AccountEntry>,
}

impl AccountsFile {
    /// Locks and reads the file. One that does not exist holds no accounts.
    ///
    /// # Errors
    ///
    /// When its folder cannot be written to, or the file is not understood.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let file = LockedFile::open(path)?;
        let entries = read(path)?.unwrap_or_default();
        Ok(Self { file, entries })
    }

    /// The accounts.
    pub fn entries(&self) -> &[AccountEntry] {
        &self.entries
    }

    /// The account of this name, whatever its case.
    pub fn entry(&mut self, name: &str) -> Option<&mut AccountEntry> {
        let name = names::key(name);
        self.entries
            .iter_mut()
            .find(|entry| names::key(entry.name.as_str()) == name)
    }

    /// Adds an account, or takes its place if it is there.
    pub fn put(&mut self, entry: AccountEntry) {
        match self.entry(entry.name.as_str()) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    /// Removes the account of this name, whatever its case; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let name = names::key(name);
        let before = self.entries.len();
        self.entries
            .retain(|entry| names::key(entry.name.as_str()) != name);
        self.entries.len() < before
    }

    /// Writes the accounts beside the file and puts them in its place, so that a reader sees either the old
    /// or the new ones, whatever happens meanwhile.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the file is as it was then.
    pub fn save(&self) -> io::Result<()> {
        self.file.replace(&render(&self.entries))
    }
}

/// Reads the accounts of a file; `None` if it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<Vec<AccountEntry>>, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Accounts {
        #[serde(default)]
        account: Vec<toml::Spanned<AccountSection>>,
    }

    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(ConfigError::unreadable(
                path,
                &error,
                "let the server's user read it",
            ));
        }
    };
    let accounts: Accounts =
        toml::from_str(&text).map_err(|error| ConfigError::syntax(path, &text, &error))?;
    let mut found = Problems::new(path, &text);
    let mut entries = Vec::new();
    for section in accounts.account {
        let span = section.span();
        let entry = AccountEntry::from(section.into_inner());
        if let Err((what, help)) = entry.check() {
            found.add(Some(span), format!("{}: {what}", entry.name), Some(help));
        }
        entries.push(entry);
    }
    found.finish(Some(entries))
}

fn render(entries: &[AccountEntry]) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text = String::from("# The accounts of this server. `mailwright account` edits this file.\n");
    for entry in entries {
        text += &format!("\n[[account]]\nname = {}\n", quoted(entry.name.as_str()));
        for (key, value) in [("password", &entry.password), ("scram", &entry.scram)] {
            if let Some(value) = value {
                text += &format!("{key} = {}\n", quoted(value));
            }
        }
        if !entry.app_passwords.is_empty() {
            let lines: String = entry
                .app_passwords
                .iter()
                .map(|one| {
                    let scope: Vec<_> = one.scope.iter().map(|service| format!("\"{service}\"")).collect();
                    format!(
                        "    {{ label = {}, scope = [{}], created = {}, hash = {} }},\n",
                        quoted(&one.label),
                        scope.join(", "),
                        one.created,
                        quoted(one.hash()),
                    )
                })
                .collect();
            text += &format!("app_passwords = [\n{lines}]\n");
        }
        if entry.password_logins == PasswordLogins::AppOnly {
            text += "password_logins = \"app-only\"\n";
        }
        if !entry.send_as.is_empty() {
            let addresses: Vec<_> = entry.send_as.iter().map(|one| quoted(one.as_str())).collect();
            text += &format!("send_as = [{}]\n", addresses.join(", "));
        }
        if let Some(quota) = &entry.quota {
            let storage = quota
                .storage
                .map(|octets| format!("storage = {}", quoted(&octets.to_string())));
            let messages = quota.messages.map(|messages| format!("messages = {messages}"));
            let bounds: Vec<_> = storage.into_iter().chain(messages).collect();
            text += &format!("quota = {{ {} }}\n", bounds.join(", "));
        }
        if entry.admin {
            text += "admin = true\n";
        }
        if let Some(disabled) = entry.disabled {
            text += &format!("disabled = \"{disabled}\"\n");
        }
        if !entry.certificates.is_empty() {
            let all: Vec<_> = entry
                .certificates
                .iter()
                .map(|one| quoted(&one.to_string()))
                .collect();
            text += &format!("certificates = [{}]\n", all.join(", "));
        }
        if !entry.imap_without.is_empty() {
            let names: Vec<_> = entry.imap_without.iter().map(|name| quoted(name)).collect();
            text += &format!("imap_without = [{}]\n", names.join(", "));
        }
        if !entry.forward.is_empty() {
            let addresses: Vec<_> = entry
                .forward
                .iter()
                .map(|address| quoted(address.as_str()))
                .collect();
            text += &format!("forward = [{}]\n", addresses.join(", "));
        }
        if !entry.keep_copy {
            text += "keep_copy = false\n";
        }
        if let Some(vacation) = &entry.vacation {
            text += &format!("vacation = {}\n", vacation.to_toml());
        }
    }
    text
}
