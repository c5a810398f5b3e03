//! What to send to rspamd's `/checkv2`, and what its answer means
//!
//! rspamd takes the message as the body of a POST, what is known of its way in header fields of the request, and answers
//! with JSON: an action, a score, the rules that matched, and changes as a milter would make them.

use crate::Error;
use core::net::IpAddr;
use serde_json::{Map, Value};

/// What is known of the way of a message.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The address of the client.
    pub ip: Option<IpAddr>,
    /// The name of the client by the DNS, if it leads back to its address.
    pub hostname: Option<&'a str>,
    /// What the client called itself.
    pub helo: Option<&'a str>,
    /// The sender of the envelope; empty for notices.
    pub from: &'a str,
    /// The recipients.
    pub recipients: &'a [&'a str],
    /// What logs call the message.
    pub queue_id: Option<&'a str>,
    /// Who logged in.
    pub user: Option<&'a str>,
    /// What the server that asks calls itself.
    pub mta_name: Option<&'a str>,
    /// Whether the client came over TLS.
    pub tls: bool,
}

impl Request<'_> {
    /// The path of the request.
    pub const PATH: &'static str = "/checkv2";

    /// The header fields of the request. Control characters are left out.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::with_capacity(8 + self.recipients.len());
        let mut put = |name, value: &str| {
            headers.push((
                name,
                value.chars().filter(|c| !c.is_control()).collect::<String>(),
            ));
        };
        if let Some(ip) = self.ip {
            put("IP", &ip.to_canonical().to_string());
        }
        if let Some(hostname) = self.hostname {
            put("Hostname", hostname);
        }
        if let Some(helo) = self.helo {
            put("Helo", helo);
        }
        put("From", self.from);
        for recipient in self.recipients {
            put("Rcpt", recipient);
        }
        if let Some(id) = self.queue_id {
            put("Queue-Id", id);
        }
        if let Some(user) = self.user {
            put("User", user);
        }
        if let Some(name) = self.mta_name {
            put("MTA-Name", name);
        }
        if self.tls {
            put("TLS-Cipher", "TLS");
        }
        headers
    }
}

/// What is to happen to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Take it.
    NoAction,
    /// Have the sender come back later, as somebody who was not seen before.
    Greylist,
    /// Mark it.
    AddHeader,
    /// Mark it in its subject.
    RewriteSubject,
    /// Refuse it for the moment.
    SoftReject,
    /// Refuse it for good.
    Reject,
    /// Take it and put it aside.
    Quarantine,
    /// Take it and throw it away.
    Discard,
}

/// An answer of rspamd.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// What is to happen.
    pub action: Action,
    /// The score of the message.
    pub score: f64,
    /// From which score on rspamd refuses.
    pub required_score: f64,
    /// The rules that matched, with their scores, in the order of the answer.
    pub symbols: Vec<(String, f64)>,
    /// Words for the client.
    pub smtp_message: Option<String>,
    /// The subject the message is to have.
    pub subject: Option<String>,
    /// Fields to add.
    pub add_headers: Vec<AddHeader>,
    /// Fields to remove.
    pub remove_headers: Vec<RemoveHeader>,
    /// The sender the envelope is to have.
    pub change_from: Option<String>,
    /// Recipients to add.
    pub add_recipients: Vec<String>,
    /// Recipients to remove.
    pub remove_recipients: Vec<String>,
    /// DKIM signatures to put in front, the value of the field each.
    pub dkim_signatures: Vec<String>,
}

/// A field to add.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddHeader {
    /// Its name.
    pub name: String,
    /// Its value; it may be folded with CRLF and white space.
    pub value: String,
    /// Where it is to stand among the fields: counted from 0 at the top, below zero from the end. At the end without it.
    pub order: Option<i32>,
}

/// A field to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoveHeader {
    /// Its name.
    pub name: String,
    /// Which one of this name: 0 for all, from 1 counted from the top, below zero from the end.
    pub which: i32,
}

