#!/usr/bin/env python3
"""Figures of the queue: messages through it to a sink beside Postfix, and memory with a million of them in it.

    cargo build --release && cargo build -p mailwright-server --example fill_queue
    benches/queue.py [--messages 100000] [--queued 1000000]

Needs Debian's postfix, and root for an instance of it in a folder of its own below --data; nothing of the system is
changed. Both servers take the same messages from `smtp-source` and hand them to the same kind of sink (Postfix's
`smtp-sink`), by turns, so that what else the machine does meets both. A message is done when the sink has it. --queued
fills the queue of a server at rest with messages of their own senders, recipients and times, and says what the server
needs to start with it, to look through it and to hold it; 0 leaves that out.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to measure")
parser.add_argument("--fill", default="target/debug/examples/fill_queue", help="what fills the queue")
parser.add_argument("--data", default=".", help="where to put the throw-away folder")
parser.add_argument("--messages", type=int, default=100_000, help="messages in all, for each server")
parser.add_argument("--rounds", type=int, default=5, help="turns of each server")
parser.add_argument("--size", type=int, default=4096, help="octets of each message")
parser.add_argument("--sessions", type=int, default=20)
parser.add_argument("--queued", type=int, default=1_000_000)
args = parser.parse_args()
FOLDER = Path(tempfile.mkdtemp(dir=args.data)).resolve()
FOLDER.chmod(0o755)


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def reachable(number):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", number), 1) as s:
                s.settimeout(5)
                if s.recv(100).startswith(b"220"):
                    return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nobody answers at port {number}")


def cpu(pids):
    """Seconds of all processes, and of their children that have ended."""
    total = 0
    for pid in pids:
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / os.sysconf("SC_CLK_TCK")


def family(root):
    """A process and all that came of it."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    found, more = {root}, True
    while more:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found, more = found | children, bool(children)
    return found


class Sink:
    """Counts what arrives."""

    def __init__(self):
        self.port, self.log = port(), FOLDER / f"sink-{port()}"
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(["smtp-sink", *user, "-c", f"127.0.0.1:{self.port}", "1000"],
                                        stdout=open(self.log, "w"))
        reachable(self.port)

    def count(self):
        # It shows its counters over and over on one line: sessions, transactions.
        shown = re.findall(rb"quit=(\d+) |mesg=(\d+)", self.log.read_bytes()[-200:])
        numbers = [int(mesg) for _, mesg in shown if mesg]
        return numbers[-1] if numbers else 0


