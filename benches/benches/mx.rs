//! Routes from answers that are known: what planning costs once nothing has to be asked. All of it happens in memory,
//! and the time that counts is that of the processor.
#![allow(missing_docs)] // `criterion_group!` makes public items
#![allow(clippy::disallowed_methods)] // a bench is the one who brings the clock

use criterion::{Criterion, criterion_group, criterion_main};
use mailwright_benches::CpuTime;
use mailwright_dns::{Config as DnsConfig, Mx, Name, Record, Resolver, Tlsa};
use mailwright_mx::sts::{Announced, Cache, Id, Lookup, Policy, Request};
use mailwright_mx::{Config, Destination, Planner, Route, Step, TlsPolicy};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const NOW: u64 = 1_795_392_000;

/// The resolver's memory, the MTA-STS policies, and the settings.
struct World {
    resolver: Resolver,
    policies: Cache,
    config: Arc<Config>,
    now: Instant,
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

impl World {
    /// A domain with two mail exchangers, each with an address of either family.
    fn new() -> Self {
        let mut dns = DnsConfig::default();
        for (host, preference) in [("mx1.b.test", 10), ("mx2.b.test", 20)] {
            dns.add_record(name("b.test"), Record::Mx(Mx::new(preference, name(host))));
            dns.add_record(name(host), Record::A([192, 0, 2, 1].into()));
            dns.add_record(
                name(host),
                Record::Aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, preference].into()),
            );
            let record = Tlsa::new(3, 1, 1, [7; 32]);
            dns.add_record(name(&format!("_25._tcp.{host}")), Record::Tlsa(record));
        }
        dns.add_record(name("_mta-sts.b.test"), Record::Ptr(Name::root()));
        Self {
            resolver: Resolver::new(dns, |octets| octets.fill(7)),
            policies: Cache::default(),
            config: Arc::new(Config::default()),
            now: Instant::now(),
        }
    }

    fn with_policy(mut self) -> Self {
        let mut config = Config::default();
        config.dane = false;
        self.config = Arc::new(config);
        let request = Request::new(name("b.test"), Announced::Id(Id::parse("1").expect("an id")));
        let Lookup::Fetch(fetch) = self.policies.lookup(NOW, &request) else {
            panic!("nothing is known yet")
        };
        let policy = Policy::parse(b"version: STSv1\nmode: enforce\nmx: *.b.test\nmax_age: 864000\n");
        self.policies.fetched(NOW, &fetch, Ok(policy.expect("a policy")));
        self
    }

    /// All that happens between the question where mail goes and the answer.
    fn route(&mut self, seed: u64) -> Route {
        let destination = Destination::Domain("b.test".parse().expect("a domain"));
        let mut planner = Planner::new(destination, self.config.clone(), seed);
        loop {
            match planner.poll() {
                Step::Ask(question) => {
                    self.resolver.query(self.now, question.clone());
                    let (_, answer) = self.resolver.poll_answer().expect("it is known");
                    planner.answer(&question, answer);
                }
                Step::Policy(request) => match self.policies.lookup(NOW, &request) {
                    Lookup::Known(known) => planner.policy(known),
                    Lookup::Fetch(_) => unreachable!("it is known"),
                },
                Step::Wait => unreachable!("every question is answered at once"),
                Step::Ready(route) => return route,
            }
        }
    }
}

fn routes(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("route");
    let mut seed = 0;
    let mut world = World::new();
    assert_eq!(world.route(0).attempts().len(), 3, "two hosts share an address");
    group.bench_function("mx", |b| {
        b.iter(|| {
            seed += 1;
            black_box(world.route(seed))
        });
    });
    let mut world = World::new().with_policy();
    let sts = |route: &Route| {
        route
            .attempts()
            .iter()
            .all(|a| matches!(a.tls, TlsPolicy::Sts { .. }))
    };
    assert!(sts(&world.route(0)));
    group.bench_function("mta-sts", |b| {
        b.iter(|| {
            seed += 1;
            black_box(world.route(seed))
        });
    });
    let route = world.route(0);
    group.bench_function("explain", |b| b.iter(|| black_box(route.to_string()).len()));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = routes
}
criterion_main!(benches);
