//! ETRN: asking a server to begin with the mail it holds for a node (RFC 1985)

use mailwright_address::Domain;
use std::fmt;

/// The argument of ETRN (RFC 1985 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Etrn {
    /// A node: the mail for this domain.
    Node(Domain),
    /// `@` and a node: the mail for this domain and all below it.
    Subdomains(Domain),
    /// `#` and the name of a queue: letters, digits, dots, dashes and underscores.
    Queue(Box<str>),
}

impl Etrn {
    pub(crate) fn parse(args: &str) -> Option<Self> {
        match args.as_bytes().first()? {
            b'@' => node(&args[1..]).map(Self::Subdomains),
            b'#' => {
                let name = &args[1..];
                let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
                let valid = (1..=255).contains(&name.len()) && name.bytes().all(letter);
                valid.then(|| Self::Queue(name.into()))
            }
            _ => node(args).map(Self::Node),
        }
    }
}

/// What follows `ETRN `.
impl fmt::Display for Etrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Subdomains(node) => write!(f, "@{node}"),
            Self::Queue(name) => write!(f, "#{}", name.replace(|c: char| !c.is_ascii_graphic(), "")),
        }
    }
}

/// RFC 1985 §5.1: a fully qualified domain name.
fn node(text: &str) -> Option<Domain> {
    let qualified = text.is_ascii() && text.contains('.');
    Domain::parse(text).ok().filter(|_| qualified)
}
