#![allow(missing_docs, unused_variables)]
use crate::date::DateTime;
use core::net::IpAddr;
use mailwright_address as _;
/// A Received field (RFC 5321 §4.4).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Received<'a> {
    /// What the client said in EHLO, HELO or LHLO.
    pub helo: Option<&'a str>,
    pub reverse_name: Option<&'a str>,
    pub ip: Option<IpAddr>,
    pub by: &'a str,
    /// `ESMTPSA` and so on (RFC 3848).
    pub with: &'a str,
    /// For a comment, `TLS1.3 TLS_AES_256_GCM_SHA384`.
    pub tls: Option<&'a str>,
    pub id: Option<&'a str>,
    /// The one recipient, without angle brackets; leave it out when there is more than one.
    pub recipient: Option<&'a str>,
    pub date: DateTime,
}
impl<'a> Received<'a> {
    /// Starts a field with what every one has; set the rest.
    pub fn new(by: &'a str, with: &'a str, date: DateTime) -> Self {
        unimplemented!()
    }
    /// The field, folded, with its last CRLF.
    pub fn to_field(&self) -> String {
        unimplemented!()
    }
}
/// `Return-Path: <a@b>` with its CRLF; an empty address is the null path.
pub fn return_path(address: &str) -> String {
    unimplemented!()
}
