//! Between the plain types of `mailbox` and those of the IMAP engine: neither crate knows the other.

use super::backend::Failure;
use mailwright_imap as imap;
use mailwright_mailbox as mailbox;
use mailwright_mailbox::{MailboxName, SystemFlags, Uid};

/// The system flags in both worlds.
const SYSTEM: [(SystemFlags, imap::Flag); 5] = [
    (SystemFlags::SEEN, imap::Flag::Seen),
    (SystemFlags::ANSWERED, imap::Flag::Answered),
    (SystemFlags::FLAGGED, imap::Flag::Flagged),
    (SystemFlags::DELETED, imap::Flag::Deleted),
    (SystemFlags::DRAFT, imap::Flag::Draft),
];

/// The flags of a stored message as the engine prints them.
pub(super) fn flags_to_imap(flags: &mailbox::Flags) -> imap::Flags {
    let mut out = imap::Flags::new();
    for (system, flag) in SYSTEM {
        if flags.contains(system) {
            out.insert(flag);
        }
    }
    for keyword in flags.keywords() {
        // A keyword that came in by another way than IMAP need not be an atom; it cannot be told.
        if let Some(keyword) = imap::Keyword::new(keyword.as_str()) {
            out.insert(imap::Flag::Keyword(keyword));
        }
    }
    out
}

/// The flags a client gave, as the store keeps them.
pub(crate) fn flags_from_imap(flags: &imap::Flags) -> mailbox::Flags {
    let mut out = mailbox::Flags::new();
    for flag in flags.iter() {
        match &flag {
            imap::Flag::Keyword(keyword) => {
                if let Some(keyword) = mailbox::Keyword::parse(keyword.as_str()) {
                    out.insert_keyword(keyword);
                }
            }
            system => {
                if let Some((bit, _)) = SYSTEM.iter().find(|(_, flag)| flag == system) {
                    out.insert(*bit);
                }
            }
        }
    }
    out
}

/// A system flag as the store has it.
pub(super) fn system_flag(flag: &imap::Flag) -> Option<SystemFlags> {
    let mut all = SYSTEM.iter();
    all.find(|(_, it)| it == flag).map(|(system, _)| *system)
}

/// A set of UIDs for the store.
pub(super) fn uids_from_imap(uids: &imap::UidSet) -> mailbox::UidSet {
    let mut out = mailbox::UidSet::new();
    for range in uids.ranges() {
        if let (Some(first), Some(last)) = (Uid::new(*range.start()), Uid::new(*range.end())) {
            out.insert_range(first, last);
        }
    }
    out
}

/// A set of UIDs for the engine.
pub(super) fn uids_to_imap(uids: &mailbox::UidSet) -> imap::UidSet {
    imap::UidSet::from_ranges(
        uids.ranges()
            .map(|range| range.start().value()..=range.end().value()),
    )
}

/// What a mailbox is for, for the engine.
pub(super) fn special_use_to_imap(of: mailbox::SpecialUse) -> Option<imap::SpecialUse> {
    imap::SpecialUse::parse(&format!("\\{}", of.name().trim_start_matches('\\')))
}

/// What a mailbox is for, for the store.
pub(super) fn special_use_from_imap(of: imap::SpecialUse) -> Option<mailbox::SpecialUse> {
    mailbox::SpecialUse::from_name(of.as_str())
        .or_else(|| mailbox::SpecialUse::from_name(of.as_str().trim_start_matches('\\')))
}

/// MAILBOXID (RFC 8474 §4).
pub(super) fn mailbox_id(mailbox: mailbox::MailboxId) -> imap::ObjectId {
    object_id(format!("F{}", mailbox.value()))
}

/// EMAILID (RFC 8474 §5.1): of messages with the same octets, the same.
pub(super) fn email_id(blob: &mailbox::BlobRef) -> imap::ObjectId {
    object_id(format!("M{}", blob.hash()))
}

/// THREADID (RFC 8474 §5.2).
pub(super) fn thread_id(thread: mailbox::ThreadId) -> imap::ObjectId {
    object_id(format!("T{thread}"))
}

fn object_id(text: String) -> imap::ObjectId {
    imap::ObjectId::new(text).expect("a letter and digits make an identifier")
}

/// What a client may do, for the engine.
pub(super) fn rights_to_imap(rights: mailbox::Rights) -> imap::Rights {
    imap::Rights::from_bits(rights.bits())
}

/// What somebody is to be permitted, for the store.
pub(super) fn rights_from_imap(rights: imap::Rights) -> mailbox::Rights {
    mailbox::Rights::from_bits(rights.bits())
}

/// A name that a client gave.
pub(super) fn name(text: &str) -> Result<MailboxName, imap::Rejection> {
    MailboxName::parse(text)
        .map_err(|error| imap::Rejection::new(Some(imap::Code::Cannot), format!("Mailbox name: {error}")))
}

/// What a client is told of a failure; what is no fault of its own is logged.
pub(super) fn refusal(failure: Failure) -> imap::Rejection {
    match failure {
        Failure::NoSuchMailbox => imap::Rejection::NO_SUCH_MAILBOX,
        Failure::Gone => imap::Rejection::EXPUNGE_ISSUED,
        Failure::Refused(rejection) => rejection,
        Failure::AnnotationTooLarge(_) | Failure::TooManyAnnotations => {
            imap::Rejection::new(Some(imap::Code::Limit), failure.to_string())
        }
        Failure::Damaged(what) => {
            tracing::error!("imap: a message is damaged: {what}");
            imap::Rejection::new(Some(imap::Code::Corruption), "The message is damaged on disk")
        }
        Failure::Broken(what) => {
            tracing::error!("imap: {what}");
            imap::Rejection::UNAVAILABLE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_both_ways() {
        let mut flags = imap::Flags::new();
        for (_, flag) in SYSTEM {
            flags.insert(flag);
        }
        flags.insert(imap::Flag::parse("$Forwarded").unwrap());
        let stored = flags_from_imap(&flags);
        assert!(
            SYSTEM
                .iter()
                .all(|(system, flag)| system_flag(flag) == Some(*system))
        );
        assert_eq!(system_flag(&imap::Flag::parse("$Junk").unwrap()), None);
        assert_eq!(flags_to_imap(&stored), flags);
    }

    #[test]
    fn uid_sets_go_both_ways() {
        let uids = imap::UidSet::from_ranges([1..=3, 7..=7, 4_000_000_000..=u32::MAX]);
        assert_eq!(uids_to_imap(&uids_from_imap(&uids)), uids);
    }

    #[test]
    fn rights_are_the_same_on_both_sides() {
        for letter in mailbox::Rights::ALL.letters() {
            let stored = mailbox::Rights::from_letter(letter).unwrap();
            let told = rights_to_imap(stored);
            assert_eq!(
                (told.to_string(), rights_from_imap(told)),
                (letter.to_string(), stored)
            );
        }
    }

    #[test]
    fn special_uses_go_both_ways() {
        use imap::SpecialUse::*;
        for special_use in [All, Archive, Drafts, Flagged, Important, Junk, Sent, Trash] {
            let stored = special_use_from_imap(special_use).expect("the store knows it");
            assert_eq!(special_use_to_imap(stored), Some(special_use));
        }
    }
}
