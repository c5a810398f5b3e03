//! Names of the folders of accounts

use core::fmt::Write;

/// The folder of an account: its name, with `%XX` for what is not safe in the name of a file.
pub(super) fn account_directory(account: &str) -> String {
    let mut directory = String::with_capacity(account.len());
    for (at, octet) in account.bytes().enumerate() {
        let is_safe = octet.is_ascii_alphanumeric() || b"@_-+=".contains(&octet) || (octet == b'.' && at > 0);
        match is_safe {
            true => directory.push(char::from(octet)),
            false => {
                // A string takes all that is written to it.
                let _ = write!(directory, "%{octet:02X}");
            }
        }
    }
    directory
}

/// The account of a folder; `None` if none has such a folder.
pub(super) fn account_of(directory: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(directory.len());
    let mut rest = directory;
    while let Some((before, after)) = rest.split_once('%') {
        octets.extend_from_slice(before.as_bytes());
        octets.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = &after[2..];
    }
    octets.extend_from_slice(rest.as_bytes());
    let account = String::from_utf8(octets).ok()?;
    (!account.is_empty() && account_directory(&account) == directory).then_some(account)
}
