//! The durable form of a record.
//!
//! One octet of version, then the fields in a fixed order: numbers as LEB128, text as its length and its
//! octets, options as a flag octet. A record that is read and written again has the same octets.

use crate::record::{
    Body, ByMode, DeliverBy, Diagnosis, HistoryEntry, Notify, OriginalRecipient, Postponed, Recipient,
    Record, Ret, State,
};
use crate::{Error, Status, Timestamp};
use bytes::{BufMut, Bytes, BytesMut};
use mailwright_address::{EmailAddress, ReversePath};
use std::fmt::Display;

const VERSION: u8 = 2;
/// Its records have no priority, REQUIRETLS, FUTURERELEASE and DELIVERBY.
const VERSION_1: u8 = 1;

impl Record {
    /// Writes the record in its durable form.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads the durable form.
    ///
    /// # Errors
    ///
    /// Returns an error if the octets are not a record of a version this crate knows.
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        decode(data)
    }
}

fn encode(record: &Record) -> Bytes {
    let mut w = Writer(BytesMut::with_capacity(128 + 64 * record.recipients.len()));
    w.0.put_u8(VERSION);
    w.text(&record.id);
    match &record.reverse_path {
        ReversePath::Null => w.text(""),
        ReversePath::Address(address) => w.display(address),
    }
    w.option(record.origin.as_deref(), Writer::text);
    w.time(record.arrival);
    w.time(record.expires);
    w.number(record.size);
    w.0.put_u8(match record.body {
        Body::SevenBit => 0,
        Body::EightBit => 1,
        Body::Binary => 2,
    });
    w.flags([
        record.smtputf8,
        record.held,
        record.require_tls,
        record.tls_optional,
    ]);
    w.0.put_i8(record.priority);
    w.option(record.postponed.as_ref(), |w, postponed| {
        w.time(postponed.until);
        w.text(&postponed.request);
    });
    w.option(record.deliver_by, |w, by| {
        w.time(by.by);
        w.flags([by.mode == ByMode::Return, by.trace]);
    });
    w.option(record.envelope_id.as_deref(), Writer::text);
    w.0.put_u8(match record.ret {
        None => 0,
        Some(Ret::Full) => 1,
        Some(Ret::Headers) => 2,
    });
    w.number(record.recipients.len() as u64);
    for recipient in &record.recipients {
        w.recipient(recipient);
    }
    w.number(record.history.len() as u64);
    for entry in &record.history {
        w.time(entry.at);
        w.text(&entry.text);
    }
    w.0.freeze()
}

fn decode(data: &[u8]) -> Result<Record, Error> {
    let mut r = Reader { data, at: 0 };
    let version = r.octet()?;
    if !(VERSION_1..=VERSION).contains(&version) {
        return Err(Error::Version(version));
    }
    let has_times = version > VERSION_1;
    let id = r.text()?;
    let at = r.at;
    let reverse_path = match &*r.text()? {
        "" => ReversePath::Null,
        address => ReversePath::Address(EmailAddress::parse(address).map_err(|_| Error::Damaged(at))?),
    };
    let origin = r.option(Reader::text)?;
    let mut record = Record::new(id, reverse_path, r.time()?, r.time()?);
    record.origin = origin;
    record.size = r.number()?;
    record.body = match r.octet()? {
        0 => Body::SevenBit,
        1 => Body::EightBit,
        2 => Body::Binary,
        _ => return Err(r.damaged()),
    };
    if has_times {
        [
            record.smtputf8,
            record.held,
            record.require_tls,
            record.tls_optional,
        ] = r.flags()?;
        record.priority = r.octet()?.cast_signed();
        record.postponed = r.option(|r| {
            let (until, request) = (r.time()?, r.text()?);
            Ok(Postponed { until, request })
        })?;
        record.deliver_by = r.option(|r| {
            let by = r.time()?;
            let [returns, trace] = r.flags()?;
            let mode = if returns { ByMode::Return } else { ByMode::Notify };
            Ok(DeliverBy { by, mode, trace })
        })?;
    } else {
        [record.smtputf8, record.held] = r.flags()?;
    }
    record.envelope_id = r.option(Reader::text)?;
    record.ret = match r.octet()? {
        0 => None,
        1 => Some(Ret::Full),
        2 => Some(Ret::Headers),
        _ => return Err(r.damaged()),
    };
    // No announced count allocates: each element takes octets that must be there.
    for _ in 0..r.number()? {
        let recipient = r.recipient(has_times)?;
        record.recipients.push(recipient);
    }
    for _ in 0..r.number()? {
        let entry = HistoryEntry {
            at: r.time()?,
            text: r.text()?,
        };
        record.history.push(entry);
    }
    if r.at != data.len() {
        return Err(r.damaged());
    }
    Ok(record)
}

struct Writer(BytesMut);

