//! Reports, written ([RFC 9990] §3.1 and appendix A)
//!
//! [RFC 9990]: https://www.rfc-editor.org/rfc/rfc9990

use super::{Aggregate, PublishedPolicy, Row};
use crate::Verdict;
use crate::dmarc::{Alignment, Discovery, Policy};
use quick_xml::escape::escape;
use std::fmt::Write;

impl Aggregate {
    /// The report in XML, as RFC 9990 has it: what is of RFC 7489 alone is left out. Characters that XML cannot hold
    /// become `?`.
    pub fn to_xml(&self) -> String {
        let mut xml = Xml {
            out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            depth: 0,
        };
        xml.open("feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"");
        xml.value("version", "1.0");
        let metadata = &self.metadata;
        xml.open("report_metadata");
        xml.value("org_name", &metadata.organization);
        xml.value("email", &metadata.email);
        xml.optional("extra_contact_info", metadata.contact.as_deref());
        xml.value("report_id", &metadata.report_id);
        xml.open("date_range");
        xml.value("begin", &metadata.begin.to_string());
        xml.value("end", &metadata.end.to_string());
        xml.close("date_range");
        let errors = metadata.errors.join("; ");
        xml.optional("error", Some(&*errors).filter(|errors| !errors.is_empty()));
        xml.optional("generator", metadata.generator.as_deref());
        xml.close("report_metadata");
        xml.policy(&self.policy);
        for row in &self.rows {
            xml.row(row, &self.policy);
        }
        xml.close("feedback");
        xml.out
    }

    /// The name of the file that carries the report (RFC 9990 §3.5.1), without control characters and slashes whatever
    /// the names in it. `receiver` is the domain that reports.
    pub fn file_name(&self, receiver: &str) -> String {
        let clean =
            |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && !".-_".contains(c), "_");
        let (begin, end) = (self.metadata.begin, self.metadata.end);
        format!(
            "{}!{}!{begin}!{end}.xml.gz",
            clean(receiver),
            clean(&self.policy.domain)
        )
    }
}

struct Xml {
    out: String,
    depth: usize,
}

impl Xml {
    fn policy(&mut self, policy: &PublishedPolicy) {
        let alignment = |alignment| match alignment {
            Alignment::Strict => "s",
            Alignment::Relaxed => "r",
        };
        self.open("policy_published");
        self.value("domain", &policy.domain);
        self.value("p", policy.policy.as_str());
        self.optional("sp", policy.subdomain_policy.map(Policy::as_str));
        self.optional("np", policy.nonexistent_policy.map(Policy::as_str));
        self.value("adkim", alignment(policy.dkim_alignment));
        self.value("aspf", alignment(policy.spf_alignment));
        self.optional(
            "discovery_method",
            policy.discovery.map(|discovery| match discovery {
                Discovery::TreeWalk => "treewalk",
                Discovery::PublicSuffixList => "psl",
            }),
        );
        self.optional("fo", policy.failure_options.as_deref());
        self.value("testing", if policy.testing { "y" } else { "n" });
        self.close("policy_published");
    }

    fn row(&mut self, row: &Row, policy: &PublishedPolicy) {
        let facts = &row.facts;
        let pass = |pass| if pass { "pass" } else { "fail" };
        self.open("record");
        self.open("row");
        self.value(
            "source_ip",
            &row.source.map(|ip| ip.to_string()).unwrap_or_default(),
        );
        self.value("count", &row.count.to_string());
        self.open("policy_evaluated");
        let passed = facts.dkim_aligned || facts.spf_aligned;
        let enforced = policy.policy != Policy::None;
        let disposition = match facts.disposition {
            Policy::None if passed && enforced => "pass",
            disposition => disposition.as_str(),
        };
        self.value("disposition", disposition);
        self.value("dkim", pass(facts.dkim_aligned));
        self.value("spf", pass(facts.spf_aligned));
        for (kind, comment) in &facts.overrides {
            self.open("reason");
            self.value("type", kind);
            self.optional("comment", comment.as_deref());
            self.close("reason");
        }
        self.close("policy_evaluated");
        self.close("row");
        self.open("identifiers");
        self.value("header_from", &facts.header_from);
        self.optional("envelope_from", facts.envelope_from.as_deref());
        self.optional("envelope_to", facts.envelope_to.as_deref());
        self.close("identifiers");
        self.open("auth_results");
        for dkim in &facts.dkim {
            self.open("dkim");
            self.value("domain", &dkim.domain);
            self.value("selector", &dkim.selector);
            self.result(&dkim.verdict, dkim.reason.as_deref());
            self.close("dkim");
        }
        // RFC 9990 §3.1.1.11: one at most, and no other scope.
        if let Some(spf) = facts.spf.iter().find(|spf| spf.helo != Some(true)) {
            self.open("spf");
            self.value("domain", &spf.domain);
            self.optional("scope", spf.helo.map(|_| "mfrom"));
            self.result(&spf.verdict, spf.reason.as_deref());
            self.close("spf");
        }
        self.close("auth_results");
        self.close("record");
    }

    fn result(&mut self, verdict: &Verdict, reason: Option<&str>) {
        self.value("result", verdict.as_str());
        self.optional("human_result", reason);
    }

    fn open(&mut self, name: &str) {
        self.indent();
        writeln!(self.out, "<{name}>").expect("a String takes everything");
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.indent();
        writeln!(self.out, "</{name}>").expect("a String takes everything");
    }

    fn value(&mut self, name: &str, value: &str) {
        self.indent();
        // XML 1.0 has no other controls.
        let clean = value.replace(|c: char| c.is_control() && !matches!(c, '\t' | '\n'), "?");
        writeln!(self.out, "<{name}>{}</{name}>", escape(&*clean)).expect("a String takes everything");
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    fn indent(&mut self) {
        self.out.extend(core::iter::repeat_n("  ", self.depth));
    }
}
