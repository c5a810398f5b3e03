"""Mail between the examples and servers and clients that nobody here wrote.

usage: peers.py SEND SMTP_SINK [NAME...]

SEND and SMTP_SINK are the programs of this folder: the client engine and the server engine on plain sockets. The
others are Postfix as server (its smtpd with the queue held, and its smtp-sink) and as client (its smtp-source, and a
whole instance that relays), Exim as server, OpenSMTPD as server that relays to smtp_sink, and Python's aiosmtplib. What is not installed is named and passed over,
unless REQUIRE_PEERS names it: "postfix exim opensmtpd aiosmtplib".

Nothing of the system is changed. Postfix runs from a configuration in a folder of its own, on ports of its own; Exim,
if it is not installed, from a package that was unpacked to the folder in $EXIM (`apt-get download exim4-daemon-light;
dpkg -x *.deb FOLDER`), in a mount namespace in which its user exists; OpenSMTPD likewise, from $OPENSMTPD. All need
root.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import pathlib
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

SEND, SINK = sys.argv[1:3]
REQUIRED = os.environ.get("REQUIRE_PEERS", "").lower().split()
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="peers"))
FOLDER.chmod(0o755)
UTF8 = "Subject: Grüße\n\n.dot at the start\nüber acht Bit\n"


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def reachable(number, what):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", number), 1) as s:
            s.settimeout(10)
            if s.recv(4).startswith(b"220"):
                s.sendall(b"QUIT\r\n")
                return
        time.sleep(0.1)
    raise SystemExit(f"{what} does not answer at port {number}")


class Sink:
    """A smtp_sink that writes JSON."""

    def __init__(self, *options):
        self.pem = FOLDER / f"sink{port()}.pem"
        command = [SINK, "127.0.0.1:0", "--store", "json", "--certificate", self.pem, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening at "), line
        self.port = int(line.rsplit(":", 1)[1])
        # A pipe that nobody reads would hold the sink up.
        self.lines = queue.SimpleQueue()
        threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout], daemon=True).start()

    def mail(self):
        return json.loads(self.lines.get(timeout=60))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def send(number, *options, message=UTF8, status=0, sender="alice@a.test", to=("bob@b.test",)):
    command = [SEND, "--server", f"127.0.0.1:{number}", "--from", sender, *options]
    for recipient in to:
        command += ["--to", recipient]
    data = message if isinstance(message, bytes) else message.encode()
    done = subprocess.run(command, input=data, capture_output=True, timeout=120, env=os.environ | {"PASSWORD": "secret"})
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == status, f"{command}: {done.returncode}: {said}"
    return said


def large(megabytes):
    return b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n..dots\r\n" + (b"A" * 76 + b"\r\n") * (megabytes * 13444)


def make_certificate(key, certificate):
    config = certificate.with_suffix(".conf")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    config.write_text(f"[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\nbasicConstraints=CA:FALSE\n{names}\n")
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-config", config, "-keyout", key, "-out", certificate], check=True, capture_output=True)


# --- Postfix -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def postfix(name, relay="", lines=()):
    """An instance of its own; yields the port of its smtpd and its queue folder."""
    etc, spool, data = (FOLDER / name / sub for sub in ("etc", "spool", "data"))
    for path in (etc, spool, data):
        path.mkdir(parents=True)
    shutil.chown(data, "postfix")
    number = port()
    key, certificate = FOLDER / name / "key.pem", FOLDER / name / "cert.pem"
    make_certificate(key, certificate)
    main = f"""
compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {FOLDER / name / "log"}
maillog_file_prefixes = {FOLDER}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.test
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8
relayhost = {relay}
smtputf8_enable = yes
message_size_limit = 50000000
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_discard_ehlo_keywords =
smtpd_forbid_bare_newline = yes
"""
    (etc / "main.cf").write_text(main + "\n".join(lines) + "\n")
    master = f"""
