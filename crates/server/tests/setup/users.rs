//! `mailwright sendmail` for users of the machine other than the server's own: the socket of `[sendmail]`.

use super::sendmail::{message, site};
use super::{PATIENCE, Running, Said, Site, mode, wait_for};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder that every user may enter, with the program in it.
struct Public(TempDir);

impl Public {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_mailwright"));
        let here = folder.path().join("sendmail");
        if std::fs::hard_link(program, &here).is_err() {
            std::fs::copy(program, &here).unwrap();
        }
        Self(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("socket")
    }

    /// Runs the program as a user and in a group, or as who runs the test.
    fn sendmail(&self, who: Option<(u32, u32)>, arguments: &[&str], input: &str) -> Said {
        let mut command = Command::new(self.0.path().join("sendmail"));
        command
            .args(arguments)
            .env("MAILWRIGHT_SENDMAIL", self.socket())
            // What a program says of itself counts for nothing.
            .env("LOGNAME", "root")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some((user, group)) = who {
            command.uid(user).gid(group);
        }
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }
}

/// A server with such a socket, and what its section says besides.
fn start(site: &Site, public: &Public, more: &str) -> Running {
    let socket = public.socket();
    site.edit(|text| format!("{text}\n[sendmail]\nsocket = \"{}\"\n{more}", socket.display()));
    let running = Running::start(site);
    wait_for(|| socket.exists());
    running
}

/// The field of a line of `/etc/passwd` or `/etc/group` that has these fields.
fn field(file: &str, has: &[(usize, &str)], wanted: usize) -> Option<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| has.iter().all(|(at, value)| fields.get(*at) == Some(value)));
    Some(found?.get(wanted)?.to_string())
}

/// User and group of a name, if this is root and there is such a user.
fn other(name: &str) -> Option<(u32, u32)> {
    let number = |at| field("/etc/passwd", &[(0, name)], at)?.parse().ok();
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    is_root.then(|| Some((number(2)?, number(3)?))).flatten()
}

/// A conversation over the socket.
struct Raw(BufReader<UnixStream>);

