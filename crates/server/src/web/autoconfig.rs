//! What Thunderbird, Evolution, KMail and others ask for: the document `config-v1.1.xml`
//!
//! Its form is described at <https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat>.

use super::xml::Xml;
use crate::config::Protocol;
use crate::offer::Service;

/// The document for a domain.
pub(super) fn document(domain: &str, services: &[Service]) -> String {
    let mut xml = Xml::new("");
    xml.open("clientConfig", &[("version", "1.1")]);
    xml.open("emailProvider", &[("id", domain)]);
    xml.leaf("domain", domain);
    xml.leaf("displayName", domain);
    xml.leaf("displayShortName", domain);
    // Programs take the first server that they know.
    for (protocol, kind) in [(Protocol::Imap, "imap"), (Protocol::Pop3, "pop3")] {
        for service in services.iter().filter(|it| it.protocol == protocol) {
            server(&mut xml, "incomingServer", kind, service);
        }
    }
    for service in services.iter().filter(|it| it.protocol == Protocol::Submission) {
        server(&mut xml, "outgoingServer", "smtp", service);
    }
    xml.finish()
}

fn server(xml: &mut Xml, element: &'static str, kind: &str, service: &Service) {
    xml.open(element, &[("type", kind)]);
    xml.leaf("hostname", &service.host);
    xml.leaf("port", &service.port.to_string());
    xml.leaf("socketType", if service.implicit { "SSL" } else { "STARTTLS" });
    xml.leaf("authentication", "password-cleartext");
    xml.leaf("username", "%EMAILADDRESS%");
    xml.close();
}
