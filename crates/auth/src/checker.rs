//! All checks of one message at once (RFC 8601 §1.1)
//!
//! ```text
//!   client, HELO ─▶ iprev, SPF of HELO ─┐
//!   MAIL FROM ────▶ SPF ────────────────┤
//!   header ───────▶ DKIM, ARC, DMARC ───┼─▶ questions ─▶ answers ─▶ Checked
//!   body ─────────▶ hashes ─────────────┘
//! ```

#[cfg(feature = "arc")]
use crate::arc;
use crate::dkim::splitter::{Splitter, State};
use crate::{AuthenticationResults, MethodResult, Step, Verdict, dkim, dmarc, iprev, spf};
use core::net::IpAddr;
use mailwright_dns::{Answer, Question};
use std::collections::VecDeque;
use std::sync::Arc;

/// Settings of all checks. What is none is not checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Whether the name of the client is looked for. Default on.
    pub iprev: bool,
    /// SPF.
    pub spf: Option<Arc<spf::Config>>,
    /// DKIM, and what ARC verifies with.
    pub dkim: Option<Arc<dkim::Config>>,
    /// DMARC.
    pub dmarc: Option<Arc<dmarc::Config>>,
    /// ARC, with the settings of DKIM.
    #[cfg(feature = "arc")]
    pub arc: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            iprev: true,
            spf: Some(Arc::default()),
            dkim: Some(Arc::default()),
            dmarc: Some(Arc::default()),
            #[cfg(feature = "arc")]
            arc: true,
        }
    }
}

/// What is known of a message before it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// The client.
    pub client: IpAddr,
    /// Its name in HELO or EHLO.
    pub helo: String,
    /// The reverse-path without its angle brackets; empty for the null one.
    pub mail_from: String,
}

impl Envelope {
    /// Joins the parts.
    pub fn new(client: IpAddr, helo: impl Into<String>, mail_from: impl Into<String>) -> Self {
        Self {
            client,
            helo: helo.into(),
            mail_from: mail_from.into(),
        }
    }
}

/// What all checks came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// The name of the client.
    pub iprev: Option<iprev::Report>,
    /// SPF of the name in HELO; none for a name that is no domain.
    pub spf_helo: Option<spf::Report>,
    /// SPF of the reverse-path.
    pub spf: Option<spf::Report>,
    /// DKIM: one report for each signature; none if it was not checked.
    pub dkim: Option<Vec<dkim::Report>>,
    /// ARC.
    #[cfg(feature = "arc")]
    pub arc: Option<arc::Report>,
    /// DMARC.
    pub dmarc: Option<dmarc::Report>,
}

/// Runs all checks of one message while it comes in.
///
/// Questions come as early as they can: those about the client before there is a message, those about keys and
/// policies when its header is there. Several are open at a time, and the same question is asked once.
///
/// ```
/// use mailwright_auth::{Checker, Config, Envelope, Step};
/// use mailwright_dns::{Answer, Negative, Security};
/// use std::sync::Arc;
///
/// let envelope = Envelope::new("192.0.2.25".parse()?, "mx.a.test", "alice@a.test");
/// let mut checker = Checker::new(&Arc::new(Config::default()), &envelope, 1_700_000_000);
/// checker.push(b"From: alice@a.test\r\n\r\nHi Bob\r\n");
/// checker.finish();
/// let checked = loop {
///     match checker.poll() {
///         Step::Ask(question) => {
///             let nothing = Negative::new(question.name.clone(), Security::Insecure);
///             checker.answer(&question, &Answer::NxDomain(nothing));
///         }
///         Step::Wait => unreachable!("the message has ended, and every question is answered at once"),
///         Step::Ready(checked) => break checked,
///     }
/// };
/// let field = checked.results("mx.b.test").to_field();
/// assert!(field.contains("dkim=none;") && field.contains("dmarc=none"), "{field}");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Checker {
    iprev: Option<iprev::Check>,
    spf_helo: Option<spf::Check>,
    spf: Option<spf::Check>,
    dkim: Option<dkim::Verifier>,
    #[cfg(feature = "arc")]
    arc: Option<arc::Verifier>,
    dmarc: Dmarc,
    /// The header for DMARC, which needs no more of the message.
    splitter: Splitter,
    /// Whether DMARC knows what SPF and DKIM came to.
    told: bool,
    ended: bool,
    to_ask: VecDeque<Question>,
    open: Vec<(Question, Vec<Asker>)>,
}

