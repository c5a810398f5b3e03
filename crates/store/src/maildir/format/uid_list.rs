//! `dovecot-uidlist`: the UIDs of the files of a folder

use core::fmt::Write;

use mailwright_mailbox::{Uid, UidValidity};

use super::FileName;

/// The UIDs of the files of a folder, as Dovecot keeps them (versions 1 and 3 are read, 3 is written).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UidList {
    /// The UIDVALIDITY.
    pub uid_validity: Option<UidValidity>,
    /// The UID of the next message.
    pub uid_next: Option<Uid>,
    /// The UIDs and the bases of the file names, by UID.
    pub entries: Vec<(Uid, String)>,
}

impl UidList {
    /// The name of the file.
    pub const FILE: &'static str = "dovecot-uidlist";

    /// Reads the file; `None` if it does not begin as one of a known version. Lines without a UID, or with one that
    /// does not ascend, are passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut header = lines.next()?.split(' ');
        let version = header.next()?;
        let mut list = Self::default();
        match version {
            "1" => {
                list.uid_validity = UidValidity::new(header.next()?.parse().ok()?);
                list.uid_next = Uid::new(header.next()?.parse().ok()?);
            }
            "3" => {
                for field in header {
                    let (key, value) = field.split_at_checked(1)?;
                    match key {
                        "V" => list.uid_validity = UidValidity::new(value.parse().ok()?),
                        "N" => list.uid_next = Uid::new(value.parse().ok()?),
                        _ => {}
                    }
                }
            }
            _ => return None,
        }
        for line in lines {
            let Some((uid, rest)) = line.split_once(' ') else {
                continue;
            };
            // Version 3 has fields of its own in front of the name, which stands behind " :" or right at the start.
            let name = match version {
                "1" => rest,
                _ => rest
                    .strip_prefix(':')
                    .or_else(|| Some(rest.split_once(" :")?.1))
                    .unwrap_or(""),
            };
            let uid = uid.parse().ok().and_then(Uid::new);
            let last = list.entries.last().map(|(last, _)| *last);
            if let Some(uid) = uid.filter(|uid| !name.is_empty() && Some(*uid) > last) {
                list.entries.push((uid, FileName::parse(name).base.to_owned()));
            }
        }
        Some(list)
    }

    /// Writes the file, version 3.
    pub fn to_text(&self) -> String {
        let validity = self.uid_validity.map_or(0, UidValidity::value);
        let last = self
            .entries
            .last()
            .map_or(1, |(uid, _)| uid.value().saturating_add(1));
        let next = self.uid_next.map_or(last, Uid::value);
        let mut text = format!("3 V{validity} N{next}\n");
        for (uid, base) in &self.entries {
            // A string takes all that is written to it.
            let _ = writeln!(text, "{uid} :{base}");
        }
        text
    }
}
