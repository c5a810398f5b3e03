//! Writing addresses (RFC 5322 §3.4, RFC 2047 §5 (3))

use std::fmt::{self, Display, Write};

use super::{Address, Group, Mailbox};
use crate::encoded_word;

impl Display for Mailbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let angle = self.name.is_some() || self.route.is_some() || self.local_part.is_empty();
        if let Some(name) = &self.name {
            let mut phrase = String::new();
            push_phrase(name, &mut phrase);
            write!(f, "{phrase} ")?;
        }
        if angle {
            f.write_char('<')?;
        }
        if let Some(route) = &self.route {
            visible(route, f)?;
            f.write_char(':')?;
        }
        visible(&self.local_part, f)?;
        if !self.domain.is_empty() {
            f.write_char('@')?;
            visible(&self.domain, f)?;
        }
        if angle {
            f.write_char('>')?;
        }
        Ok(())
    }
}

impl Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut phrase = String::new();
        push_phrase(&self.name, &mut phrase);
        write!(f, "{phrase}:")?;
        for (i, mailbox) in self.mailboxes.iter().enumerate() {
            write!(f, "{} {mailbox}", if i > 0 { "," } else { "" })?;
        }
        f.write_char(';')
    }
}

impl Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => mailbox.fmt(f),
            Self::Group(group) => group.fmt(f),
        }
    }
}

/// A control would end the field or the line.
fn visible(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    text.chars()
        .filter(|c| !c.is_control())
        .try_for_each(|c| f.write_char(c))
}

/// Appends a phrase: as it is where it is words of letters and digits, else quoted, else encoded.
fn push_phrase(text: &str, out: &mut String) {
    let is_atom = |word: &str| !word.is_empty() && word.bytes().all(is_atext);
    if encoded_word::needs_encoding(text) || text.contains('\t') {
        out.push_str(&encoded_word::encode(text));
    } else if !text.is_empty() && text.split(' ').all(is_atom) {
        out.push_str(text);
    } else {
        out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
}

/// RFC 5322 §3.2.3.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}
