//! `mailwright route`: where mail goes, and why.

use super::{Failure, terminal};
use clap::{Args, Subcommand};
use mailwright_mx::{Demand, Destination, Outcome};
use mailwright_server::Config;
use mailwright_server::dns::{Dns, dns_config};
use mailwright_server::domains::Domains;
use mailwright_server::http::Client;
use mailwright_server::policies::{Keep, Policies};
use mailwright_server::route::{Router, mx_config, self_test};
use mailwright_server::tls::Tls;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell where mail for a domain goes, and why: DNS is asked, no mail server is.
    Explain {
        /// The domain, or an address literal in brackets.
        domain: String,
        /// The configuration file of the server; without one its defaults hold.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The DNS server to ask, in place of the configured one.
        #[arg(long, value_name = "ADDRESS[:PORT]")]
        resolver: Option<String>,
        /// For a message that requires TLS (REQUIRETLS).
        #[arg(long)]
        require_tls: bool,
    },
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Command::Explain {
        domain,
        config,
        resolver,
        require_tls,
    } = arguments.command;
    let destination = destination(&domain)?;
    let configured = config.is_some();
    let mut config = match config {
        Some(path) => Config::load(&path)?,
        None => Config::new("localhost".parse()?, "."),
    };
    if let Some(text) = resolver {
        config.outbound.resolver = Some(server(&text)?);
    }
    let demand = match require_tls {
        true => Demand::Required,
        false => Demand::Usual,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut text = String::new();
        if config.outbound.tls_policies {
            let verdict = self_test(&dns_config(&config)).await;
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{verdict}");
        }
        if let Destination::Domain(domain) = &destination
            && configured
            && Domains::load(&config)?.has(domain)
        {
            let _ = writeln!(text, "{domain} is local: its mail does not leave");
        }
        let dns = Dns::from_config(&config);
        let client = Client::new(dns.clone(), Tls::trusting(config.outbound.ca.as_deref())?);
        // What the server has fetched counts here as well; what is fetched here is for this once.
        let keep = match configured {
            true => Keep::Read(config.policies_file()),
            false => Keep::No,
        };
        let policies = Policies::new(client, config.outbound.https_port, keep);
        let router = Router::new(dns, mx_config(&config)).with_policies(policies);
        let route = router.route_for(destination, demand).await;
        let _ = write!(text, "{route}");
        terminal::print(&text);
        match route.outcome() {
            Outcome::Attempts(_) => Ok(()),
            Outcome::Permanent(_) => Err("mail cannot be sent there".into()),
            Outcome::Temporary(_) => Err("mail cannot be sent there at this moment".into()),
        }
    })
}

fn destination(text: &str) -> Result<Destination, Failure> {
    let wrong = |error: &dyn std::fmt::Display| format!("{text}: {error}");
    Ok(match text.starts_with('[') {
        true => Destination::Literal(text.parse().map_err(|error| wrong(&error))?),
        false => Destination::Domain(text.parse().map_err(|error| wrong(&error))?),
    })
}

fn server(text: &str) -> Result<SocketAddr, Failure> {
    let address = text
        .parse()
        .or_else(|_| text.parse().map(|address| SocketAddr::new(address, 53)));
    address.map_err(|_| format!("{text} is not the address of a DNS server").into())
}
