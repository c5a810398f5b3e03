//! The plan of a mail transaction, and what is left of it at a certain server (RFC 5321 §3.3, RFC 9422)

use super::outcome::{Cause, Delivery, Failure, NotTried, Requirement};
use super::{Capabilities, UseBdat};
use crate::deliverby::{DeliverBy, Mode};
use crate::dsn::Notify;
use crate::ehlo::Keyword;
use crate::futurerelease::Hold;
use crate::xforward::Xforward;
use crate::{BodyType, Mail, Rcpt, Stage};
use mailwright_address::{EmailAddress, ForwardPath, ReversePath};
use std::collections::HashSet;

/// A message to send: its envelope. The message itself is asked for when it is time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// Sender and parameters. These say what the message needs of a server, and it goes to no server that lacks
    /// it: `BODY=8BITMIME` and `BODY=BINARYMIME` (but see [`convertible`](Self::convertible)), `SMTPUTF8` for
    /// UTF-8 in the headers (for addresses it is added by itself), `REQUIRETLS`, `BY` with [`Mode::Return`],
    /// `HOLDFOR` and `HOLDUNTIL`. All other parameters are sent to servers that understand them.
    ///
    /// The seconds of `BY` are those left when the transaction is given to the client; they are reduced by the
    /// time that passes until MAIL is sent (RFC 2852 §4.1.4).
    pub mail: Mail,
    /// Recipients and parameters.
    pub recipients: Vec<Rcpt>,
    /// Whether the message can be had in another form, for servers that do not take it as it is. Then the
    /// client asks for it with [`Event::Convert`](super::Event::Convert); otherwise its recipients fail.
    /// Default no.
    pub convertible: bool,
    /// Where the message came from, for servers that want to know (XFORWARD).
    pub xforward: Option<Box<Xforward>>,
    ascii_sender: Option<ReversePath>,
    /// As long as the recipients, or empty.
    ascii_recipients: Vec<Option<ForwardPath>>,
}

impl Transaction {
    /// A message from `mail` to `recipients`.
    pub fn new(mail: Mail, recipients: Vec<Rcpt>) -> Self {
        Self {
            mail,
            recipients,
            convertible: false,
            xforward: None,
            ascii_sender: None,
            ascii_recipients: Vec::new(),
        }
    }

    /// Gives the addresses that are not ASCII another form for servers without SMTPUTF8: the same address with
    /// its domain in A-labels (RFC 6531 §3.2). `convert` says `None` where there is none: the local part is not
    /// ASCII either.
    ///
    /// What `convert` gives is used only if it is ASCII. Recipients that are changed afterwards have no such form.
    #[must_use]
    pub fn with_ascii(mut self, convert: impl Fn(&EmailAddress) -> Option<EmailAddress>) -> Self {
        let convert = |address: Option<&EmailAddress>| {
            let address = address.filter(|a| !a.is_ascii())?;
            convert(address).filter(EmailAddress::is_ascii)
        };
        self.ascii_sender = convert(self.mail.path.address()).map(ReversePath::Address);
        self.ascii_recipients = (self.recipients.iter())
            .map(|rcpt| convert(rcpt.path.address()).map(ForwardPath::Address))
            .collect();
        self
    }

    /// Takes the time that passed off the one that is left (RFC 2852 §4.1.4); whether any is, where it matters.
    pub(super) fn shorten(&mut self, passed: u64) -> bool {
        let params = &mut self.mail.params;
        let Some(by) = params.by.filter(|_| passed > 0) else {
            return true;
        };
        let left = i64::from(by.seconds()).saturating_sub_unsigned(passed);
        let left = left.max(-i64::from(DeliverBy::MAX_SECONDS));
        let left = i32::try_from(left).expect("it is between the bounds of the parameter");
        params.by = DeliverBy::new(left, by.mode(), by.trace());
        params.by.is_some()
    }
}

/// What of a server decides over a plan.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    pub(super) server: &'a Capabilities,
    pub(super) tls: bool,
    pub(super) bdat: UseBdat,
    /// Transactions begun on this connection.
    pub(super) transactions: u32,
}

