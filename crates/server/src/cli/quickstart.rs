//! `mailwright quickstart`: everything a mail server for a domain begins with.

use super::dkim::{self, Kind};
use super::place::create;
use super::{Failure, kept, terminal};
use clap::Args;
use mailwright_address::{Domain, EmailAddress, Host};
use mailwright_server::accounts::{AccountsFile, random_password, set_password};
use mailwright_server::config::{AccountEntry, Config};
use mailwright_server::publish::Plan;
use mailwright_server::unix_now;
use std::path::{Path, PathBuf};

/// Where the configuration is, unless another folder is named.
const FOLDER: &str = "/etc/mailwright";
/// Where the data of that configuration is.
const DATA: &str = "/var/lib/mailwright";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The domain whose mail ends here.
    domain: Domain,
    /// What the server calls itself: its address has to resolve to this name, and back. Default: mail.DOMAIN.
    #[arg(long, value_name = "HOST")]
    hostname: Option<Domain>,
    /// Where the configuration and the systemd unit go.
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    dir: PathBuf,
    /// Where mail, keys and accounts are kept. Default: /var/lib/mailwright, or the folder `data` of another DIR.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The first account, who gets what is sent to postmaster and abuse, and may administer the others.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    admin: String,
    /// Get certificates from Let's Encrypt, which may write to this address: agrees to the terms of its service. Without it
    /// the server makes a certificate itself, and the configuration says how to change that.
    #[arg(long, value_name = "ADDRESS")]
    acme_contact: Option<EmailAddress>,
    /// The user of the system that the server runs as.
    #[arg(long, value_name = "USER", default_value = "mailwright", value_parser = user_name)]
    user: String,
}

/// What is made, and where.
struct Site {
    domain: Domain,
    hostname: Domain,
    admin: EmailAddress,
    acme_contact: Option<EmailAddress>,
    user: String,
    folder: PathBuf,
    data: PathBuf,
    /// Kind, selector and file of each key.
    keys: Vec<(Kind, String, PathBuf)>,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let site = Site::planned(arguments)?;
    for path in site.files() {
        if path.symlink_metadata().is_ok() {
            return Err(format!(
                "{} is there already, and stays as it is; nothing was made\n  \
                 Choose other folders with --dir and --data, or remove what an earlier attempt left.",
                path.display()
            )
            .into());
        }
    }
    let keys = site.data.join("dkim");
    for (folder, is_private) in [(&site.folder, false), (&site.data, true), (&keys, true)] {
        let made = match is_private {
            true => kept::private_folder(folder),
            false => std::fs::create_dir_all(folder),
        };
        made.map_err(|error| {
            let path = folder.display();
            format!(
                "{path}: {error}\n  Run this as root, or choose folders of your own with --dir and --data."
            )
        })?;
    }
    for (kind, _, file) in &site.keys {
        dkim::make(file, *kind)?;
    }
    let password = random_password();
    let mut entry = AccountEntry::new(site.admin.clone());
    entry.admin = true;
    set_password(&mut entry, &password);
    let mut accounts = AccountsFile::open(&site.accounts())?;
    accounts.put(entry);
    accounts.save()?;
    create(&site.aliases(), &site.aliases_text(), 0o600)?;
    create(&site.unit(), &site.unit_text()?, 0o644)?;
    // The last one: where there is a configuration, all it names is there.
    create(&site.config(), &site.config_text(), 0o640)?;
    let config = Config::load(&site.config())?;
    let owned = own::hand_over(&site)?;
    let plan = Plan::new(&config, &site.domain)?;
    let password = password.as_str().expect("it is made of letters and digits");
    terminal::print(&site.farewell(password, &plan, owned));
    Ok(())
}

