#!/usr/bin/env python3
"""How long others wait while one IMAP session has a large mailbox sorted, threaded and searched.

    cargo build --release && benches/imap_latency.py [--messages 100000]

One session works on the mailbox; another one sends NOOP all the time, and the longest it waits is told beside what it
waits when nobody works. The server runs as `localserve` in a throw-away folder below --data.
"""

import argparse
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to measure")
parser.add_argument("--data", default=".", help="where to put the throw-away data folder")
parser.add_argument("--messages", type=int, default=100_000)
parser.add_argument("--port-offset", type=int, default=12_000)
args = parser.parse_args()

IMAP = args.port_offset + 2143


class Session:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", IMAP))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left, self.tag = b"", 0
        self.line()
        self.say(b"LOGIN alice@localhost wonderland")

    def line(self):
        while b"\n" not in self.left:
            piece = self.socket.recv(65536)
            assert piece, "closed"
            self.left += piece
        line, self.left = self.left.split(b"\n", 1)
        return line

    def say(self, command):
        self.tag += 1
        tag = b"t%d" % self.tag
        self.socket.sendall(tag + b" " + command + b"\r\n")
        while True:
            line = self.line()
            if line.startswith(tag + b" "):
                assert line.startswith(tag + b" OK"), line[:200]
                return


def message(n):
    words = b" ".join(b"word%d" % (n * k % 4999) for k in range(1, 60))
    return (
        b"Message-ID: <%d@bench.example>\r\nIn-Reply-To: <%d@bench.example>\r\nSubject: Re: subject %d\r\n"
        b"From: Sender %d <s%d@bench.example>\r\nDate: Mon, 23 Nov 2026 %02d:%02d:%02d +0000\r\n\r\n%s\r\n"
        % (n, n // 3, n % 997, n % 89, n % 89, n % 24, n % 60, n % 59, words)
    )


def waits(session, until):
    """How long each NOOP took, in milliseconds, until the event."""
    took = []
    while not until.is_set():
        started = time.perf_counter()
        session.say(b"NOOP")
        took.append(1000 * (time.perf_counter() - started))
    return sorted(took)


def told(took):
    return f"median {took[len(took) // 2]:.2f} ms, 99% {took[len(took) * 99 // 100]:.2f} ms, longest {took[-1]:.1f} ms"


folder = tempfile.mkdtemp(prefix="mailwright-latency-", dir=args.data)
log = open(os.path.join(folder, "log"), "w")
command = [args.server, "localserve", "--data", os.path.join(folder, "mail"), "--port-offset", str(args.port_offset)]
command += ["--account", "alice@localhost:wonderland"]
server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "RUST_LOG": "warn"})
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", IMAP)).close()
            break
        except OSError:
            time.sleep(0.05)
    worker, other = Session(), Session()
    for first in range(1, args.messages + 1, 500):
        several = (message(n) for n in range(first, min(first + 500, args.messages + 1)))
        worker.say(b"APPEND INBOX" + b"".join(b" {%d+}\r\n%s" % (len(m), m) for m in several))
    worker.say(b"SELECT INBOX")
    quiet = threading.Event()
    threading.Timer(2, quiet.set).start()
    print(f"nobody works: {told(waits(other, quiet))}")
    for work in (
        b"SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
        b"THREAD REFERENCES UTF-8 ALL",
        b"THREAD ORDEREDSUBJECT UTF-8 ALL",
        b"SEARCH TEXT nowheretobefound",
        b"SEARCH NOT FROM sender",
    ):
        done, took = threading.Event(), []

        def run():
            started = time.perf_counter()
            worker.say(work)
            took.append(time.perf_counter() - started)
            done.set()

        thread = threading.Thread(target=run)
        thread.start()
        waited = waits(other, done)
        thread.join()
        print(f"{work.decode()}: {took[0]:.2f} s; others: {told(waited)}")
finally:
    server.terminate()
    server.wait(30)
    shutil.rmtree(folder)