#[derive(Debug)]
enum Dmarc {
    Off,
    /// The header is not there yet.
    Waiting(Arc<dmarc::Config>, u8),
    Running(Box<dmarc::Check>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Iprev,
    SpfHelo,
    Spf,
    Dkim,
    #[cfg(feature = "arc")]
    Arc,
    Dmarc,
}

impl Checker {
    /// Begins a message; `now` is in seconds since 1970.
    pub fn new(config: &Arc<Config>, envelope: &Envelope, now: u64) -> Self {
        let (client, helo) = (envelope.client, envelope.helo.as_str());
        let spf = config.spf.as_ref();
        // Without a reverse-path, the name in HELO is what is checked for it (RFC 7208 §2.4).
        let helo_too = spf.filter(|_| !envelope.mail_from.is_empty());
        let max_header = config.dkim.as_ref().map_or(1 << 20, |dkim| dkim.max_header);
        Self {
            iprev: config.iprev.then(|| iprev::Check::new(client)),
            spf_helo: helo_too.map(|spf| spf::Check::helo(client, helo, Arc::clone(spf)).at(now)),
            spf: spf
                .map(|spf| spf::Check::mail_from(client, helo, &envelope.mail_from, Arc::clone(spf)).at(now)),
            dkim: config
                .dkim
                .as_ref()
                .map(|dkim| dkim::Verifier::new(Arc::clone(dkim), now)),
            #[cfg(feature = "arc")]
            arc: config
                .dkim
                .as_ref()
                .filter(|_| config.arc)
                .map(|dkim| arc::Verifier::new(Arc::clone(dkim), now)),
            dmarc: match &config.dmarc {
                Some(dmarc) => Dmarc::Waiting(Arc::clone(dmarc), 0),
                None => Dmarc::Off,
            },
            splitter: Splitter::new(max_header),
            told: false,
            ended: false,
            to_ask: VecDeque::new(),
            open: Vec::new(),
        }
    }

    /// Sets the random number of [`dmarc::Check::sampled`].
    #[must_use]
    pub fn sampled(mut self, sample: u8) -> Self {
        if let Dmarc::Waiting(_, known) = &mut self.dmarc {
            *known = sample;
        }
        self
    }

    /// Takes the next octets of the message, cut anywhere. Lines end in CRLF, and dots are not doubled.
    ///
    /// # Panics
    ///
    /// Panics after [`finish`](Self::finish).
    pub fn push(&mut self, chunk: &[u8]) {
        assert!(!self.ended, "the message has ended");
        self.splitter.push(chunk);
        self.begin_dmarc();
        if let Some(dkim) = &mut self.dkim {
            dkim.push(chunk);
        }
        #[cfg(feature = "arc")]
        if let Some(arc) = &mut self.arc {
            arc.push(chunk);
        }
    }

    /// The message has ended.
    pub fn finish(&mut self) {
        self.splitter.finish();
        self.begin_dmarc();
        if let Some(dkim) = &mut self.dkim {
            dkim.finish();
        }
        #[cfg(feature = "arc")]
        if let Some(arc) = &mut self.arc {
            arc.finish();
        }
        self.ended = true;
    }

    /// Says what is needed next; all questions there are at the time come one after the other.
    ///
    /// What SPF says is there before the message: see [`spf`](Self::spf).
    pub fn poll(&mut self) -> Step<Checked> {
        self.gather();
        if let Some(question) = self.to_ask.pop_front() {
            return Step::Ask(question);
        }
        match self.checked() {
            Some(checked) => Step::Ready(checked),
            None => Step::Wait,
        }
    }

    /// What SPF of the reverse-path came to, once that is known.
    pub fn spf(&mut self) -> Option<spf::Report> {
        self.gather();
        ready(self.spf.as_mut()?.poll())
    }

    /// Takes the answer to a question that [`poll`](Self::poll) asked.
    ///
    /// # Panics
    ///
    /// Panics if that question is not open.
    pub fn answer(&mut self, question: &Question, answer: &Answer) {
        let place = self.open.iter().position(|(open, _)| open == question);
        let (question, askers) = self
            .open
            .swap_remove(place.expect("answer to a question that is not open"));
        for asker in askers {
            self.pass_on(asker, &question, answer.clone());
        }
    }

    fn begin_dmarc(&mut self) {
        let Dmarc::Waiting(config, sample) = &self.dmarc else {
            return;
        };
        let author = match self.splitter.state() {
            State::Header => return,
            State::Body => dmarc::author_domain(self.splitter.header()),
            State::TooLarge => Err(dmarc::Reason::NoAuthor),
        };
        let author = author.as_deref().map_err(Clone::clone);
        let check = dmarc::Check::new(author, Arc::clone(config)).sampled(*sample);
        self.dmarc = Dmarc::Running(Box::new(check));
    }

    /// Collects what the checks ask, and tells DMARC what it waits for.
    fn gather(&mut self) {
        let mut asked = Vec::new();
        collect(
            Asker::Iprev,
            self.iprev.as_mut().map(iprev::Check::poll),
            &mut asked,
        );
        collect(
            Asker::SpfHelo,
            self.spf_helo.as_mut().map(spf::Check::poll),
            &mut asked,
        );
        collect(Asker::Spf, self.spf.as_mut().map(spf::Check::poll), &mut asked);
        if let Some(dkim) = &mut self.dkim {
            while let Step::Ask(question) = dkim.poll() {
                asked.push((Asker::Dkim, question));
            }
        }
        #[cfg(feature = "arc")]
        if let Some(arc) = &mut self.arc {
            while let Step::Ask(question) = arc.poll() {
                asked.push((Asker::Arc, question));
            }
        }
        if !self.told
            && let Some(authenticated) = self.authenticated()
            && let Dmarc::Running(dmarc) = &mut self.dmarc
        {
            dmarc.authenticated(authenticated);
            self.told = true;
        }
        if let Dmarc::Running(dmarc) = &mut self.dmarc {
            collect(Asker::Dmarc, Some(dmarc.poll()), &mut asked);
        }
        for (asker, question) in asked {
            match self.open.iter_mut().find(|(open, _)| *open == question) {
                Some((_, askers)) => askers.push(asker),
                None => {
                    self.to_ask.push_back(question.clone());
                    self.open.push((question, vec![asker]));
                }
            }
        }
    }