impl Site {
    fn planned(arguments: Arguments) -> Result<Self, Failure> {
        let domain = arguments.domain;
        let hostname = match arguments.hostname {
            Some(hostname) => hostname,
            None => Domain::parse(&format!("mail.{domain}"))?,
        };
        let admin = match arguments.admin.contains('@') {
            true => EmailAddress::parse(&arguments.admin)?,
            false => EmailAddress::new(&arguments.admin, Host::Domain(domain.clone()))?,
        };
        if !admin.domain().is_some_and(|own| own.same_as(&domain)) {
            return Err(format!("{admin} is not an address of {domain}: give --admin another one").into());
        }
        let absolute = |path: &Path| super::place::absolute(path);
        let folder = absolute(&arguments.dir)?;
        let data = match arguments.data {
            Some(data) => absolute(&data)?,
            None if folder == Path::new(FOLDER) => DATA.into(),
            None => folder.join("data"),
        };
        // A key that takes the place of one of these gets a selector of its own by its date.
        let month = jiff::Timestamp::from_second(unix_now())?
            .strftime("%Y%m")
            .to_string();
        let key = |kind, short: &str| {
            let selector = format!("{short}-{month}");
            let file = data.join("dkim").join(format!("{domain}.{selector}.pem"));
            (kind, selector, file)
        };
        let keys = vec![key(Kind::Rsa, "rsa"), key(Kind::Ed25519, "ed")];
        Ok(Self {
            domain,
            hostname,
            admin,
            acme_contact: arguments.acme_contact,
            user: arguments.user,
            folder,
            data,
            keys,
        })
    }

    fn config(&self) -> PathBuf {
        self.folder.join("mailwright.toml")
    }

    fn unit(&self) -> PathBuf {
        self.folder.join("mailwright.service")
    }

    fn accounts(&self) -> PathBuf {
        self.data.join("accounts.toml")
    }

    fn aliases(&self) -> PathBuf {
        self.data.join("aliases.toml")
    }

