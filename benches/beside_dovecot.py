#!/usr/bin/env python3
"""Mailwright and Debian's Dovecot side by side: the same work, on the same disk, in the same minutes.

    cargo build --release && benches/beside_dovecot.py [--messages 10000] [--rounds 3] [--format maildir]

Needs `dovecot` with IMAP and LMTP and `smtp-source` (Debian: dovecot-imapd dovecot-lmtpd postfix), and root, as Dovecot
does. Both servers run in
throw-away folders below --data, so put that on the disk that is to be measured. Everything is what each does by default,
with its syncs on. A figure is the median of the rounds; the last column says how many times as fast Mailwright is.
"""

import argparse
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to measure")
parser.add_argument("--data", default=".", help="where to put the throw-away folders")
parser.add_argument("--messages", type=int, default=10_000, help="messages in the mailbox")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--deliveries", type=int, default=1000, help="messages delivered over LMTP in a round")
parser.add_argument("--wakes", type=int, default=30, help="deliveries to a client that idles, in a round")
parser.add_argument("--idle", type=int, default=100, help="idle connections")
parser.add_argument("--format", default="maildir", choices=["maildir", "sdbox", "mdbox"], help="Dovecot's mail format")
parser.add_argument("--port-offset", type=int, default=11_000)
args = parser.parse_args()

for program in ("dovecot", "smtp-source"):
    if not shutil.which(program):
        sys.exit(f"{program} is not installed: nothing to compare with")

USERS = [f"user{n}@localhost" for n in range(10)]
OWNER = USERS[0]


def message(number):
    """About 4 KiB of text; the mailbox is never the same twice."""
    words = " ".join(f"word{(number * 31 + n * 7) % 5000}" for n in range(7))
    lines = "\r\n".join(f"{n:03} {words}" for n in range(60))
    needle = "edlexyz7777 in the middle" if number == 4321 else "hay"
    return (
        f"From: Sender {number % 97} <sender{number % 97}@elsewhere.example>\r\nTo: {OWNER}\r\n"
        f"Subject: Report {number} on things\r\nMessage-ID: <{number}.{time.time_ns()}@elsewhere.example>\r\n"
        f"Date: Mon, 23 Nov 2026 10:{number // 60 % 60:02}:{number % 60:02} +0000\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nne{needle}\r\n{lines}\r\n"
    ).encode()


class Imap:
    """The least of a client: what it costs must not hide what the server costs."""

    def __init__(self, port, user=OWNER):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tag, self.rest = 0, b""
        self.until(b"* OK")
        self.run(f"LOGIN {user} secret")

    def until(self, mark):
        """Reads up to a line that begins with the mark; returns the end of what was read."""
        tail = b"\r\n" + self.rest
        while True:
            at = tail.find(b"\r\n" + mark)
            end = tail.find(b"\r\n", at + 2) if at >= 0 else -1
            if end >= 0:
                self.rest = tail[end + 2 :]
                return tail[:end]
            piece = self.socket.recv(1 << 20)
            assert piece, f"closed after {tail[-300:]!r}"
            tail = tail[-65536:] + piece

    def run(self, command, literals=()):
        self.tag += 1
        tag = b"t%d" % self.tag
        data = tag + b" " + command.encode()
        for literal in literals:
            data += b" {%d+}\r\n" % len(literal) + literal
        self.socket.sendall(data + b"\r\n")
        answer = self.until(tag + b" ")
        status = answer[answer.rfind(b"\r\n") + 2 :]
        assert status.startswith(tag + b" OK"), f"{command}: {status!r}"
        return answer

    def timed(self, command):
        started = time.monotonic()
        self.run(command)
        return time.monotonic() - started