    fn pass_on(&mut self, asker: Asker, question: &Question, answer: Answer) {
        const ASKED: &str = "the check that asked is there";
        match asker {
            Asker::Iprev => self.iprev.as_mut().expect(ASKED).answer(question, answer),
            Asker::SpfHelo => self.spf_helo.as_mut().expect(ASKED).answer(question, answer),
            Asker::Spf => self.spf.as_mut().expect(ASKED).answer(question, answer),
            Asker::Dkim => self.dkim.as_mut().expect(ASKED).answer(question, answer),
            #[cfg(feature = "arc")]
            Asker::Arc => self.arc.as_mut().expect(ASKED).answer(question, answer),
            Asker::Dmarc => match &mut self.dmarc {
                Dmarc::Running(dmarc) => dmarc.answer(question, answer),
                Dmarc::Off | Dmarc::Waiting(..) => unreachable!("{ASKED}"),
            },
        }
    }

    /// What DMARC needs, once it is known.
    fn authenticated(&mut self) -> Option<dmarc::Authenticated> {
        let mut authenticated = dmarc::Authenticated::default();
        if let Some(spf) = &mut self.spf {
            let report = ready(spf.poll())?;
            authenticated.temporary_error |= report.verdict == Verdict::TempError;
            authenticated.spf = Some(report.domain).filter(|_| report.verdict == Verdict::Pass);
        }
        if let Some(dkim) = &mut self.dkim {
            let reports = ready(dkim.poll())?;
            authenticated.temporary_error |=
                reports.iter().any(|report| report.verdict == Verdict::TempError);
            let passed = reports
                .into_iter()
                .filter(|report| report.verdict == Verdict::Pass);
            authenticated.dkim = passed.map(|report| report.domain).collect();
        }
        Some(authenticated)
    }

    fn checked(&mut self) -> Option<Checked> {
        if !self.ended {
            return None;
        }
        Some(Checked {
            iprev: wait_for(self.iprev.as_mut().map(iprev::Check::poll))?,
            spf_helo: wait_for(self.spf_helo.as_mut().map(spf::Check::poll))?,
            spf: wait_for(self.spf.as_mut().map(spf::Check::poll))?,
            dkim: wait_for(self.dkim.as_mut().map(dkim::Verifier::poll))?,
            #[cfg(feature = "arc")]
            arc: wait_for(self.arc.as_mut().map(arc::Verifier::poll))?,
            dmarc: match &mut self.dmarc {
                Dmarc::Off => None,
                Dmarc::Waiting(..) => return None,
                Dmarc::Running(check) => Some(ready(check.poll())?),
            },
        })
    }
}

impl Checked {
    /// All results, for the field Authentication-Results. `authserv_id` is the name of the server that checked.
    pub fn results(&self, authserv_id: &str) -> AuthenticationResults {
        let mut out = AuthenticationResults::new(authserv_id);
        out.results
            .extend(self.iprev.iter().map(iprev::Report::to_result));
        let helo = self
            .spf_helo
            .iter()
            .filter(|report| report.verdict != Verdict::None);
        out.results
            .extend(helo.chain(&self.spf).map(spf::Report::to_result));
        if let Some(dkim) = &self.dkim {
            match dkim.is_empty() {
                true => out
                    .results
                    .push(MethodResult::new(crate::Keyword::DKIM, Verdict::None)),
                false => out.results.extend(dkim.iter().map(dkim::Report::to_result)),
            }
        }
        #[cfg(feature = "arc")]
        out.results.extend(self.arc.iter().map(arc::Report::to_result));
        out.results
            .extend(self.dmarc.iter().map(dmarc::Report::to_result));
        out
    }
}

fn collect<T>(asker: Asker, step: Option<Step<T>>, asked: &mut Vec<(Asker, Question)>) {
    if let Some(Step::Ask(question)) = step {
        asked.push((asker, question));
    }
}

fn ready<T>(step: Step<T>) -> Option<T> {
    match step {
        Step::Ready(ready) => Some(ready),
        // `gather` has taken all questions before anything is looked for.
        Step::Ask(_) | Step::Wait => None,
    }
}

/// `None` while a check that runs is not over.
fn wait_for<T>(step: Option<Step<T>>) -> Option<Option<T>> {
    match step {
        None => Some(None),
        Some(step) => ready(step).map(Some),
    }
}
