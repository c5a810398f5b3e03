//! Asking rspamd

use super::connect::{Asked, Failed, PIECE};
use super::marks::{Spam, hit, prepend, refusal};
use super::milter_edits::{bracketed, recipient};
use crate::config::FilterAddress;
use crate::http::{Feed, Limits, Request, send_over};
use crate::judge::{Action, Change, HeaderField, Message, Ruling, Transaction};
use mailwright_address::{ForwardPath, ReversePath};
use mailwright_filter::rspamd::{self, Answer};
use mailwright_mailbox::Account;

pub(super) async fn message(
    remote: &Asked,
    transaction: &Transaction,
    message: &Message<'_>,
) -> Result<Ruling, Failed> {
    let stream = remote.connect().await?;
    let host = match &remote.config.address {
        FilterAddress::Tcp(endpoint) => endpoint.to_string(),
        FilterAddress::Unix(_) => "localhost".to_owned(),
    };
    let http = |error: crate::http::HttpError| Failed::Talk(error.to_string());
    let url = format!("http://{host}{}", rspamd::Request::PATH);
    let mut request = Request::post(&url, "").map_err(http)?;
    for (name, value) in headers(remote, transaction) {
        request = request.with_header(name, &value).map_err(http)?;
    }
    let (mut pieces, feed) = Feed::new(message.len());
    let limits = Limits::new(remote.config.timeout, MOST_ANSWER);
    let feeding = async move {
        let mut at = 0;
        while at < message.len() {
            let piece = message.read(at..at + PIECE).await?;
            at += PIECE;
            if !pieces.push(piece).await {
                // It answered, or is gone; the response tells.
                break;
            }
        }
        Ok::<_, Failed>(())
    };
    let (response, fed) = tokio::join!(send_over(stream, request, Some(feed), limits), feeding);
    fed?;
    let response = response.map_err(http)?;
    if response.status != 200 {
        return Err(Failed::Talk(format!(
            "it answered with status {}",
            response.status
        )));
    }
    let answer = Answer::parse(&response.body).map_err(|error| Failed::Talk(error.to_string()))?;
    Ok(ruling(remote, &answer, message))
}

fn headers(remote: &Asked, transaction: &Transaction) -> Vec<(&'static str, String)> {
    let client = &transaction.client;
    let recipients: Vec<String> = transaction
        .recipients
        .iter()
        .map(|rcpt| match &rcpt.path {
            ForwardPath::Address(address) => address.as_str().to_owned(),
            _ => "postmaster".to_owned(),
        })
        .collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut request = rspamd::Request::default();
    request.ip = Some(client.address.ip());
    request.helo = client.hello.as_deref();
    request.from = transaction
        .mail
        .path
        .address()
        .map_or("", |address| address.as_str());
    request.recipients = &recipients;
    request.queue_id = Some(&transaction.id);
    request.user = client.account.as_ref().map(Account::as_str);
    request.mta_name = Some(&remote.hostname);
    request.tls = client.tls.is_some();
    request.headers()
}

fn ruling(remote: &Asked, answer: &Answer, message: &Message<'_>) -> Ruling {
    let says = |usual: &str| answer.smtp_message.clone().unwrap_or_else(|| usual.to_owned());
    let marked = matches!(
        answer.action,
        rspamd::Action::AddHeader | rspamd::Action::RewriteSubject
    );
    let mut ruling = Ruling::new(match answer.action {
        rspamd::Action::Reject => Action::Reject(refusal(554, &says("The message looks like spam"))),
        rspamd::Action::SoftReject => Action::Defer(refusal(451, &says("Try again later"))),
        rspamd::Action::Quarantine => Action::Quarantine,
        rspamd::Action::Discard => Action::Discard,
        _ if marked => hit(remote.config.on_hit, &says("The message looks like spam")),
        // rspamd's own module for it says "soft reject"; this word is a hint from a score, and no more.
        _ => Action::Accept,
    });
    ruling = ruling.because(format!(
        "rspamd: {}, score {:.2} of {:.2}",
        answer.action.name(),
        answer.score,
        answer.required_score
    ));
    let rules: Vec<_> = answer
        .symbols
        .iter()
        .filter(|(name, _)| name.bytes().all(|b| b.is_ascii_graphic()))
        .map(|(name, score)| (name.clone(), Some(*score)))
        .collect();
    let spam = Spam {
        is_spam: marked || matches!(answer.action, rspamd::Action::Reject | rspamd::Action::Quarantine),
        score: answer.score,
        required: answer.required_score,
        rules: &rules,
    };
    ruling.changes = spam.marks();
    ruling.changes.extend(changes(answer, message));
    ruling
}

/// What rspamd would have a milter do.
fn changes(answer: &Answer, message: &Message<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for removal in &answer.remove_headers {
        let count = super::milter_edits::count(message.header(), &removal.name);
        let nth = match removal.which {
            0 => None,
            which @ 1.. => usize::try_from(which).ok(),
            which => (count + 1).checked_sub(which.unsigned_abs() as usize),
        };
        if removal.which == 0 || nth.is_some_and(|nth| nth > 0) {
            changes.push(Change::Remove {
                name: removal.name.clone(),
                nth,
            });
        }
    }
    for header in &answer.add_headers {
        let field = HeaderField::new(&header.name, &header.value);
        changes.extend(field.map(|field| match header.order {
            Some(0..) => Change::Prepend(field),
            _ => Change::Append(field),
        }));
    }
    if let (rspamd::Action::RewriteSubject, Some(subject)) = (answer.action, &answer.subject)
        && let Some(field) = HeaderField::new("Subject", subject)
    {
        changes.push(match super::milter_edits::count(message.header(), "Subject") {
            0 => Change::Append(field),
            _ => Change::Replace {
                name: "Subject".to_owned(),
                nth: 1,
                field,
            },
        });
    }
    for signature in &answer.dkim_signatures {
        changes.extend(prepend("DKIM-Signature", signature));
    }
    changes.extend(envelope(answer));
    changes
}

/// How it would have the envelope changed; what is no address is passed over.
fn envelope(answer: &Answer) -> Vec<Change> {
    let sender = answer
        .change_from
        .iter()
        .filter_map(|path| ReversePath::parse(&bracketed(path)).ok());
    let removed = answer
        .remove_recipients
        .iter()
        .filter_map(|path| ForwardPath::parse(&bracketed(path)).ok());
    let added = answer
        .add_recipients
        .iter()
        .filter_map(|path| recipient(path, ""));
    sender
        .map(Change::Sender)
        .chain(removed.map(Change::RemoveRecipient))
        .chain(added.map(Change::AddRecipient))
        .collect()
}

/// How large an answer may be, in octets.
const MOST_ANSWER: usize = 4 << 20;
