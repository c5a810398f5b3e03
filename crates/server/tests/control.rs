//! The control socket: what it lets in, what it answers, and `mailwright queue` with and without a running server.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests over real sockets and real time

use mailwright_mailbox::{Batch, BlobWriter, Op, Store};
use mailwright_queue::{Record, Timestamp};
use mailwright_server::config::{AccountEntry, Config, Endpoint, EndpointHost};
use mailwright_server::control::queue::{
    Change, Changed, Changes, Desk, Doing, Filter, List, Message, Messages, Request,
};
use mailwright_server::control::{Client, Pong, Request as Control, socket};
use mailwright_server::{Running, Server, unix_now};
use mailwright_store::SqliteStore;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server whose mail for b.test and c.test goes to ports where nobody listens.
struct Rig {
    running: Running<SqliteStore>,
    folder: TempDir,
}

impl Rig {
    async fn start(folder: TempDir) -> Self {
        let store = SqliteStore::open(folder.path().join("mail"), mailwright_store::Config::default());
        let running = Server::builder(config(folder.path())).store(store.expect("a store"));
        let running = running.start().await.expect("it starts");
        Self { running, folder }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    async fn put(&self, id: &str, from: &str, to: &[&str]) {
        let store = &self.running.shared().store;
        put(store, id, from, to).await;
        self.running.shared().spooled.notify_one();
    }

    async fn call<T: serde::de::DeserializeOwned + Send + 'static>(&self, request: Request) -> T {
        let data = self.data().to_owned();
        let call = move || {
            let mut client = Client::connect(&data).expect("it may").expect("it runs");
            client.call(Control::Queue(request)).expect("an answer")
        };
        tokio::task::spawn_blocking(call).await.expect("no panic")
    }

    async fn list(&self, adjust: impl FnOnce(&mut List)) -> Vec<Message> {
        let mut list = List::default();
        list.limit = 100;
        adjust(&mut list);
        let page: Messages = self.call(Request::List(list)).await;
        page.messages
    }