/// A plan, cut to what a server takes.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) plan: Transaction,
    /// Decided already, by recipient.
    pub(super) deliveries: Vec<Option<Delivery>>,
    /// The recipients to be tried.
    pub(super) order: Vec<usize>,
    /// The form in which the message must be had, if not as it is.
    pub(super) convert: Option<BodyType>,
    /// Whether the message is sent by BDAT.
    pub(super) chunked: bool,
}

impl Terms<'_> {
    pub(super) fn prepare(&self, mut plan: Transaction) -> Prepared {
        let mut deliveries = vec![None; plan.recipients.len()];
        let unmet = self.unmet(&mut plan);
        let convert = self.conversion(&plan);
        let all = match unmet {
            Some(requirement) => Some(unsupported(requirement)),
            None => match convert {
                Some(_) if !plan.convertible => Some(unsupported(match plan.mail.params.body {
                    Some(BodyType::BinaryMime) => Requirement::BinaryMime,
                    _ => Requirement::EightBitMime,
                })),
                _ if self.is_spent() => Some(Delivery::NotTried(NotTried::Transactions)),
                _ => None,
            },
        };
        let order = match all {
            Some(decided) => {
                deliveries.fill(Some(decided));
                vec![]
            }
            None => self.choose(&mut plan, &mut deliveries),
        };
        let utf8 = !plan.mail.path.is_ascii() || order.iter().any(|i| !plan.recipients[*i].path.is_ascii());
        plan.mail.params.smtputf8 |= utf8;
        let body = convert.or(plan.mail.params.body);
        let chunked = self.server.has("CHUNKING")
            && match self.bdat {
                UseBdat::Never => false,
                UseBdat::ForBinary => body == Some(BodyType::BinaryMime),
                UseBdat::WhenOffered => true,
            };
        self.adapt(&mut plan);
        Prepared {
            plan,
            deliveries,
            order,
            convert,
            chunked,
        }
    }

    /// Whether the server has said that it takes no further transaction.
    pub(super) fn is_spent(&self) -> bool {
        let limits = self.server.limits();
        limits.mail_max.is_some_and(|max| self.transactions >= max)
    }

    /// What the server lacks to take this message, whatever form its body has.
    fn unmet(&self, plan: &mut Transaction) -> Option<Requirement> {
        let server = self.server;
        if !plan.mail.path.is_ascii()
            && !server.has("SMTPUTF8")
            && let Some(ascii) = plan.ascii_sender.take()
        {
            plan.mail.path = ascii;
        }
        // RFC 8689 §5: a notice is not lost because a server does not hold others to TLS.
        if plan.mail.path == ReversePath::Null && self.tls && !server.has("REQUIRETLS") {
            plan.mail.params.require_tls = false;
        }
        let params = &plan.mail.params;
        let is_utf8 = params.smtputf8 || !plan.mail.path.is_ascii();
        let too_big = |size| server.size_limit().is_some_and(|limit| size > limit);
        if params.require_tls && !(self.tls && server.has("REQUIRETLS")) {
            Some(Requirement::RequireTls)
        } else if is_utf8 && !server.has("SMTPUTF8") {
            Some(Requirement::SmtpUtf8)
        } else if params
            .by
            .is_some_and(|by| by.mode() == Mode::Return && !self.keeps(by.seconds()))
        {
            Some(Requirement::DeliverBy)
        } else if params.hold.is_some_and(|hold| !self.holds(hold)) {
            Some(Requirement::FutureRelease)
        } else if params.size.is_some_and(too_big) {
            Some(Requirement::Size)
        } else {
            None
        }
    }

    /// RFC 2852 §4.1.4.1: whether the server promises to deliver or return a message within this time.
    fn keeps(&self, seconds: i32) -> bool {
        let least = self.server.keywords().iter().find_map(|keyword| match keyword {
            Keyword::DeliverBy(least) => Some(least.unwrap_or(0)),
            _ => None,
        });
        least.is_some_and(|least| i64::from(seconds) >= i64::from(least))
    }

    /// RFC 4865 §4: whether the server holds messages, and this long.
    fn holds(&self, hold: Hold) -> bool {
        self.server.keywords().iter().any(|keyword| match keyword {
            Keyword::FutureRelease(Some((longest, last))) => match hold {
                Hold::For(interval) => interval <= *longest,
                Hold::Until(moment) => moment <= *last,
            },
            Keyword::FutureRelease(None) => true,
            _ => false,
        })
    }

    /// The form that the message must be brought into.
    fn conversion(&self, plan: &Transaction) -> Option<BodyType> {
        let eight_bit = self.server.has("8BITMIME");
        // RFC 3030 §3: it must not be sent by DATA.
        let binary =
            self.server.has("BINARYMIME") && self.server.has("CHUNKING") && self.bdat != UseBdat::Never;
        match plan.mail.params.body? {
            BodyType::SevenBit => None,
            BodyType::EightBitMime if eight_bit => None,
            BodyType::BinaryMime if binary => None,
            BodyType::BinaryMime if eight_bit => Some(BodyType::EightBitMime),
            BodyType::EightBitMime | BodyType::BinaryMime => Some(BodyType::SevenBit),
        }
    }

    /// The recipients that can be tried in one transaction; the others are decided.
    fn choose(&self, plan: &mut Transaction, deliveries: &mut [Option<Delivery>]) -> Vec<usize> {
        let limits = self.server.limits();
        let utf8 = self.server.has("SMTPUTF8");
        let most =
            |limit: Option<u32>| limit.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
        let (rcpt_max, domain_max) = (most(limits.rcpt_max), most(limits.rcpt_domain_max));
        let mut order = Vec::new();
        let mut domains = HashSet::new();
        for (i, rcpt) in plan.recipients.iter_mut().enumerate() {
            if !utf8 && !rcpt.path.is_ascii() {
                match plan.ascii_recipients.get_mut(i).and_then(Option::take) {
                    Some(ascii) => rcpt.path = ascii,
                    None => {
                        deliveries[i] = Some(unsupported(Requirement::SmtpUtf8));
                        continue;
                    }
                }
            }
            if order.len() >= rcpt_max {
                deliveries[i] = Some(Delivery::NotTried(NotTried::Recipients));
                continue;
            }
            if domain_max != usize::MAX {
                let domain = rcpt.path.address().map(|a| a.host().to_string().to_lowercase());
                if !domains.contains(&domain) && domains.len() >= domain_max {
                    deliveries[i] = Some(Delivery::NotTried(NotTried::Domains));
                    continue;
                }
                domains.insert(domain);
            }
            order.push(i);
        }
        order
    }

    /// Leaves out what the server does not understand.
    fn adapt(&self, plan: &mut Transaction) {
        let server = self.server;
        let params = &mut plan.mail.params;
        params.size = params.size.filter(|_| server.has("SIZE"));
        params.body = params
            .body
            .filter(|_| server.has("8BITMIME") || server.has("BINARYMIME"));
        params.auth = params.auth.take().filter(|_| server.has("AUTH"));
        params.priority = params.priority.filter(|_| server.has("MT-PRIORITY"));
        let untold = params.by.take_if(|_| !server.has("DELIVERBY")).is_some();
        if !server.has("DSN") {
            params.ret = None;
            params.envid = None;
        }
        for rcpt in &mut plan.recipients {
            let params = &mut rcpt.params;
            if !server.has("DSN") {
                params.notify = None;
                params.orcpt = None;
            } else if untold {
                // RFC 2852 §4.1.4.2: whoever wants to hear of delays does so at least by a DSN.
                params.notify = Some(match params.notify {
                    None => Notify::On {
                        success: false,
                        failure: true,
                        delay: true,
                    },
                    Some(Notify::On { success, failure, .. }) => Notify::On {
                        success,
                        failure,
                        delay: true,
                    },
                    Some(Notify::Never) => Notify::Never,
                });
            }
        }
    }
}

pub(super) fn unsupported(requirement: Requirement) -> Delivery {
    Delivery::Failed(Failure {
        stage: Stage::Mail,
        cause: Cause::Unsupported(requirement),
    })
}