class Mailwright:
    name = "mailwright"

    def __init__(self, to):
        self.port, self.folder = port(), FOLDER / f"mailwright-{to}"
        self.folder.mkdir()
        self.config = self.folder / "mailwright.toml"
        self.config.write_text(f"""
hostname = "mail.a.test"
domains = ["a.test"]
data = "data"
[aliases]
"relay" = "bob@b.test"
[outbound.routes]
"b.test" = "127.0.0.1:{to}"
[queue]
connections_per_destination = 20
[[listener]]
address = "127.0.0.1:{self.port}"
protocol = "smtp"
""")
        self.start()

    def start(self):
        env = {**os.environ, "RUST_LOG": "warn"}
        self.process = subprocess.Popen([args.server, "serve", "--config", self.config], env=env)
        reachable(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def pids(self):
        return [self.process.pid]

    def memory(self):
        status = open(f"/proc/{self.process.pid}/status").read()
        return tuple(int(re.search(rf"{name}:\s+(\d+)", status)[1]) // 1024 for name in ("VmRSS", "VmHWM"))


class Postfix:
    name = "Postfix"

    def __init__(self, to):
        self.port = port()
        etc, spool, data = (FOLDER / "postfix" / sub for sub in ("etc", "spool", "data"))
        for path in (etc, spool, data):
            path.mkdir(parents=True)
        shutil.chown(data, "postfix")
        self.pid_file = spool / "pid/master.pid"
        (etc / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {FOLDER}/postfix/log
maillog_file_prefixes = {FOLDER}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.a.test
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{to}
""")
        services = "cleanup bounce trivial-rewrite qmgr smtp error anvil scache"
        (etc / "master.cf").write_text(f"""
127.0.0.1:{self.port} inet n - n - - smtpd
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
""")
        self.control = ["postfix", "-c", str(etc)]
        subprocess.run([*self.control, "start"], check=True, capture_output=True)
        reachable(self.port)

    def stop(self):
        subprocess.run([*self.control, "stop"], capture_output=True)

    def pids(self):
        return family(int(self.pid_file.read_text()))


def turn(server, sink, to, messages):
    before, spent, begun = sink.count(), cpu(server.pids()), time.monotonic()
    command = ["smtp-source", "-d", "-s", str(args.sessions), "-m", str(messages), "-l", str(args.size),
               "-f", "carol@c.test", "-t", to, f"127.0.0.1:{server.port}"]
    subprocess.run(command, check=True)
    taken = time.monotonic() - begun
    while sink.count() - before < messages:
        time.sleep(0.02)
        if time.monotonic() - begun > 600:
            raise SystemExit(f"{server.name}: {sink.count() - before} of {messages} came")
    all_of_it = time.monotonic() - begun
    used = cpu(server.pids()) - spent
    print(f"  {server.name:11}{messages / all_of_it:8.0f} messages/s ({messages / taken:.0f}/s taken),"
          f" {used / messages * 1000:.2f} ms of CPU each", flush=True)
    return messages / all_of_it, used / messages


def throughput():
    sinks, servers, figures = [], [], ([], [])
    try:
        for kind in (Mailwright, Postfix):
            sinks.append(Sink())
            servers.append(kind(sinks[-1].port))
        for round in range(args.rounds):
            print(f"round {round + 1}")
            for server, sink, to, kept in zip(servers, sinks, ("relay@a.test", "bob@b.test"), figures):
                kept.append(turn(server, sink, to, args.messages // args.rounds))
        print(f"mailwright at the end: {servers[0].memory()[1]} MiB at most")
    finally:
        for server in servers:
            server.stop()
        for sink in sinks:
            sink.process.kill()
    median = lambda list: sorted(list)[len(list) // 2]
    rates = [median([rate for rate, _ in kept]) for kept in figures]
    costs = [median([cost for _, cost in kept]) for kept in figures]
    print(f"median: {rates[0]:.0f} and {rates[1]:.0f} messages/s, {rates[0] / rates[1]:.1f} times;"
          f" {costs[0] * 1000:.2f} and {costs[1] * 1000:.2f} ms of CPU each")


def queued():
    server = Mailwright(port())
    control = ["--config", server.config]
    try:
        time.sleep(2)
        empty = server.memory()[0]
        server.stop()
        filled = subprocess.run([args.fill, server.folder / "data", str(args.queued)], check=True, text=True,
                                capture_output=True)
        print(f"  put into the store: {filled.stdout.strip()}")
        begun = time.monotonic()
        server.start()
        print(f"  greeting {(time.monotonic() - begun) * 1000:.0f} ms after the start")
        # It looks through the whole queue once, and keeps what is due soonest.
        spent, looked = 0, None
        while looked is None:
            time.sleep(1)
            now = cpu(server.pids())
            looked = time.monotonic() - begun if now - spent < 0.05 else None
            spent = now
        print(f"  at rest after {looked:.0f} s and {spent:.1f} s of CPU")
        for filters in (["--to", "recipient777777@d7777.test"], ["--to", "@d77.test"], ["--state", "held"]):
            begun = time.monotonic()
            shown = subprocess.run([args.server, "queue", "list", *filters, *control], check=True, text=True,
                                   capture_output=True).stdout.splitlines()
            print(f"  queue list {' '.join(filters)}: {shown[-1]}, in {time.monotonic() - begun:.1f} s")
        time.sleep(30)
        now, most = server.memory()
        print(f"{args.queued} messages queued: {now} MiB resident, {most} MiB at most; {empty} MiB with none")
    finally:
        server.stop()


try:
    if args.messages:
        throughput()
    if args.queued:
        queued()
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