127.0.0.1:{number} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
pickup unix n - n 60 1 pickup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
"""
    (etc / "master.cf").write_text(master)
    control = ["postfix", "-c", etc]
    done = subprocess.run([*control, "start"], capture_output=True, text=True)
    log = FOLDER / name / "log"
    assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
    try:
        reachable(number, "Postfix")
        yield number, etc
    except BaseException:
        print(log.read_text()[-4000:])
        raise
    finally:
        subprocess.run([*control, "stop"], capture_output=True)


def held(etc, at_least):
    """The messages that Postfix holds, as it stored them."""
    for _ in range(100):
        listed = subprocess.run(["postqueue", "-c", etc, "-j"], capture_output=True, text=True).stdout
        found = [json.loads(line) for line in listed.splitlines()]
        if len(found) >= at_least:
            cat = [["postcat", "-c", etc, "-q", "-bh", entry["queue_id"]] for entry in found]
            return [subprocess.run(c, capture_output=True, check=True).stdout for c in cat]
        time.sleep(0.1)
    raise SystemExit(f"Postfix has {len(found)} of {at_least} messages")


def postfix_as_server():
    lines = ["smtpd_recipient_restrictions = static:HOLD, permit_mynetworks, reject", "smtpd_client_restrictions = static:HOLD"]
    with postfix("server", lines=lines) as (number, etc):
        certificate = FOLDER / "server" / "cert.pem"
        ways = [
            [],
            ["--no-chunking"],
            ["--no-pipelining"],
            ["--no-pipelining", "--no-chunking"],
            ["--tls", "starttls", "--ca", certificate],
            ["--notify", "success,failure", "--ret", "full", "--envid", "id=1"],
        ]
        for n, way in enumerate(ways, 1):
            said = send(number, *way, to=["bob@b.test", "jürgen@b.test"])
            assert said.count("delivered: 250 2.0.0 Ok: ") == 2, said
            assert all("\nüber acht Bit\n".encode() in text for text in held(etc, n))
        assert all(b"\n.dot at the start\n" in text for text in held(etc, len(ways)))
        body = large(20)
        for way in ([], ["--no-chunking"]):
            send(number, *way, message=body)
        assert max(len(text) for text in held(etc, len(ways) + 2)) > 20_000_000
        said = send(number, message=large(60), status=69)
        assert "SIZE" in said, said


def postfix_as_client():
    for name, options, tls in [
        ("chunking", [], "encrypt"),
        ("plain", ["--without", "starttls"], "none"),
        ("bare", ["--without", "chunking", "--without", "pipelining"], "may"),
    ]:
        with Sink(*options) as sink:
            lines = [f"smtp_tls_security_level = {tls}", "smtp_tls_loglevel = 1"]
            with postfix(f"client-{name}", f"[127.0.0.1]:{sink.port}", lines) as (number, _):
                send(number, "--notify", "success,failure", "--envid", "x y", to=["bob@b.test", "jürgen@b.test"])
                mail = sink.mail()
                assert mail["data"].endswith("\r\n.dot at the start\r\nüber acht Bit\r\n"), mail
                assert mail["mail"].startswith("<alice@a.test> SIZE=") and "SMTPUTF8" in mail["mail"], mail
                assert "ENVID=x+20y" in mail["mail"] and "BODY=8BITMIME" in mail["mail"], mail
                assert len(mail["rcpt"]) == 2 and all("NOTIFY=SUCCESS,FAILURE" in r for r in mail["rcpt"]), mail
                assert mail["with"] == ("UTF8SMTP" if tls == "none" else "UTF8SMTPS"), mail
                send(number, message=large(5))
                assert sink.mail()["size"] > 5_000_000


def postfix_tools():
    if not (shutil.which("smtp-source") and shutil.which("smtp-sink")):
        return skip("smtp-source")
    with Sink() as sink:
        command = ["smtp-source", "-s", "5", "-m", "200", "-l", "4096", "-f", "a@a.test", "-t", "b@b.test"]
        for more in ([], ["-d"], ["-r", "3"], ["-N"]):
            subprocess.run([*command, *more, f"127.0.0.1:{sink.port}"], check=True, timeout=60)
            assert all(sink.mail()["size"] >= 4096 for _ in range(200))
    with Sink("--lmtp") as sink:
        subprocess.run([*command, "-L", f"127.0.0.1:{sink.port}"], check=True, timeout=60)
        assert sink.mail()["with"] == "LMTP"
    for more, lmtp in ([], []), (["-L"], ["--lmtp"]), (["-8", "-p"], []), (["-e"], []):
        number = port()
        sink = subprocess.Popen(["smtp-sink", *(["-u", "nobody"] if os.geteuid() == 0 else []), *more, f"127.0.0.1:{number}", "100"])
        try:
            reachable(number, "smtp-sink")
            ascii_mail = "Subject: plain\n\n.dot\n"
            send(number, *lmtp, message=ascii_mail, to=["bob@b.test", "carol@c.test"])
        finally:
            sink.kill()
            sink.wait()


# --- Exim ----------------------------------------------------------------------------------------------------------


def exim_as_server():
    unpacked = pathlib.Path(os.environ.get("EXIM", "/nowhere")) / "usr/sbin/exim4"
    program = shutil.which("exim4") or (str(unpacked) if unpacked.exists() else None)
    if program is None:
        return skip("Exim (unpack exim4-daemon-light, and name the folder in EXIM)")
    home = FOLDER / "exim"
    (home / "spool").mkdir(parents=True)
    number = port()
    make_certificate(home / "key", home / "cert")
    (home / "conf").write_text(f"""