impl Raw {
    fn new(public: &Public) -> Self {
        let stream = UnixStream::connect(public.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, request: &str) -> String {
        writeln!(self.0.get_mut(), "{request}").unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn users_send_as_themselves_and_as_nobody_else() {
    let (Some(nobody), Some(daemon)) = (other("nobody"), other("daemon")) else {
        return eprintln!("not tried: it needs root, and the users nobody and daemon");
    };
    let Some(group) = field("/etc/group", &[(2, &nobody.1.to_string())], 0) else {
        return eprintln!("not tried: the group of nobody has no name");
    };
    let (site, public) = (site(), Public::new());
    let more = format!("group = \"{group}\"\n[sendmail.send_as]\ndaemon = [\"admin@a.test\"]\n");
    let running = start(&site, &public, &more);
    assert_eq!(mode(&public.socket()), 0o660);
    let text = "Subject: first\n\nx\n";
    // Who is not in the group stays outside.
    assert_eq!(
        public.sendmail(Some(daemon), &["admin@a.test"], text).code,
        Some(77)
    );
    let daemon = (daemon.0, nobody.1);

    public
        .sendmail(Some(nobody), &["-FMr. Nobody", "admin@a.test"], text)
        .fine();
    let mail = message(&site, &running, 1);
    for part in [
        "Return-Path: <nobody@mail.a.test>\r\n",
        "(from user nobody)",
        "From: \"Mr. Nobody\" <nobody@mail.a.test>\r\n",
        "Subject: first\r\n",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    public
        .sendmail(Some(daemon), &["-FDee", "admin@a.test"], "Subject: second\n\nx\n")
        .fine();
    let mail = message(&site, &running, 2);
    for part in [
        "Return-Path: <admin@a.test>\r\n",
        "(from user daemon)",
        "From: Dee <admin@a.test>\r\n",
        "DKIM-Signature: ",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    // In the envelope nobody is somebody else, whatever the header says; nor is the name of another signed.
    for from in ["admin@a.test", "daemon", "root@mail.a.test", "ADMIN@A.TEST"] {
        let said = public.sendmail(Some(nobody), &["-f", from, "admin@a.test"], text);
        assert_eq!(said.code, Some(77), "{from}: {said:?}");
        assert!(said.err.contains("may not send as"), "{said:?}");
    }
    for from in ["nobody", "Nobody@MAIL.a.test", ""] {
        let forged = "From: admin@a.test\nSubject: forged\n\nx\n";
        public
            .sendmail(Some(nobody), &["-f", from, "admin@a.test"], forged)
            .fine();
    }
    let mail = message(&site, &running, 5);
    assert!(!mail.contains("DKIM-Signature"), "{mail}");
    public
        .sendmail(Some(daemon), &["-f", "daemon", "admin@a.test"], text)
        .fine();
    assert!(message(&site, &running, 6).contains("Return-Path: <daemon@mail.a.test>\r\n"));

    drop(running);
    site.edit(|text| text.replacen("hostname =", "from_header = \"bound\"\nhostname =", 1));
    std::fs::remove_file(public.socket()).unwrap();
    let _running = Running::start(&site);
    wait_for(|| public.socket().exists());
    let code = |who, text| public.sendmail(Some(who), &["admin@a.test"], text).code;
    assert_eq!(code(nobody, "From: admin@a.test\n\nx\n"), Some(77));
    assert_eq!(code(daemon, "From: Admin <admin@a.test>\n\nx\n"), Some(0));
    assert_eq!(
        code(daemon, "From: admin@a.test, nobody@mail.a.test\n\nx\n"),
        Some(77)
    );
    assert_eq!(
        code(nobody, "From: nobody@mail.a.test\nSubject: own\n\nx\n"),
        Some(0)
    );
}

#[test]
fn exit_codes_tell_what_is_wrong() {
    let (site, public) = (site(), Public::new());
    let limits = "[limits]\nmessage_size = \"100K\"\nrecipients = 100\n";
    let running = start(&site, &public, limits);
    let code = |arguments: &[&str], text: &str| public.sendmail(None, arguments, text).code;
    let text = "Subject: x\n\ny\n";
    assert_eq!(code(&["unknown@a.test"], text), Some(67));
    assert_eq!(code(&["unknown@a.test", "admin@a.test"], text), Some(0));
    assert_eq!(code(&["not an address@a.test"], text), Some(65));
    assert_eq!(code(&["admin@a.test"], &"much\n".repeat(100_000)), Some(65));
    let many: Vec<String> = (0..101).map(|n| format!("admin+{n}@a.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(code(&many, text), Some(65));
    assert_eq!(code(&["-t"], "Subject: nobody\n\nx\n"), Some(64));
    assert_eq!(
        code(&["-t"], "To: admin@a.test\nBcc: abuse@a.test\n\nx\n"),
        Some(0)
    );
    // The admin, who stands for both, and the one of before.
    message(&site, &running, 2);
    drop(running);
    assert_eq!(code(&["admin@a.test"], text), Some(75));
    std::fs::remove_file(public.socket()).unwrap();
    assert_eq!(code(&["admin@a.test"], text), Some(75));
}

#[test]
fn rates_are_those_of_accounts() {
    let (site, public) = (site(), Public::new());
    let _running = start(&site, &public, "[rate_limits]\nmessages_per_account = \"3/1h\"\n");
    let codes: Vec<_> = (0..4)
        .map(|_| public.sendmail(None, &["admin@a.test"], "Subject: x\n\ny\n").code)
        .collect();
    assert_eq!(codes, [Some(0), Some(0), Some(0), Some(75)]);
}

#[test]
fn nothing_but_handing_in_is_possible_and_nobody_takes_all_places() {
    let (site, public) = (site(), Public::new());
    let running = start(&site, &public, "");
    let who = Raw::new(&public).ask(r#"{"v":1,"who":{}}"#);
    assert!(
        who.contains("@mail.a.test\"") && who.contains("\"domain\":\"mail.a.test\""),
        "{who}"
    );
    for request in [
        r#"{"v":1,"queue":{"list":{"limit":100}}}"#,
        r#"{"v":1,"account":{"list":{}}}"#,
        r#"{"v":1,"reload":{}}"#,
        r#"{"v":1,"ping":{}}"#,
        r#"{"v":2,"who":{}}"#,
        "what?",
    ] {
        let mut raw = Raw::new(&public);
        let said = raw.ask(request);
        assert!(
            said.starts_with(r#"{"v":1,"error":{"kind":"data","#),
            "{request}: {said}"
        );
        assert_eq!(raw.line(), "", "the connection ends");
    }
    // Another's name in the request is not believed.
    let forged = r#"{"v":1,"submit":{"from":"<>","to":["admin"],"size":14,"user":"ceo"}}"#;
    let said = Raw::new(&public).ask(&format!("{forged}\nSubject: s\n\nx"));
    assert!(said.contains("\"ok\":{\"id\":"), "{said}");
    let mail = message(&site, &running, 1);
    assert!(mail.contains("(from user ") && !mail.contains("ceo"), "{mail}");
    // A user has eight places.
    let mut held: Vec<Raw> = Vec::new();
    for _ in 0..8 {
        let mut raw = Raw::new(&public);
        wait_for(|| {
            let served = raw.ask(r#"{"v":1,"who":{}}"#).contains("\"ok\"");
            if !served {
                // A place that was used a moment ago is not free yet.
                raw = Raw::new(&public);
            }
            served
        });
        held.push(raw);
    }
    let said = Raw::new(&public).line();
    assert!(
        said.contains("temporary") && said.contains("too many connections"),
        "{said}"
    );
    held.pop();
    wait_for(|| public.sendmail(None, &["admin"], "Subject: again\n\nx\n").code == Some(0));
    drop(running);
}
