#!/usr/bin/env python3
"""What the server holds for IMAP: for each idle connection, and while a large message goes in or out.

    cargo build --release && benches/imap_memory.py [--size 10485760] [--idle 500]

The server runs as `localserve` in a throw-away folder below --data. Octets are counted as resident memory that is not of
a file. A large APPEND and a large FETCH are stopped on their way, by a client that sends or takes no more, and the memory
is looked at then. It is compared with that of the same sessions before, in a server that has done nothing else yet: what
others left behind would hide what these take. Says so and fails where a bound is broken.
"""

import argparse
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to measure")
parser.add_argument("--data", default=".", help="where to put the throw-away data folder")
parser.add_argument("--size", type=int, default=10 << 20, help="octets of the large message")
parser.add_argument("--idle", type=int, default=500, help="idle connections")
parser.add_argument("--at-once", type=int, default=32, help="transfers at once: one alone is lost in the noise")
parser.add_argument("--port-offset", type=int, default=12_000)
args = parser.parse_args()

PORT = args.port_offset + 2143
MOST_IDLE, MOST_TRANSFER = 20, 64
# A message that is no longer is written when it is whole.
SHORT = 32 << 10
USER = "alice@localhost"


class Imap:
    def __init__(self):
        self.socket = socket.socket()
        # What the kernel holds is not the server's.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", PORT))
        self.line(b"* OK")
        self.run(f"LOGIN {USER} secret")

    def line(self, mark):
        data = b""
        while not re.search(rb"(?m)^" + re.escape(mark) + rb".*\r\n", data):
            piece = self.socket.recv(4096)
            assert piece, f"closed after {data[-300:]!r}"
            data += piece
        return data

    def run(self, command):
        self.socket.sendall(b"a " + command.encode() + b"\r\n")
        return self.line(b"a OK")


def anonymous():
    """KiB of the server's memory that no file stands behind."""
    text = open(f"/proc/{server.pid}/smaps_rollup").read()
    return int(re.search(r"^Anonymous:\s+(\d+)", text, re.M)[1])


def settled():
    """The same when it has stopped to grow."""
    last = anonymous()
    for _ in range(50):
        time.sleep(0.2)
        now = anonymous()
        if abs(now - last) <= 16:
            return now
        last = now
    return last


def check(what, each, most):
    verdict = "" if each <= most else f"   more than the {most} KiB that it may be"
    print(f"{what:52}{each:9.1f} KiB{verdict}")
    return each <= most


def idle():
    session = Imap()
    session.run("SELECT INBOX")
    session.socket.sendall(b"i IDLE\r\n")
    session.line(b"+")
    return session


def appended(session, octets):
    """Sends the beginning of a large message."""
    session.socket.sendall(b"a APPEND INBOX {%d+}\r\n" % args.size)
    left = b"Subject: large\r\n\r\n".ljust(min(octets, 65536), b"x")
    while octets > 0:
        session.socket.sendall(left[:octets])
        octets -= len(left)


def half_fetched(session):
    session.run("SELECT INBOX")
    session.socket.sendall(b"a FETCH 1 BODY.PEEK[]\r\n")
    left = args.size // 2
    while left > 0:
        left -= len(session.socket.recv(min(left, 65536)))


def grown(what, begin):
    """What sessions take more once they have begun."""
    restart()
    sessions = [Imap() for _ in range(args.at_once)]
    before = settled()
    for session in sessions:
        begin(session)
    good = check(what, (settled() - before) / args.at_once, MOST_TRANSFER)
    for session in sessions:
        session.socket.close()
    return good


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
folder = tempfile.mkdtemp(prefix="mailwright-memory-", dir=args.data)
log = open(os.path.join(folder, "log"), "w")
command = [args.server, "localserve", "--data", os.path.join(folder, "mail"), "--port-offset", str(args.port_offset)]
command += ["--account", f"{USER}:secret"]
server = None


def stop():
    if server:
        server.terminate()
        server.wait(30)


def restart():
    global server
    stop()
    server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "RUST_LOG": "warn"})
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", PORT)).close()
            return
        except OSError:
            time.sleep(0.05)


try:
    restart()
    good = True
    # Connections that stay: what those that went left behind would hide what these take.
    kept = [idle() for _ in range(100)]
    before = settled()
    kept += [idle() for _ in range(args.idle)]
    good &= check("an idle connection, without TLS", (settled() - before) / args.idle, MOST_IDLE)
    for session in kept:
        session.socket.close()
    good &= grown("an APPEND that is half-way", lambda session: appended(session, args.size // 2))
    good &= grown("an APPEND that may still be a short one", lambda session: appended(session, SHORT))
    filler = Imap()
    filler.socket.sendall(b"a APPEND INBOX {%d+}\r\n" % args.size + b"Subject: large\r\n\r\n".ljust(args.size, b"x") + b"\r\n")
    filler.line(b"a OK")
    good &= grown("a FETCH that is half-way", half_fetched)
finally:
    stop()
    shutil.rmtree(folder)
sys.exit(0 if good else "memory: a bound is broken")
