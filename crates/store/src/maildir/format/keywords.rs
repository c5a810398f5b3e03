//! `dovecot-keywords`: which keyword a letter means in a folder

use mailwright_mailbox::Keyword;

/// The keywords of a folder that have letters: at most 26, `a` to `z`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords(Vec<Option<Keyword>>);

impl Keywords {
    /// The name of the file.
    pub const FILE: &'static str = "dovecot-keywords";

    const LETTERS: usize = 26;

    /// Reads the file: lines of a number and a keyword. Lines that are neither are passed over.
    pub fn parse(text: &str) -> Self {
        let mut keywords = Self::default();
        for line in text.lines() {
            let Some((number, keyword)) = line.split_once(' ') else {
                continue;
            };
            let at = number.parse::<usize>().ok().filter(|at| *at < Self::LETTERS);
            if let (Some(at), Some(keyword)) = (at, Keyword::parse(keyword.trim_end())) {
                let needed = keywords.0.len().max(at + 1);
                keywords.0.resize(needed, None);
                keywords.0[at] = Some(keyword);
            }
        }
        keywords
    }

    /// Writes the file.
    pub fn to_text(&self) -> String {
        let known = self.0.iter().enumerate();
        let lines = known.filter_map(|(at, keyword)| Some(format!("{at} {}\n", keyword.as_ref()?)));
        lines.collect()
    }

    /// Returns the keyword of a letter.
    pub fn of_letter(&self, letter: char) -> Option<&Keyword> {
        let at = u32::from(letter).checked_sub(u32::from('a'))?;
        self.0.get(at as usize)?.as_ref()
    }

    /// Returns the letter of a keyword, which gets one if there is one left.
    pub fn letter_of(&mut self, keyword: &Keyword) -> Option<char> {
        let known = self.0.iter().position(|it| it.as_ref() == Some(keyword));
        let at = match known {
            Some(at) => at,
            None if self.0.len() < Self::LETTERS => {
                self.0.push(Some(keyword.clone()));
                self.0.len() - 1
            }
            None => return None,
        };
        char::from_u32(u32::from('a') + at as u32)
    }
}
