//! What Outlook asks for: Autodiscover in its plain XML form (MS-OXDSCLI), and the JSON that leads there

use super::xml::{Xml, find};
use crate::config::Protocol;
use crate::offer::Service;

/// The schema of answers that programs for IMAP, POP3 and SMTP understand.
const ANSWER: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
/// The schema around it.
const AROUND: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";

/// Why there are no settings, as the protocol numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The address has another domain, or is none.
    Address = 500,
    /// It is not a request.
    Request = 600,
    /// The answer should have a form that is not ours.
    Schema = 601,
}

/// The address that a request is about.
pub(super) fn address(request: &[u8]) -> Result<String, Refusal> {
    let read = find(request, ["EMailAddress", "AcceptableResponseSchema"]);
    let [address, schema] = read.ok_or(Refusal::Request)?;
    match schema == ANSWER {
        true => Ok(address),
        false => Err(Refusal::Schema),
    }
}

/// The settings for an address.
pub(super) fn settings(address: &str, services: &[Service]) -> String {
    let mut xml = Xml::new("");
    xml.open("Autodiscover", &[("xmlns", AROUND)]);
    xml.open("Response", &[("xmlns", ANSWER)]);
    xml.open("User", &[]);
    xml.leaf("DisplayName", address);
    xml.close();
    xml.open("Account", &[]);
    xml.leaf("AccountType", "email");
    xml.leaf("Action", "settings");
    let kinds = [
        (Protocol::Imap, "IMAP"),
        (Protocol::Pop3, "POP3"),
        (Protocol::Submission, "SMTP"),
    ];
    for (protocol, kind) in kinds {
        // One of each: Outlook does not choose among several.
        let Some(service) = services.iter().find(|it| it.protocol == protocol) else {
            continue;
        };
        xml.open("Protocol", &[]);
        xml.leaf("Type", kind);
        xml.leaf("Server", &service.host);
        xml.leaf("Port", &service.port.to_string());
        xml.leaf("DomainRequired", "off");
        xml.leaf("LoginName", address);
        xml.leaf("SPA", "off");
        xml.leaf("SSL", "on");
        // It has the last word over SSL, and tells STARTTLS apart.
        xml.leaf("Encryption", if service.implicit { "SSL" } else { "TLS" });
        xml.leaf("AuthRequired", "on");
        if protocol == Protocol::Submission {
            xml.leaf("UsePOPAuth", "off");
            xml.leaf("SMTPLast", "off");
        }
        xml.close();
    }
    xml.finish()
}

/// The answer without settings.
pub(super) fn refusal(why: Refusal) -> String {
    let (code, words) = match why {
        Refusal::Address => ("500", "The email address is not one of this server"),
        Refusal::Request => ("600", "Invalid Request"),
        Refusal::Schema => ("601", "Provider is not available"),
    };
    let mut xml = Xml::new("");
    xml.open("Autodiscover", &[("xmlns", AROUND)]);
    xml.open("Response", &[]);
    xml.open("Error", &[]);
    xml.leaf("ErrorCode", code);
    xml.leaf("Message", words);
    xml.empty("DebugData");
    xml.finish()
}

/// The answer to the JSON form, which tells where another protocol is spoken: `None` for all but the XML form.
pub(super) fn whereabouts(protocol: &str, url: &str) -> Option<String> {
    protocol.eq_ignore_ascii_case("AutodiscoverV1").then(|| {
        let answer = serde_json::json!({ "Protocol": "AutodiscoverV1", "Url": url });
        answer.to_string()
    })
}

/// What the JSON form says of a protocol that is not spoken here.
pub(super) fn no_such_protocol() -> String {
    let answer = serde_json::json!({
        "ErrorCode": "InvalidProtocol",
        "ErrorMessage": "The given protocol value is invalid. Supported values are 'AutodiscoverV1'",
    });
    answer.to_string()
}
