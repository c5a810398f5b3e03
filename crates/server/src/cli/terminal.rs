//! Talking with a person: output that may be cut off, and passwords.

use super::Failure;
use mailwright_sasl::Secret;
use std::io::{self, BufRead, IsTerminal, Write};

/// Prints to the standard output; a reader that has enough (`| head`) is no failure.
pub(super) fn print(text: &str) {
    let _ = io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| io::stdout().flush());
}

/// Asks for a password, twice and unseen. Without a terminal, the first line of the standard input is one.
pub(super) fn ask_password() -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return checked(read_line()?);
    }
    let first = ask_unseen("Password: ")?;
    let second = ask_unseen("Once more: ")?;
    if first != second {
        return Err("the two passwords differ; nothing was changed".into());
    }
    checked(first)
}

/// Asks for a password that is known, unseen. Without a terminal, the first line of the standard input is it.
pub(super) fn ask_known_password(prompt: &str) -> Result<Secret, Failure> {
    match io::stdin().is_terminal() {
        true => ask_unseen(prompt),
        false => read_line(),
    }
}

fn checked(password: Secret) -> Result<Secret, Failure> {
    match password.as_str() {
        None => Err("the password is not UTF-8, which mail programs cannot send".into()),
        Some("") => Err("the password is empty".into()),
        Some(text) if text.contains(char::is_control) => Err("the password holds a control character".into()),
        Some(_) => Ok(password),
    }
}

fn ask_unseen(prompt: &str) -> Result<Secret, Failure> {
    eprint!("{prompt}");
    let line = without_echo(read_line)?;
    eprintln!();
    line
}

fn read_line() -> Result<Secret, Failure> {
    let mut line = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut line)?;
    while line.last().is_some_and(|octet| matches!(octet, b'\r' | b'\n')) {
        line.pop();
    }
    Ok(Secret::new(line))
}

#[cfg(unix)]
fn without_echo<T>(read: impl FnOnce() -> T) -> io::Result<T> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let terminal = io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes &= !LocalModes::ECHO;
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let read = read();
    tcsetattr(&terminal, OptionalActions::Now, &before)?;
    Ok(read)
}

#[cfg(not(unix))]
fn without_echo<T>(read: impl FnOnce() -> T) -> io::Result<T> {
    Ok(read())
}
