//! Entries of the journal as octets

use bytes::Bytes;
use mailwright_mailbox::{
    Account, BlobHash, BlobRef, Effect, EntryName, Flags, Identifier, Keyword, MailboxId, MailboxName,
    Message, ModSeq, Rights, Snapshot, SpecialUse, SpoolEntry, SpoolKey, SystemFlags, ThreadId, ThreadKey,
    Threading, Uid, UidSet, UidValidity, Usage,
};

/// What the journal tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    /// What a batch left different.
    Effect(Effect),
    /// The base of the file name of a message that is about to be added.
    Named {
        mailbox: MailboxId,
        uid: Uid,
        base: String,
    },
    /// Files and folders are as all entries before this one say, and on the disk.
    Settled,
}

impl Entry {
    /// Appends the entry to a record.
    pub(super) fn put(&self, to: &mut Vec<u8>) {
        match self {
            Self::Settled => to.put_u8(0),
            Self::Named { mailbox, uid, base } => {
                to.put_u8(1);
                to.put_u64(mailbox.value());
                to.put_u32(uid.value());
                to.put_str(base);
            }
            Self::Effect(effect) => put_effect(effect, to),
        }
    }

    /// Reads all entries of a record; `None` if it is not made of entries.
    pub(super) fn take_all(record: &[u8]) -> Option<Vec<Self>> {
        let mut from = Take(record);
        let mut entries = Vec::new();
        while !from.0.is_empty() {
            entries.push(take(&mut from)?);
        }
        Some(entries)
    }
}

fn put_effect(effect: &Effect, to: &mut Vec<u8>) {
    match effect {
        Effect::Counters {
            mailbox,
            spool,
            thread,
        } => {
            to.put_u8(2);
            [mailbox, spool, thread]
                .into_iter()
                .for_each(|it| to.put_u64(*it));
        }
        Effect::Account {
            account,
            last_uid_validity,
            usage,
        } => {
            to.put_u8(3);
            to.put_str(account.as_str());
            to.put_u32(last_uid_validity.map_or(0, UidValidity::value));
            to.put_u64(usage.octets);
            to.put_u64(usage.messages);
        }
        Effect::Subscription { account, name, on } => {
            to.put_u8(4);
            to.put_str(account.as_str());
            to.put_str(name.as_str());
            to.put_u8(u8::from(*on));
        }
        Effect::Mailbox {
            mailbox,
            head,
            special_use,
        } => {
            to.put_u8(5);
            to.put_u64(mailbox.value());
            to.put_str(head.account.as_str());
            to.put_str(head.name.as_str());
            to.put_u32(head.uid_validity.value());
            to.put_u32(head.uid_next.map_or(0, Uid::value));
            to.put_u64(head.highest_mod_seq.value());
            [head.exists, head.unseen, head.deleted]
                .into_iter()
                .for_each(|it| to.put_u32(it));
            to.put_u64(head.size);
            to.put_u64(head.deleted_size);
            to.put_str(special_use.map_or("", SpecialUse::name));
        }
        Effect::MailboxGone { mailbox } => {
            to.put_u8(6);
            to.put_u64(mailbox.value());
        }
        Effect::Message { mailbox, message } => {
            to.put_u8(7);
            to.put_u64(mailbox.value());
            put_message(message, to);
        }
        Effect::Flags {
            mailbox,
            uid,
            mod_seq,
            flags,
        } => {
            to.put_u8(8);
            to.put_u64(mailbox.value());
            to.put_u32(uid.value());
            to.put_u64(mod_seq.value());
            put_flags(flags, to);
        }
        Effect::MessageGone { mailbox, uid } => {
            to.put_u8(9);
            to.put_u64(mailbox.value());
            to.put_u32(uid.value());
        }
        Effect::History {
            mailbox,
            added,
            forgotten,
        } => {
            to.put_u8(10);
            to.put_u64(mailbox.value());
            to.put_u64(forgotten.value());
            to.put_u32(added.len() as u32);
            for (mod_seq, at, uids) in added {
                to.put_u64(mod_seq.value());
                to.put_i64(*at);
                to.put_u32(uids.ranges().len() as u32);
                for range in uids.ranges() {
                    to.put_u32(range.start().value());
                    to.put_u32(range.end().value());
                }
            }
        }
        Effect::Annotation {
            account,
            mailbox,
            name,
            value,
        } => {
            to.put_u8(11);
            to.put_str(account.as_str());
            to.put_u64(mailbox.map_or(0, MailboxId::value));
            to.put_str(name.as_str());
            to.put_option(value.as_deref(), Put::put_bytes);
        }
        Effect::Rights {
            mailbox,
            identifier,
            rights,
        } => {
            to.put_u8(12);
            to.put_u64(mailbox.value());
            to.put_str(identifier.as_str());
            to.put_u32(rights.bits().into());
        }
        Effect::Thread {
            account,
            thread,
            messages,
            keys,
        } => {
            to.put_u8(13);
            to.put_str(account.as_str());
            to.put_u64(thread.value());
            to.put_u64(*messages);
            to.put_u32(keys.len() as u32);
            keys.iter().for_each(|key| to.put_u64(key.value()));
        }
        Effect::Spool { key, entry } => {
            to.put_u8(14);
            to.put_u64(key.value());
            to.put_option(entry.as_ref(), |to, entry| {
                to.put_bytes(&entry.record);
                to.put_option(entry.blob.as_ref(), put_blob);
            });
        }
        // The model and this crate are released together.
        other => unreachable!("{other:?} cannot be written down"),
    }
}

