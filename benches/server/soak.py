#!/usr/bin/env python3
"""Mixed load on the whole server, with everything going wrong by turns, and an account of every message at the end.

    cargo build --release && benches/server/soak.py [--minutes 30] [--seed 1]

Submission, delivery, IMAP and POP3 clients work all the time; another reads the oldest mail of each mailbox, notes what it was and
expunges it, so that mailboxes and disk stay as full as they are. Meanwhile, at random: SIGHUP, SIGKILL, a disk that is full, and a
DNS that does not answer. The data folder is a small file system in memory that is mounted for it (root). At the end:

- every message that was acknowledged, for a local mailbox or for elsewhere, is there or was read, whole (twice is told, and
  allowed where an answer was lost);
- no UID was given twice, and none went back;
- every client was served to the end, in each minute;
- memory is where it was, and so are the live tasks, where the server counts them.

Anything else is an error, and the exit status says so.
"""

import argparse
import os
import poplib
import random
import re
import shutil
import signal
import smtplib
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from peers import Imap, Server, port, reachable

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to try")
parser.add_argument("--minutes", type=float, default=30)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--pause", type=float, default=0, help="seconds that a client rests after each session")
parser.add_argument("--kept", type=int, default=2000, help="messages that are left in a mailbox")
parser.add_argument("--calm", type=float, default=8, help="seconds between two misfortunes, on average")
args = parser.parse_args()
if os.geteuid() != 0:
    sys.exit("only root can mount the small disk")

USERS = [f"user{n}@a.test" for n in range(4)]
FOLDER = Path(tempfile.mkdtemp(prefix="mailwright-soak-")).resolve()
DISK = FOLDER / "disk"
PORTS = {name: port() for name in ("smtp", "submission", "imap", "pop3", "metrics", "dns", "sink")}
stop, lock = threading.Event(), threading.Lock()
accepted = {"local": {}, "away": set(), "append": {}}  # what was acknowledged: marks, by mailbox
gone = set()  # marks of what we expunge
arrived = {}  # marks at the sink, how often
read = {user: {} for user in USERS}  # marks of messages that were read, by UID
acts, problems, highest = {}, [], {}
chance = random.Random(args.seed)


def did(what):
    with lock:
        acts[what] = acts.get(what, 0) + 1


class Dns(socketserver.BaseRequestHandler):
    """Everything below b.test is this machine; what else is asked has no answer."""

    silent = False

    def handle(self):
        question, reply = self.request
        if Dns.silent or len(question) < 17:
            return
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace").lower())
            at += 1 + question[at]
        kind = struct.unpack("!H", question[at + 1 : at + 3])[0]
        name, end = ".".join(labels), at + 5
        answer = b""
        if kind == 1 and name.endswith("b.test"):
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton("127.0.0.1")
        if kind == 15 and name == "b.test":
            host = b"\x02mx\x01b\x04test\0"
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 15, 1, 5, 2 + len(host)) + struct.pack("!H", 10) + host
        known = answer or name.endswith("b.test")
        head = question[:2] + struct.pack("!HHHHH", 0x8580 if known else 0x8583, 1, 1 if answer else 0, 0, 0)
        reply.sendto(head + question[12:end] + answer, self.client_address)


