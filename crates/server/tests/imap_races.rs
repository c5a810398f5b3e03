//! IMAP over a store in which something happens at the worst moment: other sessions expunge, reads fail.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use mailwright_mailbox::{
    Account, AclEntry, Annotation, Batch, BlobRef, CommitError, Committed, Feed, Identifier, MailboxId,
    MailboxInfo, MailboxName, MemoryStore, ModSeq, Op, Page, Scan, SharedMailbox, Snapshot, SpoolEntry,
    SpoolKey, Store, StoreError, Uid, Usage, Vanished,
};
use mailwright_server::accounts::set_password;
use mailwright_server::config::{AccountEntry, ListenerConfig, PlaintextLogin, Protocol, TlsMode};
use mailwright_server::{Config, Running, Server};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use support::lines::{Lines, find};

/// What is to happen.
#[derive(Default)]
struct Plan {
    /// Another session expunges the message of this size just before it is read; 0 for none.
    expunge: AtomicU64,
    /// The history cannot be read.
    no_history: AtomicBool,
    /// The history does not reach back to what is asked for.
    forgetful: AtomicBool,
    /// Nothing can be written.
    no_commit: AtomicBool,
}

struct Moments {
    inner: MemoryStore,
    plan: Arc<Plan>,
}

impl Store for Moments {
    type BlobWriter = <MemoryStore as Store>::BlobWriter;

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        match self.plan.no_commit.load(Ordering::SeqCst) {
            true => Err(CommitError::Io("no".to_owned())),
            false => self.inner.commit(batch).await,
        }
    }

    fn accounts(
        &self,
        after: Option<Account>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Account>, StoreError>> + Send {
        self.inner.accounts(after, limit)
    }

    fn annotations(
        &self,
        account: &Account,
        mailbox: Option<MailboxId>,
    ) -> impl Future<Output = Result<Vec<Annotation>, StoreError>> + Send {
        self.inner.annotations(account, mailbox)
    }

    fn acl(&self, mailbox: MailboxId) -> impl Future<Output = Result<Vec<AclEntry>, StoreError>> + Send {
        self.inner.acl(mailbox)
    }

    fn shared_with(
        &self,
        identifiers: &[Identifier],
    ) -> impl Future<Output = Result<Vec<SharedMailbox>, StoreError>> + Send {
        self.inner.shared_with(identifiers)
    }

    fn mailboxes(
        &self,
        account: &Account,
    ) -> impl Future<Output = Result<Vec<MailboxInfo>, StoreError>> + Send {
        self.inner.mailboxes(account)
    }

    fn subscriptions(
        &self,
        account: &Account,
    ) -> impl Future<Output = Result<Vec<MailboxName>, StoreError>> + Send {
        self.inner.subscriptions(account)
    }

    fn usage(&self, account: &Account) -> impl Future<Output = Result<Usage, StoreError>> + Send {
        self.inner.usage(account)
    }

    fn snapshot(&self, mailbox: MailboxId) -> impl Future<Output = Result<Snapshot, StoreError>> + Send {
        self.inner.snapshot(mailbox)
    }

    fn scan(&self, mailbox: MailboxId, scan: Scan) -> impl Future<Output = Result<Page, StoreError>> + Send {
        self.inner.scan(mailbox, scan)
    }

    async fn vanished(&self, mailbox: MailboxId, since: ModSeq) -> Result<Vanished, StoreError> {
        if self.plan.no_history.load(Ordering::SeqCst) {
            return Err(StoreError::Io("no".to_owned()));
        }
        match self.plan.forgetful.load(Ordering::SeqCst) {
            true => Ok(Vanished::default()),
            false => self.inner.vanished(mailbox, since).await,
        }
    }

    fn new_blob(&self) -> Self::BlobWriter {
        self.inner.new_blob()
    }

    async fn read_blob(&self, blob: &BlobRef, range: Range<u64>) -> Result<Bytes, StoreError> {
        let size = blob.size();
        let next = self
            .plan
            .expunge
            .compare_exchange(size, 0, Ordering::SeqCst, Ordering::SeqCst);
        if next.is_ok() {
            let account = Account::new("alice@a.test");
            let mailboxes = self.inner.mailboxes(&account).await?;
            let inbox = mailboxes.iter().find(|info| info.name.as_str() == "INBOX");
            let op = Op::Expunge {
                mailbox: inbox.unwrap().id,
                uids: Uid::new(2).unwrap().into(),
                deleted_only: false,
            };
            self.inner.commit(Batch::new(0).with(op)).await.unwrap();
            // The store in memory keeps the bytes for whoever has the reference; others do not.
            return Err(StoreError::NoSuchBlob);
        }
        self.inner.read_blob(blob, range).await
    }

    fn spool(
        &self,
        after: Option<SpoolKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SpoolEntry>, StoreError>> + Send {
        self.inner.spool(after, limit)
    }

    fn subscribe(&self, account: &Account) -> Feed {
        self.inner.subscribe(account)
    }
}

static SECRET: LazyLock<AccountEntry> = LazyLock::new(|| {
    let mut entry = AccountEntry::new("alice@a.test".parse().unwrap());
    set_password(&mut entry, &"secret".into());
    entry
});

struct Site {
    running: Running<Moments>,
    plan: Arc<Plan>,
    _folder: tempfile::TempDir,
}

impl Site {
    /// A server, and a client that has INBOX selected.
    async fn start() -> (Self, Lines) {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("mail.a.test".parse().unwrap(), folder.path());
        config.domains = vec!["a.test".parse().unwrap()];
        config.plaintext_login = PlaintextLogin::Loopback;
        config.accounts.push(SECRET.clone());
        let listener = ListenerConfig::new(Protocol::Imap, "127.0.0.1:0".parse().unwrap());
        config
            .listeners
            .push(listener.with_tls(TlsMode::Starttls).with_name("imap"));
        let plan = Arc::new(Plan::default());
        let store = Moments {
            inner: MemoryStore::default(),
            plan: plan.clone(),
        };
        let running = Server::builder(config).store(store).start().await.unwrap();
        let site = Self {
            running,
            plan,
            _folder: folder,
        };
        let client = site.client().await;
        (site, client)
    }

    /// One more client that has INBOX selected.
    async fn client(&self) -> Lines {
        let mut client = Lines::connect(self.running.address("imap").unwrap()).await;
        client.line().await.unwrap();
        client.imap("LOGIN alice@a.test secret", "OK").await;
        client.imap("SELECT INBOX", "OK [READ-WRITE]").await;
        client
    }
}

/// A message with one line of this length for a body.
fn message(line: usize) -> String {
    format!("Subject: hello\r\n\r\n{}\r\n", "x".repeat(line))
}

async fn append(client: &mut Lines, message: &str, want: &str) -> Vec<Vec<u8>> {
    let command = format!("APPEND INBOX {{{}+}}\r\n{message}", message.len());
    client.imap(&command, want).await
}

/// Three messages; the second one will be gone when it is read.
async fn about_to_lose_the_second(site: &Site, client: &mut Lines, line: usize) {
    for line in [10, line, 20] {
        append(client, &message(line), "OK").await;
    }
    let size = message(line).len() as u64;
    site.plan.expunge.store(size, Ordering::SeqCst);
}

#[tokio::test]
async fn a_message_that_goes_while_others_are_fetched_is_left_out() {
    // One that is read at once, and one that comes piece by piece.
    for line in [100, 200_000] {
        let (site, mut client) = Site::start().await;
        about_to_lose_the_second(&site, &mut client, line).await;
        let got = client.imap("UID FETCH 1:* BODY.PEEK[]", "OK Fetch").await;
        assert!(find(&got, "* 1 FETCH (UID 1 ").is_some());
        assert!(find(&got, "FETCH (UID 2 ").is_none());
        assert!(find(&got, "* 3 FETCH (UID 3 ").is_some(), "{line}");
        assert!(find(&got, "* 2 EXPUNGE").is_some());

        let (site, mut client) = Site::start().await;
        about_to_lose_the_second(&site, &mut client, line).await;
        let got = client
            .imap("FETCH 1:3 BODY.PEEK[HEADER]", "NO [EXPUNGEISSUED]")
            .await;
        assert!(find(&got, "* 3 FETCH").is_some(), "{line}");
        assert!(
            find(&got, "* 2 EXPUNGE").is_none(),
            "told while FETCH is answered"
        );
        let got = client.imap("NOOP", "OK").await;
        assert!(find(&got, "* 2 EXPUNGE").is_some());
    }
}

#[tokio::test]
async fn a_message_that_goes_while_others_are_searched_is_not_found() {
    let (site, mut client) = Site::start().await;
    about_to_lose_the_second(&site, &mut client, 100).await;
    let got = client.imap("UID SEARCH TEXT hello", "OK").await;
    assert!(find(&got, "* SEARCH 1 3").is_some());
}

#[tokio::test]
async fn what_is_done_is_not_denied() {
    let (site, mut client) = Site::start().await;
    append(&mut client, &message(10), "OK").await;
    site.plan.no_history.store(true, Ordering::SeqCst);
    append(&mut client, &message(20), "OK [APPENDUID ").await;
    client.imap("UID COPY 1 INBOX", "OK [COPYUID ").await;
    client.imap("UID STORE 1 +FLAGS (\\Deleted)", "OK").await;
    client.imap("EXPUNGE", "OK").await;
    client.imap("NOOP", "NO [UNAVAILABLE]").await;

    site.plan.no_history.store(false, Ordering::SeqCst);
    let got = client.imap("NOOP", "OK").await;
    assert!(find(&got, "* 1 EXPUNGE").is_some() && find(&got, "* 2 EXISTS").is_some());
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_closed_stays_selected() {
    let (site, mut client) = Site::start().await;
    append(&mut client, &message(10), "OK").await;
    site.plan.no_commit.store(true, Ordering::SeqCst);
    client.imap("CLOSE", "NO [UNAVAILABLE]").await;
    let got = client.imap("FETCH 1 FLAGS", "OK").await;
    assert!(find(&got, "* 1 FETCH").is_some());
    site.plan.no_commit.store(false, Ordering::SeqCst);
    client.imap("CLOSE", "OK").await;
    site.running.shutdown().await;
}

#[tokio::test]
async fn a_full_disk_keeps_nobody_from_reading() {
    let (site, mut client) = Site::start().await;
    append(&mut client, &message(10), "OK").await;
    site.plan.no_commit.store(true, Ordering::SeqCst);
    let rows = client.imap("FETCH 1 BODY[TEXT]", "OK").await;
    assert!(
        find(&rows, "BODY[TEXT] {").is_some() && find(&rows, "Seen").is_none(),
        "{rows:?}"
    );
    site.plan.no_commit.store(false, Ordering::SeqCst);
    let rows = client.imap("FETCH 1 BODY[TEXT]", "OK").await;
    assert!(find(&rows, "\\Seen").is_some(), "{rows:?}");
    site.running.shutdown().await;
}

/// What a client makes of the untagged responses: the UIDs by their numbers, where it has heard of them.
#[derive(Default)]
struct Numbers(Vec<Option<u32>>);

impl Numbers {
    fn hear(&mut self, responses: &[Vec<u8>], expunge_allowed: bool) {
        for response in responses {
            let text = String::from_utf8_lossy(response);
            let words: Vec<&str> = text.trim_end().split([' ', '(', ')']).collect();
            let ["*", number, what, ..] = words[..] else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            let exists = (1..=self.0.len()).contains(&number);
            match what {
                "EXISTS" => {
                    assert!(number >= self.0.len(), "EXISTS takes messages away: {text}");
                    self.0.resize(number, None);
                }
                "EXPUNGE" => {
                    assert!(expunge_allowed && exists, "{text}");
                    self.0.remove(number - 1);
                }
                "FETCH" => {
                    assert!(exists, "{text}");
                    let at = words.iter().position(|word| *word == "UID").expect("a UID");
                    let uid = words[at + 1].parse().expect("a number");
                    let known = self.0[number - 1].get_or_insert(uid);
                    assert_eq!(*known, uid, "the number is that of another message: {text}");
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn sequence_numbers_stay_true_whatever_other_sessions_do() {
    let (site, mut writer) = Site::start().await;
    let mut reader = site.client().await;
    let mut heard = Numbers::default();
    let mut random = 42_u32;
    let mut dice = |sides: u32| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random % sides
    };
    for round in 0..300 {
        site.plan.forgetful.store(round % 5 == 0, Ordering::SeqCst);
        for _ in 0..dice(4) {
            // Around the youngest message, where something is left to change.
            let one = 1 + dice(1 + 2 * round);
            match dice(5) {
                0 | 1 => drop(append(&mut writer, &message(10), "OK").await),
                2 => drop(
                    writer
                        .imap(&format!("UID COPY {one}:{} INBOX", one + 3), "OK")
                        .await,
                ),
                3 => drop(writer.imap(&format!("UID MOVE {one} INBOX"), "OK").await),
                _ => {
                    let some = format!("UID STORE {one}:{} +FLAGS (\\Deleted)", one + 5);
                    writer.imap(&some, "OK").await;
                    writer.imap("EXPUNGE", "OK").await;
                }
            }
        }
        match dice(4) {
            0 => heard.hear(&reader.imap("NOOP", "OK").await, true),
            1 => heard.hear(&append(&mut reader, &message(5), "OK").await, true),
            2 => heard.hear(&reader.imap("UID FETCH 1:* FLAGS", "OK").await, true),
            _ if !heard.0.is_empty() => heard.hear(&reader.imap("FETCH 1:* (UID FLAGS)", "").await, false),
            _ => {}
        }
    }
    heard.hear(&reader.imap("NOOP", "OK").await, true);
    heard.hear(&reader.imap("UID FETCH 1:* UID", "OK").await, true);
    let found = reader.imap("UID SEARCH ALL", "OK").await;
    let found = String::from_utf8_lossy(find(&found, "* SEARCH").expect("an answer"));
    let uids = found.split_whitespace().skip(2).map(|uid| uid.parse().ok());
    assert_eq!(heard.0, uids.collect::<Vec<_>>());
    assert!(
        heard.0.len() > 20,
        "too little was left to tell: {}",
        heard.0.len()
    );
    site.running.shutdown().await;
}