def deliver(server, connections, users, count):
    """Seconds for each message, by Postfix's `smtp-source`: a client in Python would be what is measured."""
    each = connections // len(users)
    sources = []
    started = time.monotonic()
    for user in users:
        command = ["smtp-source", "-L", "-d", "-s", str(each), "-m", str(count // len(users)), "-l", "4096"]
        command += ["-f", "sender@elsewhere.example", "-t", user, f"127.0.0.1:{server.lmtp}"]
        sources.append(subprocess.Popen(command))
    for source in sources:
        assert source.wait() == 0, "smtp-source failed"
    return (time.monotonic() - started) / count


class Server:
    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, env={**os.environ, "RUST_LOG": "warn"})
        for port in (self.imap, self.lmtp):
            for _ in range(400):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def processes(self):
        parents = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents[int(pid)] = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
        tree = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
            tree |= more
        return tree

    def memory(self):
        """What all its processes hold, shared pages counted by their share, in KiB."""
        total = 0
        for pid in self.processes():
            try:
                total += int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
            except (OSError, TypeError):
                pass
        return total


class Mailwright(Server):
    def __init__(self, folder):
        self.imap, self.lmtp = args.port_offset + 2143, args.port_offset + 2024
        self.command = [args.server, "localserve", "--data", os.path.join(folder, "mail")]
        self.command += ["--port-offset", str(args.port_offset)]
        for user in USERS:
            self.command += ["--account", f"{user}:secret"]
        self.log = open(os.path.join(folder, "log"), "w")
        self.start()


class Dovecot(Server):
    def __init__(self, folder):
        self.imap, self.lmtp = args.port_offset + 3143, args.port_offset + 3024
        os.chmod(folder, 0o755)
        os.mkdir(os.path.join(folder, "mail"))
        os.chown(os.path.join(folder, "mail"), 65534, 65534)
        config = os.path.join(folder, "dovecot.conf")
        with open(config, "w") as file:
            file.write(
                f"""
base_dir = {folder}/run
state_dir = {folder}/state
protocols = imap lmtp
listen = 127.0.0.1
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
mail_location = {args.format}:{folder}/mail/%u
mail_max_userip_connections = 10000
first_valid_uid = 1
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {self.imap}
  }}
}}
service imap {{
  process_limit = 10000
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.lmtp}
  }}
}}
"""
            )
        self.command = ["dovecot", "-F", "-c", config]
        self.log = open(os.path.join(folder, "log"), "w")
        self.start()


def wake_up(server):
    """Seconds from the end of a delivery to the moment at which an idling client hears of it."""
    waiting = Imap(server.imap)
    waiting.run("SELECT INBOX")
    waiting.socket.sendall(b"i IDLE\r\n")
    waiting.until(b"+")
    times = []
    for _ in range(args.wakes):
        # Dovecot waits for more to tell at once: it is left time to become quiet.
        time.sleep(0.3)
        # What else was told of the message before.
        waiting.socket.setblocking(False)
        try:
            waiting.socket.recv(65536)
        except BlockingIOError:
            pass
        waiting.socket.setblocking(True)
        waiting.rest = b""
        deliver(server, 1, USERS[:1], 1)
        delivered = time.monotonic()
        waiting.until(b"* ")
        times.append(max(time.monotonic() - delivered, 1e-6))
    waiting.socket.close()
    return times


def idle_memory(server):
    def idle():
        session = Imap(server.imap, USERS[1])
        session.run("SELECT INBOX")
        session.socket.sendall(b"i IDLE\r\n")
        session.until(b"+")
        return session

    settled = [idle() for _ in range(20)]
    time.sleep(1)
    before = server.memory()
    sessions = [idle() for _ in range(args.idle)]
    time.sleep(1)
    each = (server.memory() - before) / args.idle
    for session in settled + sessions:
        session.socket.close()
    return each


def fill(server):
    session, at = Imap(server.imap), 0
    while at < args.messages:
        data = b""
        count = min(50, args.messages - at)
        for n in range(at, at + count):
            body = message(n)
            data += b"a%d APPEND INBOX {%d+}\r\n" % (n, len(body)) + body + b"\r\n"
        session.socket.sendall(data)
        for n in range(at, at + count):
            session.until(b"a%d OK" % n)
        at += count


RESULTS = {}


def note(what, unit, server, value):
    RESULTS.setdefault((what, unit), {}).setdefault(type(server).__name__, []).append(value)


def mailbox_round(server, cold):
    """What a client does with a mailbox; `cold`: the first time after it was filled and the server restarted."""
    first = "first " if cold else ""
    session = Imap(server.imap)
    n = args.messages

    def time_of(what, command):
        note(what, "ms", server, 1000 * session.timed(command))

    time_of(f"{first}SELECT of {n}", "SELECT INBOX")
    time_of(f"{first}FETCH 1:{n} (FLAGS UID ENVELOPE)", f"FETCH 1:{n} (FLAGS UID ENVELOPE)")
    if cold:
        return
    time_of(f"FETCH 1:{n} (FLAGS UID)", f"FETCH 1:{n} (FLAGS UID)")
    time_of("FETCH 1:2000 BODY.PEEK[]", f"FETCH 1:{min(n, 2000)} BODY.PEEK[]")
    time_of("SEARCH TEXT, in one of them", 'SEARCH TEXT "dlexyz777"')
    time_of("SEARCH SUBJECT", 'SEARCH SUBJECT "report 77"')
    few = n * 99 // 100
    time_of(f"STORE of {few} flags", f"STORE 1:{few} +FLAGS.SILENT (\\Flagged)")
    session.run(f"STORE 1:{few} -FLAGS.SILENT (\\Flagged)")
    session.run("CREATE Copies")
    time_of("COPY of 2000", f"COPY 1:{min(n, 2000)} Copies")
    session.run("DELETE Copies")


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = tempfile.mkdtemp(prefix="mailwright-beside-", dir=args.data)
    os.chmod(folder, 0o755)
    servers = []
    try:
        for kind in (Mailwright, Dovecot):
            own = os.path.join(folder, kind.__name__)
            os.mkdir(own)
            servers.append(kind(own))
        for server in servers:
            fill(server)
            server.stop()
            server.start()
            mailbox_round(server, True)
        for _ in range(args.rounds):
            for server in servers:
                mailbox_round(server, False)
            for connections, users in ((1, USERS[1:2]), (10, USERS[1:2]), (10, USERS)):
                what = f"LMTP delivery, {connections} connections, {len(users)} users"
                for server in servers:
                    note(what, "ms", server, 1000 * deliver(server, connections, users, args.deliveries))
            for server in servers:
                times = sorted(wake_up(server))
                for name, at in (("median", 0.5), ("90th percentile", 0.9), ("99th percentile", 0.99)):
                    took = times[min(len(times) - 1, int(at * len(times)))]
                    note(f"IDLE wake-up after a delivery, {name}", "ms", server, 1000 * took)
        for server in servers:
            # What a load leaves behind would hide what connections take.
            server.stop()
            server.start()
            note("an idle connection", "KiB", server, idle_memory(server))
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder)
    print(f"{'':52}{'Mailwright':>12}{'Dovecot':>12}{'ratio':>9}   (Dovecot: {args.format})")
    for (what, unit), by in RESULTS.items():
        ours, theirs = (statistics.median(by[name]) for name in ("Mailwright", "Dovecot"))
        print(f"{what:48}{unit:>4}{ours:12.2f}{theirs:12.2f}{theirs / ours:8.1f}x")


main()
