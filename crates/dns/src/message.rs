//! Messages on the wire ([RFC 1035] §4, [RFC 6891])
//!
//! Only what a question needs is decoded: CNAME records and those of the type asked for in the answer section, SOA
//! and NS in the authority section, OPT in the additional section. Other records are stepped over, so a server may add
//! types nobody here knows, broken or not. A broken record among those that matter makes the whole answer malformed:
//! a set with a record missing is another set. Octets behind the last record are ignored.
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 6891]: https://www.rfc-editor.org/rfc/rfc6891

use crate::{Mx, Name, Record, RecordType, Soa, Srv, Tlsa, Txt};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr as hickory;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, Restrict};

/// What was sent, for comparison with what comes back.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) id: u16,
    pub(crate) name: &'a Name,
    pub(crate) record_type: RecordType,
    /// Datagrams come from anyone, and may be cut; streams only from the server, and whole.
    pub(crate) datagram: bool,
}

/// Why a message is not an answer to the question: it may come from somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stray {
    /// Not a DNS response at all.
    NoResponse,
    Id,
    Question,
    Case,
}

/// An answer to the question.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The datagram had no room for all of it.
    Truncated,
    Malformed,
    /// Too much came that is no answer: the question is put again over TCP.
    Flooded,
    Response(Response),
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) code: u16,
    pub(crate) authentic: bool,
    pub(crate) answers: Vec<Owned<Record>>,
    pub(crate) soas: Vec<Owned<Soa>>,
    pub(crate) name_servers: bool,
    pub(crate) extended_error: Option<u16>,
}

/// A record with what belongs to its set.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    pub(crate) name: Name,
    /// In seconds.
    pub(crate) ttl: u32,
    pub(crate) data: T,
}

/// EDNS settings of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdnsOptions {
    pub(crate) payload: u16,
    pub(crate) dnssec_ok: bool,
}

pub(crate) const NO_ERROR: u16 = 0;
pub(crate) const FORM_ERR: u16 = 1;
pub(crate) const SERV_FAIL: u16 = 2;
pub(crate) const NX_DOMAIN: u16 = 3;
pub(crate) const NOT_IMP: u16 = 4;
pub(crate) const REFUSED: u16 = 5;
pub(crate) const BAD_VERS: u16 = 16;

/// Writes a query, with AD set to ask for the AD bit of the answer (RFC 6840 §5.7).
pub(crate) fn query(id: u16, name: &Name, record_type: RecordType, edns: Option<EdnsOptions>) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = true;
    let name = hickory::Name::from_labels(name.labels()).expect("a Name keeps all limits of names");
    message.add_query(Query::query(name, hickory::RecordType::from(record_type.code())));
    if let Some(options) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(options.payload)
            .set_dnssec_ok(options.dnssec_ok);
        message.set_edns(edns);
    }
    message
        .to_vec()
        .expect("one question and one OPT record always fit")
}

/// Reads a message, and refuses it unless it answers what was asked (RFC 5452 §9.1).
pub(crate) fn read(message: &[u8], asked: &Asked<'_>) -> Result<Reply, Stray> {
    let header = Header::read(message).ok_or(Stray::NoResponse)?;
    if !header.response || header.op_code != 0 {
        return Err(Stray::NoResponse);
    }
    if header.id != asked.id {
        return Err(Stray::Id);
    }
    let mut decoder = BinDecoder::new(message);
    decoder
        .read_slice(Header::LENGTH)
        .map_err(|_| Stray::NoResponse)?;
    // A server that cannot read a query may be unable to repeat its question (RFC 6891 §7).
    if header.questions == 0 && matches!(header.code, FORM_ERR | NOT_IMP) {
        return Ok(Reply::Response(Response::without_records(&header)));
    }
    question(&mut decoder, &header, asked)?;
    if header.truncated && matches!(header.code, NO_ERROR | NX_DOMAIN) {
        return Ok(if asked.datagram {
            Reply::Truncated
        } else {
            Reply::Malformed
        });
    }
    Ok(match sections(&mut decoder, &header, asked.record_type) {
        Some(response) => Reply::Response(response),
        // The code alone says enough.
        None if !matches!(header.code, NO_ERROR | NX_DOMAIN) => {
            Reply::Response(Response::without_records(&header))
        }
        None => Reply::Malformed,
    })
}

impl Response {
    fn without_records(header: &Header) -> Self {
        Self {
            code: header.code,
            authentic: header.authentic,
            answers: Vec::new(),
            soas: Vec::new(),
            name_servers: false,
            extended_error: None,
        }
    }
}

struct Header {
    id: u16,
    response: bool,
    op_code: u16,
    truncated: bool,
    authentic: bool,
    code: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

impl Header {
    const LENGTH: usize = 12;