class Sink(socketserver.StreamRequestHandler):
    """The mail server of b.test: takes everything, and answers an end of data only after it has counted it."""

    def handle(self):
        try:
            self.serve()
        except (OSError, ValueError):
            pass

    def serve(self):
        self.wfile.write(b"220 mx.b.test ESMTP\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                self.wfile.write(b"250-mx.b.test\r\n250 PIPELINING\r\n")
            elif verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                mark = None
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    if line.lower().startswith(b"x-mark:"):
                        mark = line.split(b":")[1].strip().decode()
                if not line:
                    return
                with lock:
                    arrived[mark] = arrived.get(mark, 0) + 1
                self.wfile.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


class Threads(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 100


class Mailwright(Server):
    def __init__(self):
        hashed = subprocess.run([args.server, "account", "hash"], input="secret", text=True, capture_output=True).stdout
        secret = re.search(r'password = "([^"]+)"', hashed)[1]
        listeners = "".join(
            f'[[listener]]\naddress = "127.0.0.1:{PORTS[name]}"\nprotocol = "{name}"\n'
            for name in ("smtp", "submission", "imap", "pop3")
        )
        metrics = ""
        shown = subprocess.run([args.server, "config", "example"], text=True, capture_output=True).stdout
        if "[metrics]" in shown:
            metrics = f'[metrics]\naddress = "127.0.0.1:{PORTS["metrics"]}"\n'
        accounts = "".join(f'[[account]]\nname = "{user}"\npassword = "{secret}"\n' for user in USERS)
        self.config = FOLDER / "mailwright.toml"
        self.config.write_text(f"""
hostname = "mail.a.test"
domains = ["a.test"]
data = "{DISK}/data"
plaintext_login = "loopback"
{listeners}{accounts}
[auth]
mode = "off"
[outbound]
resolver = "127.0.0.1:{PORTS['dns']}"
port = {PORTS['sink']}
[queue]
retry = ["2s"]
[limits]
shutdown_grace = "2s"
[rate_limits]
connections_per_address = "none"
messages_per_address = "none"
messages_per_network = "none"
messages_per_sender = "none"
messages_per_account = "none"
messages_per_account_daily = "none"
recipients_per_account = "none"
recipients_per_account_daily = "none"
{metrics}""")
        self.log = open(FOLDER / "log", "a")
        self.start()

    def start(self):
        environment = {**os.environ, "RUST_LOG": "warn"}
        command = [args.server, "serve", "--config", self.config]
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        reachable(PORTS["imap"], self.process)

    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read())[1])

    def tasks(self):
        """Live tasks, where the server counts them."""
        try:
            text = urllib.request.urlopen(f"http://127.0.0.1:{PORTS['metrics']}/metrics", timeout=5).read().decode()
        except OSError:
            return None
        counts = re.findall(r"^mailwright_tasks(?:\{[^}]*\})? (\d+)", text, re.M)
        return sum(map(int, counts)) if counts else None


def letter(mark, to):
    lines = "A line of a letter that is sent while things go wrong.\r\n" * chance.randrange(5, 400)
    return f"From: {USERS[0]}\r\nTo: {to}\r\nSubject: {mark}\r\nX-Mark: {mark}\r\n\r\n{lines}-- end of {mark}\r\n"


def forever(work, name):
    """Runs a client over and over; what fails because the server is away or has no room is tried again."""
    number = 0
    while not stop.is_set():
        number += 1
        try:
            work(f"{name}-{number}")
            did(name)
            stop.wait(args.pause)
        except (OSError, EOFError, smtplib.SMTPException, poplib.error_proto, ConnectionError) as error:
            did(f"{name}, refused or cut")
            if isinstance(error, AssertionError):
                raise
            time.sleep(0.2)
        except Exception as error:  # anything else is a mistake of the server's, or of this script
            problems.append(f"{name}: {error!r}")
            time.sleep(1)


def deliver(mark):
    user = chance.choice(USERS)
    with smtplib.SMTP("127.0.0.1", PORTS["smtp"], timeout=60) as client:
        for n in range(5):
            client.sendmail("carol@c.test", [user], letter(f"{mark}-{n}", user))
            with lock:
                accepted["local"][f"{mark}-{n}"] = user


def submit(mark):
    with smtplib.SMTP("127.0.0.1", PORTS["submission"], timeout=60) as client:
        client.login(USERS[0], "secret")
        for n in range(3):
            client.sendmail(USERS[0], [f"bob{n}@b.test"], letter(f"{mark}-{n}", "bob@b.test"))
            with lock:
                accepted["away"].add(f"{mark}-{n}")


def use_imap(mark):
    user = chance.choice(USERS)
    client = Imap(PORTS["imap"], user)
    try:
        client.run("SELECT INBOX")
        done = client.run("APPEND INBOX (\\Seen)", letter(mark, user).encode())
        validity, uid = map(int, re.search(rb"APPENDUID (\d+) (\d+)", done).groups())
        with lock:
            accepted["append"][mark] = user
            if highest.get(user, (validity, 0))[0] != validity:
                problems.append(f"{user}: UIDVALIDITY changed")
        uids = client.run(f"UID SEARCH SUBJECT {mark}")
        if not re.search(rb"\b%d\b" % uid, uids):
            problems.append(f"{user}: {mark} was appended as {uid}, and is not found")
        client.run("FETCH 1:20 (FLAGS UID ENVELOPE)")
        client.run(f"UID STORE {uid} +FLAGS (\\Flagged)")
        if chance.random() < 0.5:
            # From here on it may be there or not, if we do not hear of the end.
            with lock:
                gone.add(mark)
            client.run(f"UID STORE {uid} +FLAGS (\\Deleted)")
            client.run(f"UID EXPUNGE {uid}")
        with lock:
            before = highest.get(user, (validity, 0))[1]
            highest[user] = (validity, max(before, uid))
        client.run("LOGOUT")
    finally:
        client.socket.close()


