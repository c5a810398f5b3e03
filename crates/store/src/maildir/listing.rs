//! What is in a folder

use std::{
    collections::{HashMap, hash_map::Entry},
    fs, io,
    path::{Path, PathBuf},
};

use mailwright_mailbox::Flags;

use super::{
    format::{FileName, Keywords},
    replace::replace_synced,
};

/// The files of a folder, by the base of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) files: HashMap<String, At>,
    pub(super) keywords: Keywords,
}

/// Where a file is, and with which letters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At {
    pub(super) is_new: bool,
    pub(super) letters: String,
    /// What stands behind the base if it is not what the letters make.
    odd: Option<String>,
}

impl Listing {
    /// Lists a folder.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let keywords = match fs::read_to_string(folder.join(Keywords::FILE)) {
            Ok(text) => Keywords::parse(&text),
            Err(_) => Keywords::default(),
        };
        let mut listing = Self {
            files: HashMap::new(),
            keywords,
        };
        for (sub, is_new) in [("new", true), ("cur", false)] {
            for entry in fs::read_dir(folder.join(sub))? {
                let name = entry?.file_name();
                let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                    continue;
                };
                let parsed = FileName::parse(name);
                let mut at = At {
                    is_new,
                    letters: parsed.letters.to_owned(),
                    odd: None,
                };
                if at.suffix() != name[parsed.base.len()..] {
                    at.odd = Some(name[parsed.base.len()..].to_owned());
                }
                listing.files.insert(parsed.base.to_owned(), at);
            }
        }
        Ok(listing)
    }

    /// The letters of flags. Keywords that have none yet get one, which is written down first.
    pub(super) fn letters_of(&mut self, folder: &Path, flags: &Flags) -> io::Result<String> {
        let mut keywords = self.keywords.clone();
        let letters = FileName::letters_of(flags, &mut keywords);
        if keywords != self.keywords {
            replace_synced(&folder.join(Keywords::FILE), &keywords.to_text())?;
            self.keywords = keywords;
        }
        Ok(letters)
    }

    /// Takes note of a file, and returns where it is.
    pub(super) fn insert(&mut self, base: &str, is_new: bool, letters: String) -> String {
        let at = At {
            is_new,
            letters,
            odd: None,
        };
        let path = at.path(base);
        self.files.insert(base.to_owned(), at);
        path
    }
}

/// Removes all names but one of files that have several with the same base.
pub(super) fn remove_doubles(folder: &Path) -> io::Result<()> {
    let mut first: HashMap<String, PathBuf> = HashMap::new();
    for sub in ["cur", "new"] {
        for entry in fs::read_dir(folder.join(sub))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            match first.entry(FileName::parse(name).base.to_owned()) {
                Entry::Vacant(vacant) => drop(vacant.insert(entry.path())),
                Entry::Occupied(there) if is_same(there.get(), &entry.path())? => {
                    fs::remove_file(entry.path())?;
                }
                Entry::Occupied(_) => {}
            }
        }
    }
    Ok(())
}

/// Whether two names stand for the same octets: a name is taken away only where nothing is lost by that.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (fs::read(one)?, fs::read(other)?);
    Ok(one == other)
}

impl At {
    /// Where a file is in its folder.
    pub(super) fn path(&self, base: &str) -> String {
        let sub = if self.is_new { "new" } else { "cur" };
        match &self.odd {
            Some(odd) => format!("{sub}/{base}{odd}"),
            None => format!("{sub}/{base}{}", self.suffix()),
        }
    }

    fn suffix(&self) -> String {
        match self.is_new && self.letters.is_empty() {
            true => String::new(),
            false => format!(":2,{}", self.letters),
        }
    }
}
