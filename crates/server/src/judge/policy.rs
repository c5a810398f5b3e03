//! What follows from where a message comes from (RFC 9989 §5.4, RFC 7489 §6.6)

use super::{Action, Ruling};
use crate::config::{Auth, AuthMode};
use mailwright_address::Domain;
use mailwright_auth::dmarc::{self, Policy};
use mailwright_auth::{AuthenticationResults, Checked, Keyword, Verdict, arc};
use mailwright_smtp::{EnhancedCode, Rejection};

/// What is done with a message for the domain of its author.
#[derive(Debug)]
pub(crate) struct Decision {
    /// What happens to the message.
    pub(crate) ruling: Ruling,
    /// Which recipients get it into Junk, in their order.
    pub(crate) quarantined: Vec<bool>,
    /// What was done, for the report to the domain.
    pub(crate) applied: Policy,
    /// Why that is less than the domain wants, in the words of reports.
    pub(crate) overrides: Vec<(String, Option<String>)>,
}

/// Decides about a message for recipients in these domains.
pub(crate) fn decide(auth: &Auth, checked: &Checked, recipients: &[Option<Domain>]) -> Decision {
    let mut decision = Decision {
        ruling: Ruling::accept(),
        quarantined: vec![false; recipients.len()],
        applied: Policy::None,
        overrides: Vec::new(),
    };
    let Some(report) = &checked.dmarc else {
        return decision;
    };
    let author = report.author_domain.as_ref().map(ToString::to_string);
    let author = author.and_then(|name| name.parse::<Domain>().ok());
    let most = author.map_or(AuthMode::Enforce, |author| auth.mode_of_author(&author));
    let enforced: Vec<bool> = recipients
        .iter()
        .map(|domain| auth.mode_for(domain.as_ref()).min(most) == AuthMode::Enforce)
        .collect();
    let is_enforced = enforced.contains(&true);
    if auth.defer_on_errors && is_enforced && report.verdict != Verdict::Pass && has_temporary_error(checked)
    {
        let text = "It cannot be found out at the moment where this message comes from";
        let deferred = Rejection::new(451, EnhancedCode::new(4, 4, 3), text);
        decision.ruling = Ruling::refuse(deferred.expect("4xx and 4.x.x belong together"));
        return decision;
    }
    if report.disposition == Policy::None {
        return decision;
    }
    if let Some(sealer) = believed_sealer(auth, checked) {
        let why = format!("arc=pass; {sealer} saw dmarc=pass");
        decision.overrides.push(("local_policy".to_owned(), Some(why)));
        return decision;
    }
    if !is_enforced {
        let why = "the policy is not enforced here".to_owned();
        decision.overrides.push(("local_policy".to_owned(), Some(why)));
        return decision;
    }
    if report.disposition == Policy::Reject && !enforced.contains(&false) {
        decision.applied = Policy::Reject;
        decision.ruling = Ruling::new(Action::Reject(refusal(report)));
        return decision;
    }
    if report.disposition == Policy::Reject {
        // There is one answer for all recipients, and some of them want the message.
        let why = "not all recipients want the policy enforced".to_owned();
        decision.overrides.push(("local_policy".to_owned(), Some(why)));
    }
    decision.applied = Policy::Quarantine;
    decision.quarantined = enforced;
    decision
}

fn refusal(report: &dmarc::Report) -> Rejection {
    let domain = report
        .author_domain
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    Rejection::POLICY.with_text(&format!(
        "This message is not from {domain}, as that domain says (DMARC)"
    ))
}

fn has_temporary_error(checked: &Checked) -> bool {
    let spf = checked.spf.iter().map(|spf| &spf.verdict);
    let dkim = checked.dkim.iter().flatten().map(|dkim| &dkim.verdict);
    let dmarc = checked.dmarc.iter().map(|dmarc| &dmarc.verdict);
    spf.chain(dkim)
        .chain(dmarc)
        .any(|verdict| *verdict == Verdict::TempError)
}

/// The domain that saw the message pass DMARC and is believed: it is configured, sealed the chain last or with none but
/// such behind it, and the chain is whole.
fn believed_sealer<'a>(auth: &Auth, checked: &'a Checked) -> Option<&'a str> {
    let chain = checked
        .arc
        .as_ref()
        .filter(|chain| chain.verdict == Verdict::Pass)?;
    let is_believed = |set: &&arc::Set| {
        let domain = set.domain.parse::<Domain>();
        domain.is_ok_and(|domain| auth.arc_sealers.iter().any(|sealer| sealer.same_as(&domain)))
    };
    let believed = chain.sets.iter().rev().take_while(is_believed);
    let mut saw_pass = believed.filter(|set| {
        let results = AuthenticationResults::parse(set.results.as_bytes());
        results.is_ok_and(|results| {
            results
                .of(&Keyword::DMARC)
                .any(|result| result.verdict == Verdict::Pass)
        })
    });
    saw_pass.next().map(|set| &*set.domain)
}