queue_only
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {home}/spool
log_file_path = {home}/log-%s
pid_file_path = {home}/pid
primary_hostname = exim.test
daemon_smtp_ports = {number}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {home}/cert
tls_privatekey = {home}/key
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
message_size_limit = 50M
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
never_users =
begin acl
rcpt:
  deny local_parts = nobody
       message = no such person
  accept
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  file = /dev/null
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and {{{{eq{{$auth2}}{{alice}}}}{{eq{{$auth3}}{{secret}}}}}}}}
  server_set_id = $auth2
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = secret
  server_set_id = $auth1
""")
    user = "Debian-exim:x:9900:9900::/nonexistent:/usr/sbin/nologin\n"
    (home / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + user)
    (home / "group").write_text(pathlib.Path("/etc/group").read_text() + "Debian-exim:x:9900:\n")
    for path in (home, home / "spool"):
        os.chown(path, 9900, 9900)
    os.chown(home / "key", 9900, 9900)
    script = f"mount --bind {home}/passwd /etc/passwd && mount --bind {home}/group /etc/group && "
    script += f"exec {program} -C {home}/conf -bdf"
    exim = subprocess.Popen(["unshare", "-m", "sh", "-c", script])
    try:
        reachable(number, "Exim")
        tls = ["--tls", "starttls", "--ca", home / "cert"]
        ways = [
            [],
            ["--no-chunking"],
            ["--no-pipelining"],
            tls,
            [*tls, "--user", "alice"],
            [*tls, "--user", "alice", "--mechanism", "PLAIN"],
            ["--notify", "success,failure,delay", "--ret", "headers", "--envid", "e"],
        ]
        for way in ways:
            said = send(number, *way, to=["bob@b.test", "jürgen@b.test"])
            assert said.count("250 OK id=") == 2, said
        said = send(number, to=["bob@b.test", "nobody@b.test"], status=69)
        assert "bob@b.test: delivered" in said and "nobody@b.test: failed (5.0.0): refused at RCPT: 550" in said, said
        for way in ([], ["--no-chunking"]):
            send(number, *way, message=large(20))
        want = len(ways) + 3
        for _ in range(200):
            files = list((home / "spool").rglob("*-D"))
            if len(files) >= want:
                break
            time.sleep(0.1)
        texts = [f.read_bytes() for f in files]
        assert sum("\n.dot at the start\nüber acht Bit\n".encode() in text for text in texts) >= len(ways) + 1, len(texts)
        assert sum(len(text) > 20_000_000 and b"\n..dots\n" in text for text in texts) == 2
    except BaseException:
        for log in home.glob("log-*"):
            print(log.read_text()[-3000:])
        raise
    finally:
        exim.terminate()
        exim.wait()


# --- OpenSMTPD -----------------------------------------------------------------------------------------------------


def opensmtpd_as_server():
    """It takes mail from the client engine, and carries it on to the server engine.

    Without TLS: that of the package of Debian 12 fails with every client, `openssl s_client` included.
    """
    unpacked = pathlib.Path(os.environ.get("OPENSMTPD", "/nowhere")) / "usr/sbin/smtpd"
    installed = "/usr/sbin/smtpd" if pathlib.Path("/usr/libexec/opensmtpd").exists() else None
    program = installed or (str(unpacked) if unpacked.exists() else None)
    if program is None:
        return skip("OpenSMTPD (unpack opensmtpd, and name the folder in OPENSMTPD)")
    home = FOLDER / "opensmtpd"
    home.mkdir()
    number = port()
    users = "".join(f"opensmtp{letter}:x:{n}:{n}::/nonexistent:/usr/sbin/nologin\n" for letter, n in (("d", 9901), ("q", 9902)))
    (home / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + users)
    (home / "group").write_text(pathlib.Path("/etc/group").read_text() + "opensmtpd:x:9901:\nopensmtpq:x:9902:\n")
    with Sink() as sink:
        (home / "conf").write_text(f"""
smtp max-message-size "50M"
listen on 127.0.0.1 port {number} hostname opensmtpd.test
action "out" relay host "smtp://127.0.0.1:{sink.port}"
match from any for domain "b.test" action "out"
""")
        # Its folders are fixed: they are there in a namespace of its own alone.
        script = f"""