fn put_message(message: &Message, to: &mut Vec<u8>) {
    to.put_u32(message.uid.value());
    to.put_u64(message.mod_seq.value());
    put_flags(&message.flags, to);
    to.put_i64(message.internal_date);
    to.put_i64(message.save_date);
    to.put_option(message.blob.as_ref(), put_blob);
    to.put_u64(message.thread.value());
    to.put_bytes(&message.index);
    to.put_bytes(&message.sort_keys);
    to.put_bytes(&message.threading.to_bytes());
}

fn put_flags(flags: &Flags, to: &mut Vec<u8>) {
    to.put_u8(flags.system().bits());
    to.put_u32(flags.keywords().len() as u32);
    flags
        .keywords()
        .iter()
        .for_each(|keyword| to.put_str(keyword.as_str()));
}

fn put_blob(to: &mut Vec<u8>, blob: &BlobRef) {
    to.extend_from_slice(blob.hash().as_bytes());
    to.put_u64(blob.size());
}

fn take(from: &mut Take<'_>) -> Option<Entry> {
    let effect = match from.u8()? {
        0 => return Some(Entry::Settled),
        1 => {
            return Some(Entry::Named {
                mailbox: from.mailbox()?,
                uid: from.uid()?,
                base: from.text()?.to_owned(),
            });
        }
        2 => Effect::Counters {
            mailbox: from.u64()?,
            spool: from.u64()?,
            thread: from.u64()?,
        },
        3 => Effect::Account {
            account: from.account()?,
            last_uid_validity: UidValidity::new(from.u32()?),
            usage: Usage::new(from.u64()?, from.u64()?),
        },
        4 => Effect::Subscription {
            account: from.account()?,
            name: from.name()?,
            on: from.u8()? != 0,
        },
        5 => {
            let mailbox = from.mailbox()?;
            let mut head = Snapshot::new(from.account()?, from.name()?, UidValidity::new(from.u32()?)?);
            head.uid_next = Uid::new(from.u32()?);
            head.highest_mod_seq = ModSeq::new(from.u64()?);
            (head.exists, head.unseen, head.deleted) = (from.u32()?, from.u32()?, from.u32()?);
            (head.size, head.deleted_size) = (from.u64()?, from.u64()?);
            Effect::Mailbox {
                mailbox,
                head,
                special_use: SpecialUse::from_name(from.text()?),
            }
        }
        6 => Effect::MailboxGone {
            mailbox: from.mailbox()?,
        },
        7 => Effect::Message {
            mailbox: from.mailbox()?,
            message: Box::new(take_message(from)?),
        },
        8 => Effect::Flags {
            mailbox: from.mailbox()?,
            uid: from.uid()?,
            mod_seq: ModSeq::new(from.u64()?),
            flags: take_flags(from)?,
        },
        9 => Effect::MessageGone {
            mailbox: from.mailbox()?,
            uid: from.uid()?,
        },
        10 => {
            let (mailbox, forgotten) = (from.mailbox()?, ModSeq::new(from.u64()?));
            let mut added = Vec::new();
            for _ in 0..from.u32()? {
                let (mod_seq, at) = (ModSeq::new(from.u64()?), from.u64()? as i64);
                let mut uids = UidSet::new();
                for _ in 0..from.u32()? {
                    uids.insert_range(from.uid()?, from.uid()?);
                }
                added.push((mod_seq, at, uids));
            }
            Effect::History {
                mailbox,
                added,
                forgotten,
            }
        }
        11 => Effect::Annotation {
            account: from.account()?,
            mailbox: Some(from.mailbox()?).filter(|it| it.value() != 0),
            name: EntryName::parse(from.text()?)?,
            value: from.option(|from| from.bytes().map(Bytes::copy_from_slice))?,
        },
        12 => Effect::Rights {
            mailbox: from.mailbox()?,
            identifier: Identifier::new(from.text()?),
            rights: Rights::from_bits(u16::try_from(from.u32()?).ok()?),
        },
        13 => {
            let (account, thread, messages) = (from.account()?, ThreadId::new(from.u64()?), from.u64()?);
            let mut keys = Vec::new();
            for _ in 0..from.u32()? {
                keys.push(ThreadKey::new(from.u64()?));
            }
            Effect::Thread {
                account,
                thread,
                messages,
                keys,
            }
        }
        14 => {
            let key = SpoolKey::new(from.u64()?);
            let entry = from.option(|from| {
                let record = Bytes::copy_from_slice(from.bytes()?);
                Some(SpoolEntry::new(key, record, from.option(take_blob)?))
            })?;
            Effect::Spool { key, entry }
        }
        _ => return None,
    };
    Some(Entry::Effect(effect))
}

