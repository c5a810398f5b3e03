"""Mail to Debian's Postfix and from it: STARTTLS, 8-bit, SMTPUTF8, DSN parameters, and the reports they ask for.

Runs as root with the server's binary as its argument. Postfix runs from folders of its own, on ports of its own; nothing
of the system is changed.
"""

import contextlib
import email
import email.policy
import imaplib
import json
import os
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BINARY = sys.argv[1]
FOLDER = Path(tempfile.mkdtemp(prefix="mailwright-postfix-"))
FOLDER.chmod(0o755)
TEXT = "From: alice@a.test\r\nTo: bob@b.test\r\nSubject: Grüße\r\n\r\n.dot at the start\r\nüber acht Bit\r\n"


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def eventually(what, probe, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := probe():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"never happened: {what}")


def answers(number):
    try:
        with socket.create_connection(("127.0.0.1", number), 1) as s:
            s.settimeout(5)
            return s.recv(100)
    except OSError:
        return b""


@contextlib.contextmanager
def postfix(name, *lines):
    """An instance of its own; yields the port of its smtpd, its configuration and its log."""
    etc, spool, data = (FOLDER / name / sub for sub in ("etc", "spool", "data"))
    for path in (etc, spool, data):
        path.mkdir(parents=True)
    shutil.chown(data, "postfix")
    number, log = port(), FOLDER / name / "log"
    key, certificate = FOLDER / name / "key.pem", FOLDER / name / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    settings = {
        "compatibility_level": "3.6", "queue_directory": spool, "data_directory": data,
        "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin",
        "maillog_file": log, "maillog_file_prefixes": FOLDER, "mail_owner": "postfix", "setgid_group": "postdrop",
        "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "myhostname": "postfix.test", "mydestination": "",
        "local_recipient_maps": "", "alias_maps": "", "mynetworks": "127.0.0.0/8", "smtputf8_enable": "yes",
        "smtpd_tls_cert_file": certificate, "smtpd_tls_key_file": key, "smtpd_tls_security_level": "may",
    }
    (etc / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()) + "\n".join(lines) + "\n")
    services = [
        (f"127.0.0.1:{number}", "inet", "n", "-", "smtpd"), ("postlog", "unix-dgram", "n", "1", "postlogd"),
        ("cleanup", "unix", "n", "0", "cleanup"), ("qmgr", "unix", "n", "1", "qmgr"),
        ("pickup", "unix", "n", "1", "pickup"), ("rewrite", "unix", "-", "-", "trivial-rewrite"),
        ("bounce", "unix", "-", "0", "bounce"), ("defer", "unix", "-", "0", "bounce"),
        ("trace", "unix", "-", "0", "bounce"), ("smtp", "unix", "-", "-", "smtp"), ("relay", "unix", "-", "-", "smtp"),
        ("error", "unix", "-", "-", "error"), ("retry", "unix", "-", "-", "error"), ("anvil", "unix", "-", "1", "anvil"),
        ("scache", "unix", "-", "1", "scache"), ("tlsmgr", "unix", "-", "1", "tlsmgr"),
        ("proxymap", "unix", "-", "-", "proxymap"), ("showq", "unix", "n", "-", "showq"),
        ("flush", "unix", "n", "0", "flush"),
    ]
    wakes = {"qmgr": "300", "pickup": "60"}
    (etc / "master.cf").write_text("".join(
        f"{at} {kind} {private} - n {wakes.get(at, '-')} {most} {what}\n" for at, kind, private, most, what in services))
    control = ["postfix", "-c", str(etc)]
    started = subprocess.run([*control, "start"], capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
    try:
        eventually("Postfix answers", lambda: answers(number))
        yield number, etc, log
    except BaseException:
        print(log.read_text()[-4000:])
        raise
    finally:
        subprocess.run([*control, "stop"], capture_output=True)


@contextlib.contextmanager
def mailwright(to):
    """A server for a.test whose mail for b.test goes to a port; yields the ports of its listeners."""
    ports = {name: port() for name in ("smtp", "submission", "imap")}
    text = ('hostname = "mail.a.test"\ndomains = ["a.test"]\ndata = "data"\nplaintext_login = "loopback"\n'
            f'[outbound.routes]\n"b.test" = "127.0.0.1:{to}"\n[queue]\nretry = ["1s"]\n')
    for name, number in ports.items():
        text += f'[[listener]]\nname = "{name}"\naddress = "127.0.0.1:{number}"\nprotocol = "{name}"\n'
    folder = FOLDER / f"mailwright-{to}"
    folder.mkdir()
    config = folder / "mailwright.toml"
    config.write_text(text)
    add = [BINARY, "account", "add", "alice@a.test", "--config", config]
    subprocess.run(add, input=b"wonder land\n", check=True, capture_output=True)
    server = subprocess.Popen([BINARY, "serve", "--config", config], stderr=open(folder / "log", "w"))
    try:
        eventually("the server answers", lambda: answers(ports["smtp"]))
        yield ports
    except BaseException:
        print((folder / "log").read_text()[-4000:])
        raise
    finally:
        server.terminate()
        server.wait()


def held(etc, at_least):
    """The messages that Postfix holds: envelope and text of each."""
    def look():
        listed = subprocess.run(["postqueue", "-c", etc, "-j"], capture_output=True, text=True).stdout
        found = [json.loads(line)["queue_id"] for line in listed.splitlines()]
        return found if len(found) >= at_least else None

    cat = lambda what, entry: subprocess.run(["postcat", "-c", etc, "-q", what, entry], capture_output=True, check=True).stdout
    return [(cat("-e", entry).decode(), cat("-bh", entry)) for entry in eventually("Postfix has it", look)]


def inbox(ports, at_least):
    """Alice's messages."""
    def look():
        with imaplib.IMAP4("127.0.0.1", ports["imap"]) as client:
            client.login("alice@a.test", "wonder land")
            client.select("INBOX")
            _, found = client.search(None, "ALL")
            numbers = found[0].split()
            if len(numbers) >= at_least:
                return [client.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers]

    return eventually("Alice has it", look)


def to_postfix():
    with postfix("holds", "smtpd_recipient_restrictions = static:HOLD, permit_mynetworks, reject",
                 "smtpd_client_restrictions = static:HOLD", "smtpd_tls_loglevel = 1") as (number, etc, log):
        with mailwright(number) as ports:
            with smtplib.SMTP("127.0.0.1", ports["submission"]) as client:
                client.ehlo()
                client.login("alice@a.test", "wonder land")
                options = ["SMTPUTF8", "BODY=8BITMIME", "ENVID=x+20y", "RET=HDRS"]
                client.mail("alice@a.test", options)
                assert client.rcpt("bob@b.test", ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Bob@b.test"])[0] == 250
                assert client.rcpt("jürgen@b.test", ["NOTIFY=NEVER"])[0] == 250
                assert client.data(TEXT.encode())[0] == 250
            [(envelope, text)] = held(etc, 1)
            # It may fold what we wrote; the body is as it was.
            assert text.replace(b"\n", b"\r\n").endswith(TEXT.split("\r\n\r\n")[1].encode()), text
            for line in ("envelope_id=x y", "ret_flags=2", "notify_flags=6\nnamed_attribute: dsn_orig_rcpt=rfc822;Bob@b.test",
                         "notify_flags=1", "recipient: jürgen@b.test", "encoding=8bit"):
                assert line in envelope, f"{line} is not in:\n{envelope}"
            assert "TLS connection established from" in log.read_text(), "it was not carried under TLS"
            assert b"with UTF8SMTPS" in text, text


def from_postfix():
    sink = port()
    with mailwright(sink) as ports:
        lines = [f"relayhost = [127.0.0.1]:{ports['smtp']}", "smtp_tls_security_level = encrypt", "smtp_tls_loglevel = 1"]
        with postfix("sends", *lines) as (number, _, log):
            with smtplib.SMTP("127.0.0.1", number) as client:
                client.ehlo()
                client.mail("carol@c.test", ["SMTPUTF8", "BODY=8BITMIME", "ENVID=qq"])
                assert client.rcpt("alice@a.test", ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Alice@a.test"])[0] == 250
                assert client.data(TEXT.encode())[0] == 250
            [message] = inbox(ports, 1)
            assert message.endswith(TEXT.split("\r\n\r\n")[1].encode()), message
            assert b"with UTF8SMTPS" in message, message
            # An address that does not exist: Postfix tells its sender, whom it takes to us.
            with smtplib.SMTP("127.0.0.1", number) as client:
                client.sendmail("alice@a.test", ["nobody@a.test"], "Subject: lost\r\n\r\nx\r\n")
            report = email.message_from_bytes(inbox(ports, 2)[1], policy=email.policy.default)
            assert report.get_content_type() == "multipart/report", report
            assert "5.1.1" in report.as_string(), report
            assert "Verified" in log.read_text() or "Untrusted TLS connection established" in log.read_text()


def bounce_of_ours():
    """What Postfix refuses comes back to Alice, in a form that Python reads."""
    refuses = "smtpd_recipient_restrictions = check_recipient_access static:{550 5.1.1 no such user}, reject"
    with postfix("refuses", refuses) as (number, _, _):
        with mailwright(number) as ports:
            with smtplib.SMTP("127.0.0.1", ports["submission"]) as client:
                client.ehlo()
                client.login("alice@a.test", "wonder land")
                client.mail("alice@a.test", ["BODY=8BITMIME", "ENVID=QQ314159", "RET=HDRS"])
                client.rcpt("bob@b.test", ["ORCPT=rfc822;Bob+40work@b.test"])
                assert client.data(TEXT.encode())[0] == 250
            report = email.message_from_bytes(inbox(ports, 1)[0], policy=email.policy.default)
    assert report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status"
    text, status, original = report.iter_parts()
    whole, recipient = status.get_payload()
    assert whole["Original-Envelope-Id"] == "QQ314159", whole
    assert recipient["Final-Recipient"] == "rfc822; bob@b.test", recipient
    assert recipient["Original-Recipient"] == "rfc822; Bob@work@b.test", recipient
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1"), recipient
    assert "550 5.1.1" in recipient["Diagnostic-Code"], recipient
    assert original.get_content_type() in ("text/rfc822-headers", "message/global-headers"), original.get_content_type()
    assert "Subject: " in original.as_string(), original
    assert not report.defects and not any(part.defects for part in report.walk())


try:
    to_postfix()
    from_postfix()
    bounce_of_ours()
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
print("to Postfix and from it: all is well")