def use_pop3(_):
    client = poplib.POP3("127.0.0.1", PORTS["pop3"], timeout=60)
    try:
        client.user(chance.choice(USERS))
        client.pass_("secret")
        if client.stat()[0]:
            client.top(1, 5)
            client.retr(1)
        client.quit()
    finally:
        client.close()


def bodies(client, user, first, last):
    """Reads messages of the mailbox that is selected, and notes which UID each of them has; the UIDs, in order."""
    client.tag += 1
    tag = b"t%d" % client.tag
    client.socket.sendall(tag + b" FETCH %d:%d (UID BODY.PEEK[])\r\n" % (first, last))
    data = client.rest
    while not re.search(rb"(?:^|\r\n)" + tag + rb" (OK|NO|BAD)[^\r\n]*\r\n$", data[-300:]):
        piece = client.socket.recv(1 << 20)
        if not piece:
            raise ConnectionError("cut")
        data += piece
    client.rest = b""
    uids = []
    for row in re.split(rb"(?:^|\r\n)\* \d+ FETCH \(", data)[1:]:
        uid, mark = re.search(rb"UID (\d+)", row), re.search(rb"-- end of (\S+)\r\n", row)
        if not uid or b"BODY[] {" not in row:
            continue  # it tells of flags, or of a message that was expunged in the meantime
        uid, mark = int(uid[1]), mark[1].decode() if mark else ""
        if not mark and b"\r\nX-Mark:" in row:
            problems.append(f"{user}: UID {uid} is not whole")
        with lock:
            before = read[user].setdefault(uid, mark or f"of the server itself, {uid}")
        if mark and before != mark:
            problems.append(f"{user}: UID {uid} was {before}, and is {mark}")
        if uids and uid <= uids[-1]:
            problems.append(f"{user}: UID {uid} after {uids[-1]}")
        uids.append(uid)
    return uids


def clear(_):
    """Reads the oldest messages of each mailbox, and expunges them."""
    for user in USERS:
        client = Imap(PORTS["imap"], user)
        try:
            client.run("SELECT INBOX")
            while (over := client.exists() - args.kept) > 0 and not stop.is_set():
                if uids := bodies(client, user, 1, min(over, 200)):
                    known = ",".join(map(str, uids))
                    client.run(f"UID STORE {known} +FLAGS.SILENT (\\Deleted)")
                    client.run(f"UID EXPUNGE {known}")
                client.run("SELECT INBOX")
            client.run("LOGOUT")
        finally:
            client.socket.close()
    stop.wait(1)


def fill_disk():
    try:
        with open(DISK / "filler", "wb") as file:
            while True:
                file.write(b"\0" * 65536)
    except OSError:
        pass
    stop.wait(4)
    (DISK / "filler").unlink()


def misfortunes(server):
    fates = random.Random(args.seed + 1)
    while not stop.wait(fates.uniform(0.5, 1.5) * args.calm):
        fate = fates.choice(["SIGHUP", "SIGHUP", "SIGKILL", "the disk is full", "no DNS"])
        did(f"fate: {fate}")
        if fate == "SIGHUP":
            server.process.send_signal(signal.SIGHUP)
            stop.wait(1)
            if server.process.poll() is not None:
                problems.append("SIGHUP ended the server")
                server.start()
        elif fate == "SIGKILL":
            server.process.kill()
            server.process.wait()
            server.start()
        elif fate == "the disk is full":
            fill_disk()
        else:
            Dns.silent = True
            stop.wait(5)
            Dns.silent = False


