//! Names of message files: what names the message, and its flags

use mailwright_mailbox::{Flags, Keyword, SystemFlags};

use super::Keywords;

/// The name of a message file, `BASE:2,LETTERS` or `BASE`.
///
/// The base names the message as long as it lives; the letters behind it change with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileName<'n> {
    /// What names the message.
    pub base: &'n str,
    /// The letters of its flags; none where the name has no such part.
    pub letters: &'n str,
}

impl<'n> FileName<'n> {
    /// Reads a name. What stands behind a colon and is not of the known form counts as no flags.
    pub fn parse(name: &'n str) -> Self {
        match name.split_once(':') {
            Some((base, info)) => Self {
                base,
                // Some programs put fields of their own behind a comma.
                letters: info
                    .strip_prefix("2,")
                    .and_then(|it| it.split(',').next())
                    .unwrap_or(""),
            },
            None => Self {
                base: name,
                letters: "",
            },
        }
    }

    /// Returns the flags that the letters mean in a folder with these keywords.
    pub fn flags(&self, keywords: &Keywords) -> Flags {
        let mut flags = Flags::new();
        for letter in self.letters.chars() {
            if let Some((_, system)) = SYSTEM.iter().find(|(it, _)| *it == letter) {
                flags.insert(*system);
            } else if letter == PASSED {
                flags.insert_keyword(passed());
            } else if let Some(keyword) = keywords.of_letter(letter) {
                flags.insert_keyword(keyword.clone());
            }
        }
        flags
    }

    /// Tells by the name, where it does, how many octets the file has.
    pub fn size(&self) -> Option<u64> {
        let fields = self.base.split(',').skip(1);
        fields
            .filter_map(|field| field.strip_prefix("S="))
            .find_map(|size| size.parse().ok())
    }

    /// Writes the letters of flags, in the order of the alphabet as the format wants it. Keywords get letters as long
    /// as there are any.
    pub fn letters_of(flags: &Flags, keywords: &mut Keywords) -> String {
        let system = SYSTEM
            .iter()
            .filter(|(_, flag)| flags.contains(*flag))
            .map(|(letter, _)| *letter);
        let mut letters: Vec<char> = system.collect();
        for keyword in flags.keywords() {
            match *keyword == passed() {
                true => letters.push(PASSED),
                false => letters.extend(keywords.letter_of(keyword)),
            }
        }
        letters.sort_unstable();
        letters.into_iter().collect()
    }
}

fn passed() -> Keyword {
    Keyword::parse("$Forwarded").expect("it is an atom")
}

/// Resent, forwarded or bounced: what the keyword `$Forwarded` says elsewhere.
const PASSED: char = 'P';
const SYSTEM: [(char, SystemFlags); 5] = [
    ('D', SystemFlags::DRAFT),
    ('F', SystemFlags::FLAGGED),
    ('R', SystemFlags::ANSWERED),
    ('S', SystemFlags::SEEN),
    ('T', SystemFlags::DELETED),
];
