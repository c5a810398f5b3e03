//! XCLIENT and XFORWARD: a server is told the attributes that it takes (Postfix, XCLIENT_README)

use crate::xclient::Xclient;
use crate::xforward::Xforward;

/// What of `known` a server takes that offers XCLIENT with these attributes; `None` if that is nothing.
pub(super) fn taken_client(known: Xclient, offered: &str) -> Option<Xclient> {
    let told = Xclient {
        name: known.name.filter(|_| has(offered, "NAME")),
        addr: known.addr.filter(|_| has(offered, "ADDR")),
        port: known.port.filter(|_| has(offered, "PORT")),
        proto: known.proto.filter(|_| has(offered, "PROTO")),
        helo: known.helo.filter(|_| has(offered, "HELO")),
        login: known.login.filter(|_| has(offered, "LOGIN")),
        dest_addr: known.dest_addr.filter(|_| has(offered, "DESTADDR")),
        dest_port: known.dest_port.filter(|_| has(offered, "DESTPORT")),
    };
    (told != Xclient::default()).then_some(told)
}

/// What of `known` a server takes that offers XFORWARD with these attributes; `None` if that is nothing.
pub(super) fn taken_forward(known: Xforward, offered: &str) -> Option<Xforward> {
    let told = Xforward {
        name: known.name.filter(|_| has(offered, "NAME")),
        addr: known.addr.filter(|_| has(offered, "ADDR")),
        port: known.port.filter(|_| has(offered, "PORT")),
        proto: known.proto.filter(|_| has(offered, "PROTO")),
        helo: known.helo.filter(|_| has(offered, "HELO")),
        ident: known.ident.filter(|_| has(offered, "IDENT")),
        source: known.source.filter(|_| has(offered, "SOURCE")),
    };
    (told != Xforward::default()).then_some(told)
}

fn has(offered: &str, name: &str) -> bool {
    offered.split(' ').any(|word| word.eq_ignore_ascii_case(name))
}