    /// What must not be there.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![
            self.config(),
            self.unit(),
            self.accounts(),
            self.aliases(),
            self.data.join("mail"),
        ];
        files.extend(self.keys.iter().map(|(.., file)| file.clone()));
        files
    }

    fn aliases_text(&self) -> String {
        let mut text =
            String::from("# Addresses that stand for others. `mailwright alias` edits this file.\n");
        for name in ["abuse", "postmaster"] {
            // An account of this name needs no alias.
            if self.admin.unquoted_local_part() != name {
                text += &format!("{name} = [{}]\n", quoted(self.admin.as_str()));
            }
        }
        text
    }

    fn config_text(&self) -> String {
        let any = any_address();
        let mut text = format!(
            "# The mail server of {domain}. `mailwright config example` shows everything that can be set,\n\
             # `mailwright config check --config {path}` finds mistakes.\n\n\
             hostname = {hostname}\n\
             domains = [{name}]\n\
             data = {data}\n\
             accounts_file = {accounts}\n\
             aliases_file = {aliases}\n",
            domain = self.domain,
            path = self.config().display(),
            hostname = quoted(self.hostname.as_str()),
            name = quoted(self.domain.as_str()),
            data = quoted_path(&self.data),
            accounts = quoted_path(&self.accounts()),
            aliases = quoted_path(&self.aliases()),
        );
        text += &self.certificate_text();
        for (comment, name, port, protocol, tls) in LISTENERS {
            text += &format!(
                "\n# {comment}\n[[listener]]\nname = \"{name}\"\naddress = \"{any}:{port}\"\n\
                 protocol = \"{protocol}\"\ntls = \"{tls}\"\n"
            );
        }
        text += "\n# What other servers are told about TLS on the way to this one. They report what would fail, and send all the same:\n\
            # set \"enforce\" when `mailwright doctor` finds nothing wrong with it.\n\
            [mta_sts]\nmode = \"testing\"\n";
        text += &format!(
            "\n# Mail of others is checked by SPF, DKIM, DMARC and ARC, and what fails DMARC is refused or goes into Junk,\n\
             # as its domain wants it. Domains that ask for reports get them.\n\
             [auth]\nmode = \"enforce\"\nreports = {postmaster}\n",
            postmaster = quoted(&format!("postmaster@{}", self.domain)),
        );
        text += "\n# Outgoing mail is signed with both: not all receivers know Ed25519.\n";
        for (_, selector, file) in &self.keys {
            text += &format!(
                "[[dkim]]\ndomain = {}\nselector = {}\nkey = {}\n\n",
                quoted(self.domain.as_str()),
                quoted(selector),
                quoted_path(file)
            );
        }
        text += &format!(
            "# What other domains publish by DANE and MTA-STS is heeded, and what came of TLS is reported to them.\n\
             [outbound]\ntls_policies = true\ntls_reports = {}\n",
            quoted(&format!("postmaster@{}", self.domain)),
        );
        text
    }

    /// Where certificates come from.
    fn certificate_text(&self) -> String {
        const WHAT: &str = "the server's name, and for autoconfig and mta-sts in front of its domains";

        if let Some(contact) = &self.acme_contact {
            return format!(
                "\n# Certificates for {WHAT}, from Let's Encrypt:\n\
                 # it looks at port 443 of each of them.\n\
                 [acme]\nterms_agreed = true\ncontact = [{}]\n",
                quoted(contact.as_str())
            );
        }
        format!(
            "\n# The certificate, two PEM files. Without it the server makes one itself, which mail programs ask about and\n\
             # other servers do not trust.\n\
             # [tls]\n\
             # certificate = \"/etc/letsencrypt/live/{host}/fullchain.pem\"\n\
             # key = \"/etc/letsencrypt/live/{host}/privkey.pem\"\n\n\
             # Or certificates for {WHAT}, got from\n\
             # Let's Encrypt, which looks at port 443 of each of them. Read the terms of its service first.\n\
             # [acme]\n\
             # terms_agreed = true\n\
             # contact = [{admin}]\n",
            host = self.hostname,
            admin = quoted(self.admin.as_str()),
        )
    }

    /// The systemd unit: a user of its own that may take low ports, and write into the data folder alone.
    fn unit_text(&self) -> Result<String, Failure> {
        let program = std::env::current_exe()?;
        let (config, data) = (self.config(), self.data.display().to_string());
        let in_home = [&program, &config, &self.data].iter().any(|path| {
            ["/home", "/root", "/run/user"]
                .iter()
                .any(|home| path.starts_with(home))
        });
        Ok(format!(
            "[Unit]\n\
             Description=Mailwright mail server for {domain}\n\
             Wants=network-online.target\n\
             After=network-online.target nss-lookup.target\n\n\
             [Service]\n\
             Type=notify\n\
             ExecStart={program} serve --config {config}\n\
             ExecReload=/bin/kill -HUP $MAINPID\n\
             WatchdogSec=60\n\
             TimeoutStartSec=300\n\
             User={user}\n\
             Group={user}\n\
             Restart=always\n\
             RestartSec=2\n\
             TimeoutStopSec=60\n\
             LimitNOFILE=65536\n\
             UMask=0077\n\
             # Ports below 1024, and nothing else of what root may.\n\
             AmbientCapabilities=CAP_NET_BIND_SERVICE\n\
             CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n\
             NoNewPrivileges=yes\n\
             ProtectSystem=strict\n\
             ReadWritePaths={data}\n\
             ProtectHome={home}\n\
             PrivateTmp=yes\n\
             PrivateDevices=yes\n\
             ProtectClock=yes\n\
             ProtectControlGroups=yes\n\
             ProtectHostname=yes\n\
             ProtectKernelLogs=yes\n\
             ProtectKernelModules=yes\n\
             ProtectKernelTunables=yes\n\
             ProtectProc=invisible\n\
             RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n\
             RestrictNamespaces=yes\n\
             RestrictRealtime=yes\n\
             RestrictSUIDSGID=yes\n\
             RemoveIPC=yes\n\
             LockPersonality=yes\n\
             MemoryDenyWriteExecute=yes\n\
             SystemCallArchitectures=native\n\
             SystemCallFilter=@system-service\n\
             SystemCallErrorNumber=EPERM\n\n\
             [Install]\n\
             WantedBy=multi-user.target\n",
            domain = self.domain,
            program = unit_word(&program.display().to_string()),
            config = unit_word(&config.display().to_string()),
            user = self.user,
            data = unit_word(&data),
            home = if in_home { "no" } else { "yes" },
        ))
    }

    fn farewell(&self, password: &str, plan: &Plan, owned: bool) -> String {
        let (config, unit, data) = (self.config(), self.unit(), &self.data);
        let (config, unit, data) = (config.display(), unit.display(), data.display());
        let mut text = format!(
            "The mail server of {domain} is set up.\n\n  \
             {config}   its configuration\n  \
             {unit}   its systemd unit\n  \
             {data}   its mail, keys and accounts\n\n\
             The account {admin} has the password {password}\n\
             It is printed this once; `mailwright account passwd {admin} --config {config}` sets another one.\n\n\
             Publish these records in the DNS:\n\n{plan}\n\
             Then, as root:\n\n",
            domain = self.domain,
            admin = self.admin,
        );
        if !owned {
            let user = &self.user;
            text += &format!(
                "  useradd --system --user-group --home-dir {data} --shell /usr/sbin/nologin {user}\n  \
                 chown -R {user}:{user} {data}\n  \
                 chown root:{user} {config}\n"
            );
        }
        text += &format!(
            "  systemctl enable --now {unit}\n  \
             mailwright doctor --config {config}\n\n\
             The doctor tells what is still missing, and what to do about it. Other accounts are added by\n\
             `mailwright account add NAME@{domain} --config {config}`.\n",
            domain = self.domain,
        );
        text
    }
}

