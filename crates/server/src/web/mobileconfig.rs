//! What iPhones, iPads and Macs install: a configuration profile with one mail account

use super::xml::Xml;
use crate::config::Protocol;
use crate::offer::Service;
use ring::digest::{SHA256, digest};

const DOCTYPE: &str = "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
                       \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n";

/// The profile for an address; `None` if there is no service to fetch mail, or none to send it.
pub(super) fn profile(address: &str, domain: &str, services: &[Service]) -> Option<String> {
    let of = |protocol| services.iter().find(|it| it.protocol == protocol);
    let incoming = of(Protocol::Imap).or_else(|| of(Protocol::Pop3))?;
    let outgoing = of(Protocol::Submission)?;
    let kind = match incoming.protocol {
        Protocol::Imap => "EmailTypeIMAP",
        _ => "EmailTypePOP",
    };
    let reversed: Vec<&str> = domain.rsplit('.').collect();
    let name = format!("{}.mail", reversed.join("."));
    let mut plist = Plist(Xml::new(DOCTYPE));
    plist.0.open("plist", &[("version", "1.0")]);
    plist.0.open("dict", &[]);
    plist.0.leaf("key", "PayloadContent");
    plist.0.open("array", &[]);
    plist.0.open("dict", &[]);
    plist.string("EmailAccountDescription", address);
    plist.string("EmailAccountType", kind);
    plist.string("EmailAddress", address);
    plist.server("Incoming", incoming, address);
    plist.server("Outgoing", outgoing, address);
    plist.flag("OutgoingPasswordSameAsIncomingPassword", true);
    plist.payload(
        "com.apple.mail.managed",
        &format!("{name}.account"),
        address,
        "account",
    );
    plist.0.close();
    plist.0.close();
    plist.string("PayloadOrganization", domain);
    plist.flag("PayloadRemovalDisallowed", false);
    plist.payload("Configuration", &name, address, "profile");
    Some(plist.0.finish())
}

/// A property list that is being written.
struct Plist(Xml);

impl Plist {
    fn string(&mut self, key: &str, value: &str) {
        self.0.leaf("key", key);
        self.0.leaf("string", value);
    }

    fn integer(&mut self, key: &str, value: u16) {
        self.0.leaf("key", key);
        self.0.leaf("integer", &value.to_string());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.0.leaf("key", key);
        self.0.empty(if value { "true" } else { "false" });
    }

    fn server(&mut self, direction: &str, service: &Service, user: &str) {
        let key = |rest: &str| format!("{direction}MailServer{rest}");
        self.string(&key("Authentication"), "EmailAuthPassword");
        self.string(&key("HostName"), &service.host);
        self.integer(&key("PortNumber"), service.port);
        // By STARTTLS as well, where the port is one for that.
        self.flag(&key("UseSSL"), true);
        self.string(&key("Username"), user);
    }

    /// What every payload has.
    fn payload(&mut self, kind: &str, name: &str, address: &str, what: &str) {
        self.string("PayloadDisplayName", &format!("Mail of {address}"));
        self.string("PayloadIdentifier", name);
        self.string("PayloadType", kind);
        self.string("PayloadUUID", &uuid(&format!("{what} {address}")));
        self.integer("PayloadVersion", 1);
    }
}

/// A UUID that is the same whenever it is asked for, so that a second installation replaces the first (RFC 9562 §5.8).
fn uuid(name: &str) -> String {
    let mut octets = [0; 16];
    octets.copy_from_slice(&digest(&SHA256, name.as_bytes()).as_ref()[..16]);
    octets[6] = octets[6] & 0x0f | 0x80;
    octets[8] = octets[8] & 0x3f | 0x80;
    let digits: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    let (a, b, c, d, e) = (
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}