    async fn until(&self, what: impl Fn(&[Message]) -> bool) -> Vec<Message> {
        let started = Instant::now();
        loop {
            let messages = self.list(|_| {}).await;
            if what(&messages) {
                return messages;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{messages:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn change(&self, keys: &[u64], change: Change) -> Vec<Changed> {
        let request = Request::Change {
            keys: keys.to_vec(),
            change,
        };
        let changes: Changes = self.call(request).await;
        assert_eq!(changes.done.iter().map(|(key, _)| *key).collect::<Vec<_>>(), keys);
        changes.done.into_iter().map(|(_, changed)| changed).collect()
    }
}

fn config(data: &Path) -> Config {
    let mut config = Config::new("mail.a.test".parse().expect("a name"), data);
    config.domains.push("a.test".parse().expect("a name"));
    config
        .accounts
        .push(AccountEntry::new("alice@a.test".parse().expect("an address")));
    // The port is free a moment before, and nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    for domain in ["b.test", "c.test"] {
        let endpoint = Endpoint::new(EndpointHost::Address(address.ip()), address.port());
        config
            .outbound
            .routes
            .insert(domain.parse().expect("a name"), endpoint.into());
    }
    config
}

async fn put(store: &SqliteStore, id: &str, from: &str, to: &[&str]) {
    let now = Timestamp::from_unix_seconds(u64::try_from(unix_now()).expect("after 1970"));
    let from = mailwright_address::ReversePath::Address(from.parse().expect("an address"));
    let mut record = Record::new(id, from, now, now + Duration::from_secs(86_400));
    for to in to {
        record.add_recipient(to.parse().expect("an address"));
    }
    record.size = 20;
    let mut writer = store.new_blob();
    writer
        .write("Subject: Hello\r\n\r\nx\r\n".into())
        .await
        .expect("room");
    let blob = writer.finish().await.expect("room");
    let put = Op::SpoolPut {
        key: None,
        record: record.encode(),
        blob: Some(blob),
    };
    store
        .commit(Batch::new(unix_now()).with(put))
        .await
        .expect("room");
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn only_the_owner_may_open_it_and_it_goes_with_the_server() {
    let rig = Rig::start(folder()).await;
    let path = socket(rig.data());
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(5), "no socket");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let metadata = std::fs::metadata(&path).expect("it is there");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let data = rig.data().to_owned();
    let pong: Pong = tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(&data).expect("it may").expect("it runs");
        client.call(Control::Ping {}).expect("an answer")
    })
    .await
    .expect("no panic");
    assert_eq!((pong.pid, &*pong.hostname), (std::process::id(), "mail.a.test"));
    // A second server on the same folder must not take it away.
    let other = Server::builder(config(rig.data())).store(mailwright_mailbox::MemoryStore::default());
    other.start().await.expect("it starts").shutdown().await;
    assert!(path.exists(), "it still belongs to the first one");
    let Rig { running, folder } = rig;
    running.shutdown().await;
    assert!(!path.exists());
    assert!(Client::connect(folder.path()).expect("it may").is_none());
    // What a killed server leaves is no hindrance.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    assert!(path.exists());
    let rig = Rig::start(folder).await;
    rig.until(<[Message]>::is_empty).await;
}

#[tokio::test]
async fn lines_that_are_no_requests_are_told_so() {
    let rig = Rig::start(folder()).await;
    rig.until(<[Message]>::is_empty).await;
    let path = socket(rig.data());
    let talk = move || {
        let mut stream = BufReader::new(UnixStream::connect(path).expect("it runs"));
        let mut say = |line: &[u8]| -> Value {
            stream.get_mut().write_all(line).expect("it reads");
            let mut reply = String::new();
            stream.read_line(&mut reply).expect("it answers");
            serde_json::from_str(&reply).expect("a line of JSON")
        };
        let error = |reply: Value| {
            assert_eq!(reply["v"], 1);
            reply["error"].as_str().expect("an error").to_owned()
        };
        assert!(error(say(b"hello\n")).starts_with("the request is not a line of JSON"));
        assert_eq!(
            error(say(b"{\"v\":2,\"ping\":{}}\n")),
            "this server speaks version 1 of the control protocol"
        );
        assert!(error(say(b"{\"v\":1,\"fly\":{}}\n")).contains("not understood"));
        assert_eq!(
            error(say(b"{\"v\":1,\"queue\":{\"show\":{\"key\":77}}}\n")),
            "there is no message 77 in the queue"
        );
        let many = json!({"v": 1, "queue": {"change": {"keys": vec![1; 501], "hold": {}}}});
        assert_eq!(
            error(say(format!("{many}\n").as_bytes())),
            "more than 500 messages in one request"
        );
        let redirect = json!({"v": 1, "queue": {"change": {"keys": [1], "redirect": {"to": "nobody"}}}});
        assert!(error(say(format!("{redirect}\n").as_bytes())).starts_with("nobody: "));
        // The connection is as good as before.
        assert_eq!(say(b"{\"v\":1,\"ping\":{}}\n")["ok"]["hostname"], "mail.a.test");
        // A line without end is cut off, and so is the connection.
        assert_eq!(error(say(&[b' '; 64 * 1024])), "the request is too long");
        let mut rest = String::new();
        assert!(matches!(stream.read_line(&mut rest), Ok(0) | Err(_)));
    };
    tokio::task::spawn_blocking(talk).await.expect("no panic");
}

#[tokio::test]
async fn messages_are_listed_changed_and_shown_in_a_running_server() {
    let rig = Rig::start(folder()).await;
    rig.put("aaaaaaaaaaaaaaaa", "alice@a.test", &["bob@b.test"]).await;
    rig.put("bbbbbbbbbbbbbbbb", "carol@a.test", &["bob@b.test", "dave@c.test"])
        .await;
    let deferred = |m: &[Message]| m.len() == 2 && m.iter().all(|m| m.doing == Doing::Deferred);
    let all = rig.until(deferred).await;
    assert!(all[0].due.expect("it waits") > all[0].arrival);
    assert!(
        all[1]
            .to
            .iter()
            .any(|to| to.why.as_deref().is_some_and(|why| why.contains("4.4.1")))
    );

    let keys: Vec<u64> = all.iter().map(|message| message.key).collect();
    let filter = |set: fn(&mut Filter)| rig.list(move |list| set(&mut list.filter));
    let ids = |messages: Vec<Message>| {
        messages
            .into_iter()
            .map(|m| m.id[..1].to_owned())
            .collect::<String>()
    };
    assert_eq!(ids(filter(|f| f.from = Some("CAROL@a.test".into())).await), "b");
    assert_eq!(ids(filter(|f| f.to = Some("@b.test".into())).await), "ab");
    assert_eq!(ids(filter(|f| f.to = Some("dave@c.test".into())).await), "b");
    assert_eq!(ids(filter(|f| f.id = Some("aaaaaaaaaaaaaaaa".into())).await), "a");
    assert_eq!(ids(filter(|f| f.before = Some(1)).await), "");
    assert_eq!(ids(rig.list(|list| list.limit = 1).await), "a");
    assert_eq!(ids(rig.list(|list| list.after = Some(keys[0])).await), "b");

    assert_eq!(
        rig.change(&keys, Change::Hold {}).await,
        [Changed::Done, Changed::Done]
    );
    assert_eq!(
        rig.change(&keys[..1], Change::Hold {}).await,
        [Changed::Unchanged]
    );
    assert_eq!(ids(filter(|f| f.state = Some(Doing::Held)).await), "ab");
    assert_eq!(rig.change(&keys[1..], Change::Release {}).await, [Changed::Done]);
    assert_eq!(ids(filter(|f| f.state = Some(Doing::Held)).await), "a");

    let redirect = Change::Redirect {
        from: Some("bob@b.test".into()),
        to: "alice@a.test".into(),
    };
    assert_eq!(rig.change(&keys[1..], redirect).await, [Changed::Done]);
    let started = Instant::now();
    let shown = loop {
        let shown: Message = rig.call(Request::Show { key: keys[1] }).await;
        if shown.to.iter().any(|to| to.state == "delivered") {
            break shown;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{shown:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let delivered = shown.to.iter().find(|to| to.state == "delivered").expect("one");
    assert_eq!(
        (&*delivered.address, delivered.original.as_deref()),
        ("alice@a.test", Some("bob@b.test"))
    );
    let history: Vec<&str> = shown.history.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        history.contains(&"held") && history.contains(&"released"),
        "{history:?}"
    );
    assert!(history.contains(&"1 redirected to alice@a.test"), "{history:?}");

    // dave@c.test is given up, and his sender, who does not exist, is not told.
    assert_eq!(rig.change(&keys[1..], Change::Bounce {}).await, [Changed::Done]);
    rig.until(|messages| messages.len() == 1).await;
    assert_eq!(
        rig.change(&keys[1..], Change::Bounce {}).await,
        [Changed::NoSuchMessage]
    );
    rig.put("cccccccccccccccc", "carol@a.test", &["dave@c.test"])
        .await;
    rig.until(|messages| messages.len() == 2).await;

    assert_eq!(rig.change(&[keys[0]], Change::Drop {}).await, [Changed::Done]);
    assert_eq!(
        rig.change(&[keys[0]], Change::Drop {}).await,
        [Changed::NoSuchMessage]
    );
    assert_eq!(rig.list(|_| {}).await.len(), 1);
}

#[tokio::test]
async fn what_a_command_changes_without_a_server_holds_for_the_next_one() {
    let folder = folder();
    let open = || SqliteStore::open(folder.path().join("mail"), mailwright_store::Config::default());
    let store = open().expect("a store");
    put(&store, "aaaaaaaaaaaaaaaa", "alice@a.test", &["bob@b.test"]).await;
    put(&store, "bbbbbbbbbbbbbbbb", "alice@a.test", &["bob@b.test"]).await;
    let desk = Desk::of_store(&store);
    let change = |keys: Vec<u64>, change| desk.answer(Request::Change { keys, change });
    let done = |value: Value| value["done"].clone();
    assert_eq!(
        done(change(vec![1], Change::Hold {}).await.expect("kept")),
        json!([[1, "done"]])
    );
    let dropped = change(vec![2, 3], Change::Drop {}).await.expect("kept");
    assert_eq!(done(dropped), json!([[2, "done"], [3, "no-such-message"]]));
    let to = Change::Redirect {
        from: None,
        to: "dave@c.test".into(),
    };
    assert_eq!(
        done(change(vec![1], to).await.expect("kept")),
        json!([[1, "done"]])
    );
    drop(store);
    let rig = Rig::start(folder).await;
    let messages = rig.until(|messages| messages.len() == 1).await;
    assert_eq!(
        (messages[0].doing, &*messages[0].to[0].address),
        (Doing::Held, "dave@c.test")
    );
}

#[tokio::test]
async fn the_command_works_with_and_without_a_server() {
    let rig = Rig::start(folder()).await;
    rig.put("aaaaaaaaaaaaaaaa", "alice@a.test", &["bob@b.test"]).await;
    rig.until(|m| m.len() == 1 && m[0].doing == Doing::Deferred).await;
    let data = rig.data().to_owned();
    let command = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mailwright"));
        command.arg("queue").args(arguments).arg("--data").arg(&data);
        move || {
            let output = command.output().expect("it runs");
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            (output.status.success(), text.into_owned())
        }
    };
    let run = |arguments: &[&str]| {
        let command = command(arguments);
        async { tokio::task::spawn_blocking(command).await.expect("no panic") }
    };
    let (ok, text) = run(&["list"]).await;
    assert!(
        ok && text.contains("aaaaaaaaaaaaaaaa") && text.contains("deferred, due in 5m"),
        "{text}"
    );
    assert!(
        text.contains("to   bob@b.test  tried 1×  4.4.1") && text.ends_with("1 message, 20 octets\n"),
        "{text}"
    );
    let (ok, text) = run(&["hold", "aaaaaaaaaaaaaaaa"]).await;
    assert_eq!((ok, &*text), (true, "1 changed\n"));
    let (ok, text) = run(&["retry"]).await;
    assert!(!ok && text.contains("which messages?"), "{text}");
    let Rig { running, folder } = rig;
    running.shutdown().await;
    let (ok, text) = run(&["list", "--state", "held", "--json"]).await;
    let message: Value = serde_json::from_str(&text).expect("a line of JSON");
    assert!(
        ok && message["doing"] == "held" && message["id"] == "aaaaaaaaaaaaaaaa",
        "{text}"
    );
    let (ok, text) = run(&["release", "--to", "@b.test"]).await;
    assert_eq!((ok, &*text), (true, "1 changed\n"));
    let (ok, text) = run(&["show", "1"]).await;
    assert!(
        ok && text.contains("  held\n") && text.contains("  released\n"),
        "{text}"
    );
    assert!(
        text.contains("b.test via [127.0.0.1] 127.0.0.1:") && text.contains(": 1 deferred: 4.4.1"),
        "{text}"
    );
    let (ok, text) = run(&["drop", "--all"]).await;
    assert_eq!((ok, &*text), (true, "1 changed\n"));
    let (ok, text) = run(&["drop", "1"]).await;
    assert_eq!(
        (ok, &*text),
        (false, "0 changed\nmailwright: #1: it is not in the queue\n")
    );
    assert_eq!(
        run(&["list"]).await,
        (true, "No message in the queue is meant.\n".into())
    );
    drop(folder);
}