fn take_message(from: &mut Take<'_>) -> Option<Message> {
    let mut message = Message::new(from.uid()?, ModSeq::new(from.u64()?));
    message.flags = take_flags(from)?;
    message.internal_date = from.u64()? as i64;
    message.save_date = from.u64()? as i64;
    message.blob = from.option(take_blob)?;
    message.thread = ThreadId::new(from.u64()?);
    message.index = Bytes::copy_from_slice(from.bytes()?);
    message.sort_keys = Bytes::copy_from_slice(from.bytes()?);
    message.threading = Threading::from_bytes(from.bytes()?);
    Some(message)
}

fn take_flags(from: &mut Take<'_>) -> Option<Flags> {
    let mut flags = Flags::from(SystemFlags::from_bits(from.u8()?));
    for _ in 0..from.u32()? {
        flags.insert_keyword(Keyword::parse(from.text()?)?);
    }
    Some(flags)
}

fn take_blob(from: &mut Take<'_>) -> Option<BlobRef> {
    let hash = BlobHash::from_bytes(*from.octets(32)?.first_chunk()?);
    Some(BlobRef::new(hash, from.u64()?))
}

/// How a record is written: numbers in little endian, octets behind their length.
trait Put {
    fn put_u8(&mut self, it: u8);
    fn put_u32(&mut self, it: u32);
    fn put_u64(&mut self, it: u64);
    fn put_bytes(&mut self, it: &[u8]);

    fn put_i64(&mut self, it: i64) {
        self.put_u64(it as u64);
    }

    fn put_str(&mut self, it: &str) {
        self.put_bytes(it.as_bytes());
    }

    fn put_option<T: ?Sized>(&mut self, it: Option<&T>, put: impl FnOnce(&mut Self, &T)) {
        self.put_u8(u8::from(it.is_some()));
        if let Some(it) = it {
            put(self, it);
        }
    }
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, it: u8) {
        self.push(it);
    }

    fn put_u32(&mut self, it: u32) {
        self.extend_from_slice(&it.to_le_bytes());
    }

    fn put_u64(&mut self, it: u64) {
        self.extend_from_slice(&it.to_le_bytes());
    }

    fn put_bytes(&mut self, it: &[u8]) {
        self.put_u32(it.len() as u32);
        self.extend_from_slice(it);
    }
}

/// What is left of a record.
struct Take<'r>(&'r [u8]);

impl<'r> Take<'r> {
    fn octets(&mut self, count: usize) -> Option<&'r [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.octets(1)?[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.octets(4)?.first_chunk()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.octets(8)?.first_chunk()?))
    }

    fn bytes(&mut self) -> Option<&'r [u8]> {
        let length = self.u32()?;
        self.octets(length as usize)
    }

    fn text(&mut self) -> Option<&'r str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    fn mailbox(&mut self) -> Option<MailboxId> {
        self.u64().map(MailboxId::new)
    }

    fn uid(&mut self) -> Option<Uid> {
        Uid::new(self.u32()?)
    }

    fn account(&mut self) -> Option<Account> {
        self.text().map(Account::new)
    }

    fn name(&mut self) -> Option<MailboxName> {
        MailboxName::parse(self.text()?).ok()
    }

    fn option<T>(&mut self, take: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.u8()? {
            0 => Some(None),
            _ => take(self).map(Some),
        }
    }
}
