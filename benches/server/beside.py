#!/usr/bin/env python3
"""The whole server beside Debian's Postfix and Dovecot: the same work, on the same disk, in the same minutes.

    cargo build --release && benches/server/beside.py [--rounds 5] [--data FOLDER]

Needs root, Debian's postfix, dovecot-imapd and dovecot-lmtpd, and rustc for the clients. All of them run as they do by
default, with their syncs on, in throw-away folders below --data; nothing of the system is changed. The servers take turns,
so that what else the machine does meets all of them. A figure is the median of the rounds.

- SMTP: `smtp-source` with 20 sessions; a message is done when it is in the mailbox. Beside Postfix's own virtual(8).
- LMTP: `smtp-source` with 1 and 10 connections. Beside Dovecot.
- IMAP: ten clients that log in, select, fetch, store, append, expunge and log out; logins alone; messages of 10 MB.
  Dovecot checks no password; Mailwright checks argon2id hashes as it always does.
- IDLE: how long an append takes to reach another session while 1,000 idle ones listen as well.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import Dovecot, Imap, Mailwright, Postfix, all_files, load_generator

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to measure")
parser.add_argument("--data", default=".", help="where to put the throw-away folders")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--messages", type=int, default=5000, help="messages over SMTP in a round")
parser.add_argument("--deliveries", type=int, default=2000, help="messages over LMTP in a round")
parser.add_argument("--idle", type=int, default=1000, help="sessions that idle while wake-ups are measured")
parser.add_argument("--wakes", type=int, default=200, help="wake-ups in a round")
parser.add_argument("--only", help="smtp, lmtp, imap or idle")
args = parser.parse_args()

for program in ("postfix", "dovecot", "smtp-source", "rustc"):
    if not shutil.which(program):
        sys.exit(f"{program} is not installed: nothing to compare with")

USERS = [f"user{n}@localhost" for n in range(10)]
RESULTS = {}


def note(what, unit, server, value, less_is_better=False):
    RESULTS.setdefault((what, unit, less_is_better), {}).setdefault(server.name, []).append(value)


def source(port, users, connections, count, lmtp=False):
    """Runs `smtp-source`, for each of the users one; returns the seconds."""
    begun, each = time.monotonic(), max(1, connections // len(users))
    running = []
    for user in users:
        command = ["smtp-source", *(["-L"] if lmtp else []), "-d", "-s", str(each), "-m", str(count // len(users))]
        command += ["-l", "4096", "-f", "sender@elsewhere.example", "-t", user, f"127.0.0.1:{port}"]
        running.append(subprocess.Popen(command))
    for process in running:
        assert process.wait() == 0, "smtp-source failed"
    return time.monotonic() - begun


def smtp(ours, postfix):
    reader = Imap(ours.imap, USERS[0])
    for server, arrived in ((ours, reader.exists), (postfix, postfix.delivered)):
        before, spent, begun = arrived(), server.cpu(), time.monotonic()
        taken = source(server.smtp, USERS[:1], 20, args.messages)
        while arrived() - before < args.messages:
            assert time.monotonic() - begun < 300, f"{server.name}: {arrived() - before} came"
            time.sleep(0.02)
        took = time.monotonic() - begun
        note("SMTP, 20 sessions, 4 KiB, accepted", "/s", server, args.messages / taken)
        note("SMTP, 20 sessions, 4 KiB, in the mailbox", "/s", server, args.messages / took)
        note("CPU of a message over SMTP", "ms", server, 1000 * (server.cpu() - spent) / args.messages, True)
    reader.run("SELECT INBOX")
    reader.run("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    reader.run("EXPUNGE")


def lmtp(server):
    for connections, users in ((1, USERS[1:2]), (10, USERS[1:2]), (10, USERS)):
        spent = server.cpu()
        took = source(server.lmtp, users, connections, args.deliveries, lmtp=True)
        what = f"LMTP, {connections} connections, {len(users)} mailboxes"
        note(what, "/s", server, args.deliveries / took)
        note(f"CPU of a message, {what}", "ms", server, 1000 * (server.cpu() - spent) / args.deliveries, True)


def imap(server, load):
    for kind, clients, rounds in (("mix", 10, 20), ("logins", 10, 50), ("large", 2, 3)):
        # Each client has a mailbox of its own, and never less than 100 messages in it.
        spent = server.cpu()
        command = [load, kind, f"127.0.0.1:{server.imap}", "secret", str(clients), str(rounds), *USERS]
        shown = subprocess.run(command, check=True, text=True, capture_output=True).stdout
        rate, median, most = map(float, shown.split())
        used = 1000 * (server.cpu() - spent) / (clients * rounds)
        what = {"mix": "IMAP session of ten commands", "logins": "IMAP login and logout", "large": "10 MB in and out"}[kind]
        note(f"{what}, {clients} clients", "/s", server, rate)
        note(f"{what}, 99th percentile", "ms", server, most, True)
        note(f"CPU of: {what}", "ms", server, used, True)


def idle(server):
    listening = [Imap(server.imap, USERS[n % 10]) for n in range(args.idle)]
    for session in listening:
        session.run("SELECT INBOX")
        session.idle()
    waiting, writing = listening[0], Imap(server.imap, USERS[0])
    letter, times = b"Subject: wake up\r\n\r\nHello\r\n", []
    for _ in range(args.wakes if server.name == "Mailwright" else args.wakes // 10):
        # What was told before is of no interest; Dovecot gathers for a while what it tells.
        time.sleep(0.01 if server.name == "Mailwright" else 0.6)
        waiting.socket.setblocking(False)
        try:
            waiting.socket.recv(1 << 16)
        except BlockingIOError:
            pass
        waiting.socket.settimeout(60)
        waiting.rest = b""
        writing.run("APPEND INBOX", letter)
        done = time.monotonic()
        waiting.until(b"* ")
        times.append(time.monotonic() - done)
    times.sort()
    for name, at in (("median", 0.5), ("99th percentile", 0.99)):
        took = times[min(len(times) - 1, int(at * len(times)))]
        note(f"IDLE wake-up among {args.idle}, {name}", "ms", server, 1000 * took, True)
    for session in listening + [writing]:
        session.socket.close()


def fill(server):
    """100 messages and some in each mailbox, for what the clients of the mix fetch."""
    for user in USERS:
        session = Imap(server.imap, user)
        body = b"Subject: filler\r\n\r\n" + b"A line that is in the mailbox from the start.\r\n" * 80
        for _ in range(120):
            session.run("APPEND INBOX", body)
        session.socket.close()


def main():
    all_files()
    folder = Path(tempfile.mkdtemp(prefix="mailwright-beside-", dir=args.data)).resolve()
    folder.chmod(0o755)
    servers = []
    wanted = lambda what: args.only in (None, what)
    try:
        load = load_generator(folder)
        servers.append(ours := Mailwright(Path(args.server).resolve(), folder / "ours", USERS))
        servers.append(dovecot := Dovecot(folder / "dovecot"))
        servers.append(postfix := Postfix(folder / "postfix", USERS))
        for server in (ours, dovecot):
            fill(server)
        for number in range(args.rounds):
            print(f"round {number + 1}", file=sys.stderr, flush=True)
            if wanted("smtp"):
                smtp(ours, postfix)
            for server in (ours, dovecot):
                if wanted("lmtp"):
                    lmtp(server)
            for server in (ours, dovecot):
                if wanted("imap"):
                    imap(server, load)
            for server in (ours, dovecot):
                if wanted("idle"):
                    idle(server)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'median of ' + str(args.rounds) + ' rounds':58}{'Mailwright':>12}{'peer':>12}{'ahead':>8}")
    for (what, unit, less), by in RESULTS.items():
        (_, ours), (peer, theirs) = ((name, statistics.median(values)) for name, values in by.items())
        ratio = theirs / ours if less else ours / theirs
        print(f"{what:54}{unit:>4}{ours:12.2f}{theirs:12.2f}{ratio:7.1f}x  {peer}")


main()
