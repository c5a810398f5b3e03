//! An account of a real Dovecot comes over, with an interruption in the middle.

use super::{Told, bob, full, seen, store};
use mailwright_mailbox::SystemFlags;
use mailwright_sasl::Secret;
use mailwright_server::transfer::{ImapAccount, Importer, Observer, Progress, TransportSecurity};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::sync::Notify;

const PORT: u16 = 20_143;
const NOBODY: u32 = 65_534;

/// Dovecot with one account, whose password is anything.
struct Dovecot {
    process: Child,
    address: Ipv4Addr,
    _folder: TempDir,
}

impl Dovecot {
    /// `None` where it cannot be run, which is said.
    async fn start(fill: impl FnOnce(&Path)) -> Option<Self> {
        let is_required = std::env::var_os("REQUIRE_CLIENTS").is_some();
        let is_there = Command::new("dovecot").arg("--version").output().is_ok();
        let is_root = fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
        if !is_there || !is_root {
            assert!(!is_required, "Dovecot cannot be run, and it is required");
            println!("SKIPPED: Dovecot is not installed, or this is not root, as which it starts");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
        fill(&home.join("mail"));
        // No two processes have the same address of this machine's.
        let [.., a, b, c] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, a | 0x80, b, c);
        let config = format!(
            "base_dir = {home}/run\nstate_dir = {home}/state\nprotocols = imap\nlisten = {address}\n\
             log_path = {home}/log\nssl = no\ndisable_plaintext_auth = no\nmail_location = maildir:{home}/mail\n\
             first_valid_uid = 1\npassdb {{\n driver = static\n args = nopassword=y\n}}\n\
             userdb {{\n driver = static\n args = uid={NOBODY} gid={NOBODY} home={home}/mail\n}}\n\
             service imap-login {{\n inet_listener imap {{\n port = {PORT}\n }}\n inet_listener imaps {{\n port = 0\n }}\n}}\n",
            home = home.display(),
        );
        fs::write(home.join("dovecot.conf"), config).unwrap();
        let process = Command::new("dovecot")
            .arg("-F")
            .arg("-c")
            .arg(home.join("dovecot.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let dovecot = Self {
            process,
            address,
            _folder: folder,
        };
        let start = Instant::now();
        while tokio::net::TcpStream::connect((address, PORT)).await.is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "Dovecot does not start"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(dovecot)
    }

    fn account(&self) -> ImapAccount {
        let (host, password) = (self.address.to_string(), Secret::from("any"));
        ImapAccount::new(&host, PORT, TransportSecurity::None, "bob", password)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Told to end, it ends the processes that it has started.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// Puts messages into a Maildir: long enough that not all of them fit into what the system holds of a connection.
fn fill(folder: &Path, name: &str, messages: u32) {
    for sub in ["", "cur", "new", "tmp"] {
        let path = folder.join(sub);
        fs::create_dir_all(&path).unwrap();
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    for n in 1..=messages {
        let flags = ["", "S", "FS", "RT"][n as usize % 4];
        let path = folder.join(format!("cur/{}.M{n:06}P1.host:2,{flags}", 1_700_000_000 + n));
        let body = format!("line {n}\r\n").repeat(2000);
        fs::write(&path, format!("Subject: {name} {n}\r\n\r\n{body}")).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000 + u64::from(n)))
            .unwrap();
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Says when so many messages are over.
struct Until(u64, Arc<Notify>);

impl Observer for Until {
    fn progress(&mut self, progress: &Progress) {
        if progress.messages >= self.0 {
            self.1.notify_one();
        }
    }

    fn skipped(&mut self, what: &str, why: &str) {
        panic!("{what}: {why}");
    }
}

#[tokio::test]
async fn an_account_of_dovecot_comes_over_though_it_is_interrupted() {
    let filled = Dovecot::start(|mail| {
        fill(mail, "new", 300);
        fill(&mail.join(".Archive.2026"), "old", 60);
    });
    let Some(dovecot) = filled.await else { return };
    let (to, account) = (store(), dovecot.account());

    for least in [40, 200] {
        let enough = Arc::new(Notify::new());
        let mut until = Until(least, Arc::clone(&enough));
        tokio::select! {
            biased;
            () = enough.notified() => {}
            report = Importer::new(&to, bob(), None, &mut until).imap(&account) => {
                panic!("it was over before it could be interrupted: {report:?}");
            }
        }
    }
    let before: usize = seen(&to).await.iter().map(|it| it.messages.len()).sum();
    assert!((1..360).contains(&before), "{before}");

    let mut told = Told::default();
    let report = Importer::new(&to, bob(), None, &mut told).imap(&account).await;
    let report = report.unwrap();
    assert_eq!(report.added, 360 - before as u64);
    assert_eq!(told.skipped, Vec::<String>::new());
    let all = full(seen(&to).await);
    let names: Vec<_> = all.iter().map(|it| (&*it.name, it.messages.len())).collect();
    assert_eq!(names, [("Archive/2026", 60), ("INBOX", 300)]);
    for (mailbox, name) in all.iter().zip(["old", "new"]) {
        for (n, row) in (1..).zip(&mailbox.messages) {
            let flags = [
                SystemFlags::default(),
                SystemFlags::SEEN,
                SystemFlags::FLAGGED | SystemFlags::SEEN,
                SystemFlags::ANSWERED | SystemFlags::DELETED,
            ][n as usize % 4];
            assert_eq!((row.uid, row.date), (n, 1_600_000_000 + i64::from(n)));
            assert_eq!(row.flags.system(), flags, "{name} {n}");
            let wanted = format!(
                "Subject: {name} {n}\r\n\r\n{}",
                format!("line {n}\r\n").repeat(2000)
            );
            assert!(row.octets == wanted, "{name} {n}");
        }
    }

    let report = Importer::new(&to, bob(), None, &mut told).imap(&account).await;
    assert_eq!(report.unwrap().added, 0);
}
