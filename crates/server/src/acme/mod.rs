//! Certificates from an ACME server ([RFC 8555]), which looks at this server to know it (TLS-ALPN-01, [RFC 8737])
//!
//! ```text
//!  every name: certificate missing, or in the last third of its life?
//!     └─▶ order ─▶ challenge ─▶ tls::Challenges ◀── the ACME server connects to port 443
//!                                    │ ready
//!         DATA/tls/acme/NAME.{crt,key} ◀── certificate        then Tls reads it again
//! ```
//!
//! The account is made at the first need, and kept beside the certificates. Keys of certificates stay the same when they
//! are renewed, so that TLSA records (RFC 7671 §5.1) stay true. While anything fails, the certificate that is there stays.
//!
//! [RFC 8555]: https://www.rfc-editor.org/rfc/rfc8555
//! [RFC 8737]: https://www.rfc-editor.org/rfc/rfc8737

mod carrier;
mod listen;
mod order;

use crate::clock::unix_now;
use crate::config::{Acme, CertificateFiles};
use crate::random::entropy;
use crate::shared::{Live, Shared};
use crate::tls::lifetime;
use mailwright_address::Domain;
use mailwright_mailbox::Store;
use order::Orders;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(crate) use listen::answer_at;

/// How often certificates are looked at.
const EVERY: Duration = Duration::from_secs(3600);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(12 * 3600);

/// Gets certificates, and renews them, until the server stops.
pub(crate) async fn run<S: Store>(live: Live<S>) {
    let mut failures = HashMap::new();
    let mut reloads = live.subscribe();
    loop {
        let shared = reloads.borrow_and_update().clone();
        let wait = match &shared.config.acme {
            Some(acme) => tokio::select! {
                wait = round(&shared, acme, &mut failures) => wait,
                () = shared.shutdown.begun() => return,
            },
            None => EVERY,
        };
        tokio::select! {
            () = sleep(wait) => {}
            Ok(()) = reloads.changed() => {}
            () = shared.shutdown.begun() => return,
        }
    }
}

/// How often a certificate was not got, and when it is tried again.
struct Failed {
    times: u32,
    again: Instant,
}

/// Gets what is needed at this moment; how long to wait before the next round.
async fn round<S: Store>(
    shared: &Arc<Shared<S>>,
    acme: &Acme,
    failures: &mut HashMap<Domain, Failed>,
) -> Duration {
    let mut orders = None;
    for (name, files) in acme.files(&shared.config.data) {
        let waits = failures
            .get(&name)
            .is_some_and(|failed| failed.again > Instant::now());
        if waits || !is_due(&files) {
            continue;
        }
        let orders = orders.get_or_insert_with(|| Orders::new(shared, acme));
        match orders.obtain(&name, &files).await {
            Ok(()) => {
                failures.remove(&name);
                shared.tls.refresh();
                tracing::info!(%name, certificate = %files.certificate.display(), "a certificate was got from the ACME server");
            }
            Err(error) => {
                let failed = failures.entry(name.clone()).or_insert(Failed {
                    times: 0,
                    again: Instant::now(),
                });
                let wait = wait_after(acme.retry, failed.times);
                failed.times = failed.times.saturating_add(1);
                failed.again = Instant::now() + wait;
                let next = wait.as_secs();
                tracing::error!(%name, "no certificate from the ACME server, tried again in {next} s: {error}");
            }
        }
    }
    let next = failures.values().map(|failed| failed.again).min();
    let until = next.map_or(EVERY, |at| at.saturating_duration_since(Instant::now()));
    until.clamp(Duration::from_millis(1), EVERY)
}

/// Whether a certificate is missing, or in about the last third of its life: not all of a day at the same moment.
fn is_due(files: &CertificateFiles) -> bool {
    let Ok((begin, end)) = lifetime(&files.certificate) else {
        return true;
    };
    let life = (end - begin).max(0);
    let jitter = life / 30 * i64::from(entropy::<1>()[0]) / 256;
    !files.key.exists() || unix_now() + life / 3 + jitter >= end
}

/// How long to wait after so many failures before this one; up to a tenth more, so that not all come back at once.
fn wait_after(first: Duration, failures: u32) -> Duration {
    let wait = first
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_WAIT);
    wait + wait / 10 * u32::from(entropy::<1>()[0]) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_day() {
        let first = Duration::from_secs(300);
        for (failures, seconds) in [(0, 300), (1, 600), (4, 4800), (9, 43_200), (u32::MAX, 43_200)] {
            let wait = wait_after(first, failures).as_secs();
            assert!(
                (seconds..=seconds + seconds / 10).contains(&wait),
                "{failures}: {wait}"
            );
        }
    }
}