mount --bind {home}/passwd /etc/passwd && mount --bind {home}/group /etc/group &&
mount -t tmpfs none /var/spool && mkdir -p -m 711 /var/spool/smtpd && cd /var/spool/smtpd &&
mkdir -m 770 offline && mkdir -m 700 purge queue && chown root:opensmtpq offline && chown opensmtpq purge queue &&
mount -t tmpfs none /var/lib && mkdir -p /var/lib/opensmtpd/empty && mount -t tmpfs none /run &&
exec {program} -d -f {home}/conf
"""
        log = (home / "log").open("w")
        opensmtpd = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=log, stderr=log)
        try:
            reachable(number, "OpenSMTPD")
            text = "Subject: plain\n\n.dot at the start\nüber acht Bit\n"
            for way in (
                [],
                ["--no-pipelining"],
                ["--no-chunking"],
                ["--notify", "success,failure,delay", "--ret", "headers", "--envid", "e"],
            ):
                said = send(number, *way, message=text, to=["bob@b.test", "carol@b.test"])
                assert said.count("delivered: 250 2.0.0") == 2, said
                mail = sink.mail()
                assert mail["data"].endswith("\r\n.dot at the start\r\nüber acht Bit\r\n"), mail
                assert sorted(rcpt.split(" ")[0] for rcpt in mail["rcpt"]) == ["<bob@b.test>", "<carol@b.test>"], mail
            # It knows no SMTPUTF8: the address cannot be carried, and nothing is tried.
            said = send(number, to=["jürgen@b.test"], status=69)
            assert "SMTPUTF8" in said, said
            said = send(number, message=text, to=["bob@b.test", "dave@elsewhere.test"], status=69)
            assert "bob@b.test: delivered" in said and "dave@elsewhere.test: failed (5.0.0): refused at RCPT: 550" in said, said
            assert sink.mail()["rcpt"] == ["<bob@b.test>"]
            send(number, message=large(20))
            assert sink.mail()["size"] > 20_000_000
            said = send(number, message=large(60), status=69)
            assert "SIZE" in said, said
        except BaseException:
            print((home / "log").read_text()[-3000:])
            raise
        finally:
            opensmtpd.terminate()
            opensmtpd.wait()


# --- aiosmtplib ----------------------------------------------------------------------------------------------------


def aiosmtplib_as_client():
    import ssl

    import aiosmtplib

    async def session(sink):
        context = ssl.create_default_context(cafile=sink.pem)
        client = aiosmtplib.SMTP(hostname="localhost", port=sink.port, start_tls=True, tls_context=context)
        await client.connect()
        await client.login("alice", "secret")
        refused, said = await client.sendmail(
            "alice@a.test", ["bob@b.test", "jürgen@b.test"], UTF8.encode(), mail_options=["SMTPUTF8", "BODY=8BITMIME"]
        )
        assert refused == {} and "accepted" in said, (refused, said)
        await client.sendmail("", ["bob@b.test"], large(2))
        await client.vrfy("bob@b.test")
        await client.quit()

    with Sink() as sink:
        asyncio.run(session(sink))
        mail = sink.mail()
        assert mail["user"] == "alice" and mail["data"] == UTF8.replace("\n", "\r\n") and mail["with"] == "UTF8SMTPSA", mail
        assert sink.mail()["size"] == len(large(2))


def skip(what):
    if any(name in what.lower() for name in REQUIRED):
        raise SystemExit(f"{what} is not installed, and it is required")
    print(f"SKIPPED: {what} is not installed")


def have_postfix():
    return shutil.which("postfix") and shutil.which("openssl") and os.geteuid() == 0


def main():
    chosen = sys.argv[3:]
    for what, there, run in [
        ("Postfix as server", have_postfix, postfix_as_server),
        ("Postfix as client", have_postfix, postfix_as_client),
        ("Postfix' smtp-source and smtp-sink", have_postfix, postfix_tools),
        ("Exim as server", lambda: os.geteuid() == 0 and shutil.which("openssl"), exim_as_server),
        ("OpenSMTPD as server", lambda: os.geteuid() == 0, opensmtpd_as_server),
        ("aiosmtplib as client", lambda: importlib.util.find_spec("aiosmtplib"), aiosmtplib_as_client),
    ]:
        if chosen and not any(name.lower() in what.lower() for name in chosen):
            continue
        if not there():
            skip(what)
            continue
        started = time.monotonic()
        run()
        print(f"{what}: {time.monotonic() - started:.1f} s")
    print("all as expected")


try:
    main()
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