    fn read(message: &[u8]) -> Option<Self> {
        let word = |i: usize| {
            Some(u16::from_be_bytes([
                *message.get(2 * i)?,
                *message.get(2 * i + 1)?,
            ]))
        };
        let flags = word(1)?;
        Some(Self {
            id: word(0)?,
            response: flags & 0x8000 != 0,
            op_code: flags >> 11 & 0xf,
            truncated: flags & 0x0200 != 0,
            authentic: flags & 0x0020 != 0,
            code: flags & 0xf,
            questions: word(2)?,
            answers: word(3)?,
            authorities: word(4)?,
            additionals: word(5)?,
        })
    }
}

fn question(decoder: &mut BinDecoder<'_>, header: &Header, asked: &Asked<'_>) -> Result<(), Stray> {
    if header.questions != 1 {
        return Err(Stray::Question);
    }
    let name = read_name(decoder).ok_or(Stray::Question)?;
    let record_type = read_u16(decoder).ok_or(Stray::Question)?;
    let class = read_u16(decoder).ok_or(Stray::Question)?;
    if name != *asked.name || record_type != asked.record_type.code() || class != CLASS_IN {
        return Err(Stray::Question);
    }
    if asked.datagram && !name.eq_exact(asked.name) {
        return Err(Stray::Case);
    }
    Ok(())
}

fn sections(decoder: &mut BinDecoder<'_>, header: &Header, record_type: RecordType) -> Option<Response> {
    let mut response = Response::without_records(header);
    for _ in 0..header.answers {
        let head = RecordHead::read(decoder)?;
        let wanted = head.code == record_type.code() || head.code == RecordType::Cname.code();
        if wanted && head.class == CLASS_IN {
            let data = head.data(decoder)?;
            response.answers.push(Owned {
                data,
                name: head.name,
                ttl: head.ttl,
            });
        } else {
            head.skip(decoder)?;
        }
    }
    for _ in 0..header.authorities {
        let head = RecordHead::read(decoder)?;
        response.name_servers |= head.code == TYPE_NS && head.class == CLASS_IN;
        if head.code == RecordType::Soa.code() && head.class == CLASS_IN {
            if let Record::Soa(data) = head.data(decoder)? {
                response.soas.push(Owned {
                    data,
                    name: head.name,
                    ttl: head.ttl,
                });
            }
        } else {
            head.skip(decoder)?;
        }
    }
    let mut edns = false;
    for _ in 0..header.additionals {
        let head = RecordHead::read(decoder)?;
        if head.code == TYPE_OPT {
            // RFC 6891 §6.1.1: one at most, and at the root.
            if edns || !head.name.is_root() {
                return None;
            }
            edns = true;
            // The upper eight bits of the response code.
            response.code |= u16::from(head.raw_ttl.to_be_bytes()[0]) << 4;
            let options = decoder.read_slice(usize::from(head.length)).ok()?.unverified();
            response.extended_error = extended_error(options);
        } else {
            head.skip(decoder)?;
        }
    }
    Some(response)
}

struct RecordHead {
    name: Name,
    code: u16,
    class: u16,
    ttl: u32,
    raw_ttl: u32,
    length: u16,
}

impl RecordHead {
    fn read(decoder: &mut BinDecoder<'_>) -> Option<Self> {
        let name = read_name(decoder)?;
        let code = read_u16(decoder)?;
        let class = read_u16(decoder)?;
        let raw_ttl = decoder.read_u32().ok()?.unverified();
        let length = read_u16(decoder)?;
        // RFC 2181 §8: with the top bit set, the TTL is zero.
        let ttl = if raw_ttl >> 31 == 0 { raw_ttl } else { 0 };
        (usize::from(length) <= decoder.len()).then_some(Self {
            name,
            code,
            class,
            ttl,
            raw_ttl,
            length,
        })
    }

    fn skip(&self, decoder: &mut BinDecoder<'_>) -> Option<()> {
        decoder.read_slice(usize::from(self.length)).ok().map(drop)
    }

    fn data(&self, decoder: &mut BinDecoder<'_>) -> Option<Record> {
        let code = hickory::RecordType::from(self.code);
        let data = hickory::RData::read(decoder, code, Restrict::new(self.length)).ok()?;
        match data {
            hickory::RData::A(a) => Some(Record::A(a.0)),
            hickory::RData::AAAA(aaaa) => Some(Record::Aaaa(aaaa.0)),
            hickory::RData::CNAME(name) => plain(&name.0).map(Record::Cname),
            hickory::RData::PTR(name) => plain(&name.0).map(Record::Ptr),
            hickory::RData::SRV(srv) => {
                let target = plain(&srv.target)?;
                Some(Record::Srv(Srv::new(srv.priority, srv.weight, srv.port, target)))
            }
            hickory::RData::MX(mx) => Some(Record::Mx(Mx::new(mx.preference, plain(&mx.exchange)?))),
            hickory::RData::SOA(soa) => Some(Record::Soa(Soa::new(
                name_of(&soa.mname)?,
                name_of(&soa.rname)?,
                soa.serial,
                soa.minimum,
            ))),
            hickory::RData::TLSA(tlsa) => Some(Record::Tlsa(Tlsa::new(
                u8::from(tlsa.cert_usage),
                u8::from(tlsa.selector),
                u8::from(tlsa.matching),
                tlsa.cert_data,
            ))),
            hickory::RData::TXT(txt) => Some(Record::Txt(Txt::new(txt.txt_data))),
            _ => None,
        }
    }
}

/// Finds the extended error among EDNS options (RFC 8914 §2).
fn extended_error(mut options: &[u8]) -> Option<u16> {
    while let [c0, c1, l0, l1, rest @ ..] = options {
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
        if u16::from_be_bytes([*c0, *c1]) == OPTION_EXTENDED_ERROR {
            return Some(u16::from_be_bytes([*value.first()?, *value.get(1)?]));
        }
        options = rest;
    }
    None
}

fn read_name(decoder: &mut BinDecoder<'_>) -> Option<Name> {
    name_of(&hickory::Name::read(decoder).ok()?)
}

fn name_of(name: &hickory::Name) -> Option<Name> {
    Name::from_labels(name.iter())
}

/// A name in small letters: compression makes it end in those of the question, whose case is random.
fn plain(name: &hickory::Name) -> Option<Name> {
    Some(name_of(name)?.with_case(&[0]))
}

fn read_u16(decoder: &mut BinDecoder<'_>) -> Option<u16> {
    Some(decoder.read_u16().ok()?.unverified())
}

const CLASS_IN: u16 = 1;
const TYPE_NS: u16 = 2;
const TYPE_OPT: u16 = 41;
const OPTION_EXTENDED_ERROR: u16 = 15;
