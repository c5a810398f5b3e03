//! Names of folders in Maildir++: levels behind dots, in modified UTF-7 (RFC 3501 §5.1.3)

use mailwright_mailbox::MailboxName;

/// Returns the directory of a mailbox that is not INBOX, below the root: `Archive/2026` is `.Archive.2026`.
///
/// Levels are in modified UTF-7, as Dovecot writes them. A dot within a level is `\2e` there, as Dovecot's listescape
/// plugin has it, and so is what no file name may hold. The name of a mailbox may be longer than that of a file can be:
/// 255 octets on most systems; whoever makes a directory looks at the length.
pub fn directory_of(name: &MailboxName) -> String {
    let mut directory = String::with_capacity(name.as_str().len() + 1);
    for level in name.as_str().split(MailboxName::SEPARATOR) {
        directory.push('.');
        encode(level, &mut directory);
    }
    directory
}

/// Returns the mailbox of a directory below the root; `None` where its name does not begin with a dot or is none of a
/// mailbox. Names in plain UTF-8, which some programs write, are read as well.
pub fn mailbox_of(directory: &str) -> Option<MailboxName> {
    let levels = directory.strip_prefix('.')?.split('.');
    let decoded: Vec<String> = levels
        .map(|level| decode(level).unwrap_or_else(|| level.to_owned()))
        .collect();
    // Only the escape brings what a level of a mailbox cannot hold.
    if decoded.iter().any(|level| level.contains(MailboxName::SEPARATOR)) {
        return None;
    }
    MailboxName::parse(&decoded.join("/")).ok()
}

fn encode(level: &str, to: &mut String) {
    let mut wide: Vec<u8> = Vec::new();
    for c in level.chars() {
        if (' '..='~').contains(&c) {
            end_wide(&mut wide, to);
            match c {
                '&' => to.push_str("&-"),
                '.' | '\\' => to.push_str(&format!("\\{:02x}", c as u32)),
                _ => to.push(c),
            }
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units)
                .iter()
                .for_each(|unit| wide.extend(unit.to_be_bytes()));
        }
    }
    end_wide(&mut wide, to);
}

fn end_wide(wide: &mut Vec<u8>, to: &mut String) {
    if wide.is_empty() {
        return;
    }
    to.push('&');
    for three in wide.chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            let six = bits >> (18 - 6 * at) & 63;
            to.push(char::from(BASE64[six as usize]));
        }
    }
    to.push('-');
    wide.clear();
}

/// `None` where it is not modified UTF-7.
fn decode(level: &str) -> Option<String> {
    let mut decoded = String::with_capacity(level.len());
    let mut rest = level;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '&' => {
                let (coded, after) = rest.split_once('-')?;
                rest = after;
                match coded {
                    "" => decoded.push('&'),
                    _ => decoded.push_str(&decode_wide(coded)?),
                }
            }
            '\\' => match rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(octet) if octet.is_ascii() => {
                    decoded.push(char::from(octet));
                    rest = &rest[2..];
                }
                _ => decoded.push('\\'),
            },
            ' '..='~' => decoded.push(c),
            _ => return None,
        }
    }
    Some(decoded)
}

fn decode_wide(coded: &str) -> Option<String> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut units = Vec::new();
    for octet in coded.bytes() {
        let six = BASE64.iter().position(|it| *it == octet)? as u32;
        bits = (bits << 6 | six) & 0x3f_ffff;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count) as u16);
        }
    }
    // What is left are less than six bits, all 0.
    let is_whole = count < 6 && bits & ((1 << count) - 1) == 0;
    String::from_utf16(&units).ok().filter(|_| is_whole)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