impl Writer {
    fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.put_u8((n as u8 & 0x7f) | 0x80);
            n >>= 7;
        }
        self.0.put_u8(n as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.put_slice(text.as_bytes());
    }

    fn display(&mut self, value: &impl Display) {
        self.text(&value.to_string());
    }

    fn time(&mut self, time: Timestamp) {
        self.number(time.unix_millis());
    }

    fn flags<const N: usize>(&mut self, flags: [bool; N]) {
        self.0
            .put_u8(flags.iter().rev().fold(0, |bits, f| bits << 1 | u8::from(*f)));
    }

    fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.0.put_u8(u8::from(value.is_some()));
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn recipient(&mut self, recipient: &Recipient) {
        self.display(&recipient.address);
        self.option(recipient.original.as_ref(), |w, original| {
            w.text(&original.kind);
            w.text(&original.address);
        });
        self.option(recipient.notify, |w, n| {
            w.flags([n.success, n.failure, n.delay]);
        });
        self.flags([recipient.warned, recipient.late]);
        match &recipient.state {
            State::Queued { attempts, due, last } => {
                self.0.put_u8(0);
                self.number(u64::from(*attempts));
                self.time(*due);
                self.option(last.as_ref(), Self::diagnosis);
            }
            State::Delivered { at } => {
                self.0.put_u8(1);
                self.time(*at);
            }
            State::Failed { at, why } => {
                self.0.put_u8(2);
                self.time(*at);
                self.diagnosis(why);
            }
        }
    }

    fn diagnosis(&mut self, diagnosis: &Diagnosis) {
        self.0.put_u8(diagnosis.status.class());
        self.number(u64::from(diagnosis.status.subject()));
        self.number(u64::from(diagnosis.status.detail()));
        self.option(diagnosis.remote.as_deref(), Self::text);
        self.text(&diagnosis.text);
    }
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn damaged(&self) -> Error {
        Error::Damaged(self.at)
    }

    fn octet(&mut self) -> Result<u8, Error> {
        let octet = *self.data.get(self.at).ok_or(Error::Damaged(self.at))?;
        self.at += 1;
        Ok(octet)
    }

    fn number(&mut self) -> Result<u64, Error> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            n |= bits << shift;
            if octet & 0x80 == 0 {
                // A padded number would have a second form.
                return if octet == 0 && shift > 0 {
                    Err(self.damaged())
                } else {
                    Ok(n)
                };
            }
        }
        Err(self.damaged())
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Error> {
        T::try_from(self.number()?).map_err(|_| self.damaged())
    }

    fn text(&mut self) -> Result<Box<str>, Error> {
        let len: usize = self.small()?;
        let end = self
            .at
            .checked_add(len)
            .filter(|end| *end <= self.data.len())
            .ok_or(self.damaged())?;
        let text = std::str::from_utf8(&self.data[self.at..end]).map_err(|_| self.damaged())?;
        self.at = end;
        Ok(text.into())
    }

    fn time(&mut self) -> Result<Timestamp, Error> {
        self.number().map(Timestamp::from_unix_millis)
    }

    /// Up to seven flags; the bits above them must be clear.
    fn flags<const N: usize>(&mut self) -> Result<[bool; N], Error> {
        let bits = self.octet()?;
        if bits >> N != 0 {
            return Err(self.damaged());
        }
        Ok(std::array::from_fn(|i| bits & (1 << i) != 0))
    }

    fn option<T>(&mut self, take: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<Option<T>, Error> {
        match self.octet()? {
            0 => Ok(None),
            1 => take(self).map(Some),
            _ => Err(self.damaged()),
        }
    }

    fn recipient(&mut self, has_late: bool) -> Result<Recipient, Error> {
        let at = self.at;
        let address = EmailAddress::parse(&self.text()?).map_err(|_| Error::Damaged(at))?;
        let mut recipient = Recipient::new(address, Timestamp::default());
        recipient.original = self.option(|r| Ok(OriginalRecipient::new(r.text()?, r.text()?)))?;
        recipient.notify = self.option(|r| {
            let [success, failure, delay] = r.flags()?;
            Ok(Notify {
                success,
                failure,
                delay,
            })
        })?;
        if has_late {
            [recipient.warned, recipient.late] = self.flags()?;
        } else {
            [recipient.warned] = self.flags()?;
        }
        recipient.state = match self.octet()? {
            0 => State::Queued {
                attempts: self.small()?,
                due: self.time()?,
                last: self.option(Self::diagnosis)?,
            },
            1 => State::Delivered { at: self.time()? },
            2 => State::Failed {
                at: self.time()?,
                why: self.diagnosis()?,
            },
            _ => return Err(self.damaged()),
        };
        Ok(recipient)
    }

    fn diagnosis(&mut self) -> Result<Diagnosis, Error> {
        let status =
            Status::new(self.octet()?, self.small()?, self.small()?).ok_or_else(|| self.damaged())?;
        let remote = self.option(Self::text)?;
        let text = self.text()?;
        Ok(match remote {
            Some(remote) => Diagnosis::remote(status, remote, text),
            None => Diagnosis::local(status, text),
        })
    }
}