impl Answer {
    /// Reads the body of an answer.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] if it is no JSON, has no action that is known, or would put what is no field into a header.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let answer: Value = serde_json::from_slice(body).map_err(|_| Error::Malformed("JSON"))?;
        let answer = answer.as_object().ok_or(Error::Malformed("JSON"))?;
        let action = text(answer, "action").ok_or(Error::Malformed("no action"))?;
        let number = |name| answer.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        let nothing = Map::new();
        let object = |name| answer.get(name).and_then(Value::as_object).unwrap_or(&nothing);
        let milter = object("milter");
        let score_of = |symbol: &Value| symbol.get("score").and_then(Value::as_f64).unwrap_or(0.0);
        let mut read = Self {
            action: Action::from_name(action).ok_or(Error::Malformed("action"))?,
            score: number("score"),
            required_score: number("required_score"),
            symbols: object("symbols")
                .iter()
                .map(|(name, symbol)| (name.clone(), score_of(symbol)))
                .collect(),
            smtp_message: text(object("messages"), "smtp_message").map(one_line),
            subject: text(answer, "subject").map(one_line),
            add_headers: Vec::new(),
            remove_headers: Vec::new(),
            change_from: text(milter, "change_from").map(one_line),
            add_recipients: texts(milter.get("add_rcpt")),
            remove_recipients: texts(milter.get("del_rcpt")),
            dkim_signatures: Vec::new(),
        };
        for signature in texts(answer.get("dkim-signature")) {
            read.dkim_signatures.push(field_value(&signature)?);
        }
        if let Some(Value::Object(headers)) = milter.get("add_headers") {
            for (name, values) in headers {
                let values = values
                    .as_array()
                    .map_or(core::slice::from_ref(values), Vec::as_slice);
                for value in values {
                    read.add_headers.push(AddHeader::read(name, value)?);
                }
            }
        }
        if let Some(Value::Object(headers)) = milter.get("remove_headers") {
            for (name, which) in headers {
                let which = which
                    .as_array()
                    .map_or(core::slice::from_ref(which), Vec::as_slice);
                for which in which {
                    let which = which.as_i64().and_then(|which| i32::try_from(which).ok());
                    read.remove_headers.push(RemoveHeader {
                        name: field_name(name)?,
                        which: which.ok_or(Error::Malformed("number of a field"))?,
                    });
                }
            }
        }
        // A milter of rspamd acts on this word as well.
        match text(milter, "reject") {
            Some("discard") => read.action = Action::Discard,
            Some("quarantine") => read.action = Action::Quarantine,
            _ => {}
        }
        if milter.get("no_action").and_then(Value::as_bool) == Some(true) {
            read.action = Action::NoAction;
        }
        Ok(read)
    }
}

impl Action {
    /// The action of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "no action" | "accept" => Self::NoAction,
            "greylist" => Self::Greylist,
            "add header" => Self::AddHeader,
            "rewrite subject" => Self::RewriteSubject,
            "soft reject" => Self::SoftReject,
            "reject" => Self::Reject,
            "quarantine" => Self::Quarantine,
            "discard" => Self::Discard,
            _ => return None,
        })
    }

    /// What rspamd calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAction => "no action",
            Self::Greylist => "greylist",
            Self::AddHeader => "add header",
            Self::RewriteSubject => "rewrite subject",
            Self::SoftReject => "soft reject",
            Self::Reject => "reject",
            Self::Quarantine => "quarantine",
            Self::Discard => "discard",
        }
    }
}

impl AddHeader {
    fn read(name: &str, value: &Value) -> Result<Self, Error> {
        let (text, order) = match value {
            Value::Object(value) => (text(value, "value"), value.get("order").and_then(Value::as_i64)),
            value => (value.as_str(), None),
        };
        Ok(Self {
            name: field_name(name)?,
            value: field_value(text.ok_or(Error::Malformed("value of a field"))?)?,
            order: order.and_then(|order| i32::try_from(order).ok()),
        })
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// One text, or all of a list.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn field_name(name: &str) -> Result<String, Error> {
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    is_name
        .then(|| name.to_owned())
        .ok_or(Error::Malformed("name of a field"))
}

/// A value with CRLF where it is folded; what would end the field is refused.
fn field_value(value: &str) -> Result<String, Error> {
    let malformed = Error::Malformed("value of a field");
    let value = value.trim_end_matches(['\r', '\n']);
    let mut out = String::with_capacity(value.len());
    for (at, line) in value.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.contains(['\r', '\0']) || (at > 0 && !line.starts_with([' ', '\t'])) {
            return Err(malformed);
        }
        if at > 0 && line.trim().is_empty() {
            continue;
        }
        if at > 0 {
            out.push_str("\r\n");
        }
        out.push_str(line);
    }
    Ok(out)
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