def account_for_all(server):
    """Looks for everything that was acknowledged."""
    end = time.monotonic() + 180
    while missing := accepted["away"] - arrived.keys():
        if time.monotonic() > end:
            problems.append(f"{len(missing)} messages never came to b.test, like {sorted(missing)[:3]}")
            break
        time.sleep(0.5)
    twice = sum(count - 1 for mark, count in arrived.items() if mark)
    for user in USERS:
        client = Imap(PORTS["imap"], user)
        client.run("SELECT INBOX")
        total = client.exists()
        for at in range(1, total + 1, 200):
            bodies(client, user, at, min(at + 199, total))
        client.run("LOGOUT")
    found = {user: set(marks.values()) for user, marks in read.items()}
    for mark, user in {**accepted["local"], **accepted["append"]}.items():
        if mark not in found[user] and mark not in gone:
            problems.append(f"{mark} was acknowledged for {user}, and is not there")
    twice += sum(len(read[user]) - len(found[user]) for user in USERS)
    counts = {name: len(marks) for name, marks in accepted.items()}
    print(f"acknowledged: {counts}; {len(gone)} expunged; {twice} came twice")


def main():
    DISK.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", DISK], check=True)
    server = None
    try:
        dns = socketserver.ThreadingUDPServer(("127.0.0.1", PORTS["dns"]), Dns)
        sink = Threads(("127.0.0.1", PORTS["sink"]), Sink)
        for each in (dns, sink):
            threading.Thread(target=each.serve_forever, daemon=True).start()
        server = Mailwright()
        time.sleep(3)
        resting = server.tasks()
        works = [(deliver, "delivery", 2), (submit, "submission", 2), (use_imap, "IMAP", 4), (use_pop3, "POP3", 1)]
        works.append((clear, "clearing", 1))
        names = [f"{name}{n}" for _, name, count in works for n in range(count)]
        threads = [
            threading.Thread(target=forever, args=(work, f"{name}{n}"), daemon=True)
            for work, name, count in works
            for n in range(count)
        ]
        threads.append(threading.Thread(target=misfortunes, args=(server,), daemon=True))
        for thread in threads:
            thread.start()
        begun, samples, served = time.monotonic(), [], {}
        while time.monotonic() - begun < 60 * args.minutes:
            time.sleep(10)
            try:
                samples.append(server.resident())
            except (OSError, TypeError):
                continue
            if len(samples) % 6 == 0:
                with lock:
                    since = {name: acts.get(name, 0) - served.get(name, 0) for name in names}
                    served = dict(acts)
                minute, room = (time.monotonic() - begun) / 60, shutil.disk_usage(DISK)
                print(
                    f"{minute:.0f} min: {samples[-1] // 1024} MiB, {server.tasks()} tasks, disk {room.used >> 20} MiB, "
                    f"sessions {sum(since.values())}",
                    flush=True,
                )
                problems.extend(f"{name} was not served in minute {minute:.0f}" for name in names if not since.get(name))
        stop.set()
        for thread in threads:
            thread.join(120)
        account_for_all(server)
        time.sleep(15)
        tasks = server.tasks()
        print(f"did: {dict(sorted(acts.items()))}")
        print(f"memory: {min(samples) // 1024} to {max(samples) // 1024} MiB, {server.resident() // 1024} at the end")
        print(f"live tasks: {resting} at rest before, {tasks} after")
        if resting is not None and tasks is not None and tasks > resting:
            problems.append(f"{tasks - resting} tasks were left over")
        half = len(samples) // 2
        early, late = sorted(samples[:half])[half // 2], sorted(samples[half:])[half // 2]
        print(f"median memory of the halves: {early // 1024} and {late // 1024} MiB")
        if late > early * 1.3 + 16 * 1024:
            problems.append("memory grows")
        panics = [line for line in open(FOLDER / "log") if "panicked" in line]
        problems.extend(panics)
    finally:
        stop.set()
        Dns.silent = False
        if server:
            server.stop()
        subprocess.run(["umount", "-l", DISK], check=True)
        keep = FOLDER / "log"
        if problems and keep.exists():
            print("the server's last lines:\n" + "".join(open(keep).readlines()[-20:]))
        shutil.rmtree(FOLDER, ignore_errors=True)
    for problem in problems[:50]:
        print("PROBLEM:", problem)
    sys.exit(1 if problems else 0)


main()