/// What is said of it, name, port, protocol and TLS of each listener.
const LISTENERS: [(&str, &str, u16, &str, &str); 8] = [
    ("Mail from other servers.", "smtp", 25, "smtp", "starttls"),
    (
        "Mail programs send by these two.",
        "submissions",
        465,
        "submission",
        "implicit",
    ),
    (
        "With STARTTLS, for programs that do not know the other one.",
        "submission",
        587,
        "submission",
        "starttls",
    ),
    ("Mail programs read by these.", "imaps", 993, "imap", "implicit"),
    (
        "With STARTTLS: no password is taken before it.",
        "imap",
        143,
        "imap",
        "starttls",
    ),
    (
        "For programs that fetch mail away.",
        "pop3s",
        995,
        "pop3",
        "implicit",
    ),
    (
        "How mail programs set themselves up, and the MTA-STS policy. Where another web server has the two ports, remove\n\
         # them here, and let it pass autoconfig.DOMAIN, autodiscover.DOMAIN and mta-sts.DOMAIN on to this one.",
        "https",
        443,
        "http",
        "implicit",
    ),
    (
        "Some programs ask without TLS first, and are told what is public.",
        "http",
        80,
        "http",
        "none",
    ),
];

/// All addresses of this machine: those of IPv4 as well as those of IPv6, where the system has both in one.
fn any_address() -> &'static str {
    let has_both = std::net::TcpListener::bind("[::]:0").is_ok()
        && !std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|text| text.trim() == "1");
    if has_both { "[::]" } else { "0.0.0.0" }
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A word of a line in a unit (systemd.syntax(7), systemd.service(5)).
fn unit_word(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('%', "%%").replace('$', "$$");
    match text.contains([' ', '"', '\'']) {
        true => format!("\"{}\"", text.replace('"', "\\\"")),
        false => text,
    }
}

fn user_name(text: &str) -> Result<String, String> {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
    match first && rest && text.len() <= 31 {
        true => Ok(text.to_owned()),
        false => Err("expected the name of a user: small letters, digits, - and _".to_owned()),
    }
}

/// Giving what root has made to the user of the server.
#[cfg(unix)]
mod own {
    use super::Site;
    use crate::cli::Failure;
    use std::os::unix::fs::chown;

    /// Whether it was given away: by root, where the user is there.
    pub(super) fn hand_over(site: &Site) -> Result<bool, Failure> {
        let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let Some((user, group)) = ids(&known, &site.user) else {
            return Ok(false);
        };
        if !rustix::process::geteuid().is_root() {
            return Ok(false);
        }
        let mut paths = vec![
            site.data.clone(),
            site.data.join("dkim"),
            site.accounts(),
            site.aliases(),
        ];
        paths.push(site.data.join("accounts.toml.lock"));
        paths.extend(site.keys.iter().map(|(.., file)| file.clone()));
        for path in paths {
            chown(&path, Some(user), Some(group)).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        chown(site.config(), None, Some(group))?;
        Ok(true)
    }

    /// User and group of a name in `/etc/passwd`.
    fn ids(passwd: &str, name: &str) -> Option<(u32, u32)> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (own, _, user, group) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            (own == name).then_some((user.parse().ok()?, group.parse().ok()?))
        })
    }
}

#[cfg(not(unix))]
mod own {
    use super::Site;
    use crate::cli::Failure;

    pub(super) fn hand_over(_: &Site) -> Result<bool, Failure> {
        Ok(false)
    }
}
