#!/usr/bin/env python3
"""Tens of thousands of idle IMAP connections in one server, and what a normal client meets meanwhile.

    cargo build --release && benches/server/idle.py [--connections 20000]

Every connection is logged in, has selected its mailbox and idles. They come from several addresses of 127.0.0.0/8, since
one pair of addresses has fewer ports. The file limit is raised as far as may be; root may have more than others. Says and
fails where a normal client takes longer than --most at its median.
"""

import argparse
import selectors
import shutil
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from peers import Imap, Mailwright, all_files

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to measure")
parser.add_argument("--data", default=".", help="where to put the throw-away folder")
parser.add_argument("--connections", type=int, default=20_000)
parser.add_argument("--users", type=int, default=20)
parser.add_argument("--most", type=float, default=100.0, help="milliseconds of a normal client's commands")
args = parser.parse_args()

USERS = [f"user{n}@localhost" for n in range(args.users)]


def connect(port, number):
    s = socket.socket()
    s.bind((f"127.0.{1 + number // 10_000}.1", 0))
    s.connect(("127.0.0.1", port))
    user = USERS[number % len(USERS)]
    # Everything at once: what counts is what the connection holds afterwards.
    s.sendall(f"a LOGIN {user} secret\r\n".encode())
    return s


def ready(sockets, mark, send):
    """Waits until all have said a mark, and sends each the next command as it does."""
    waiting, selector = {}, selectors.DefaultSelector()
    for s in sockets:
        selector.register(s, selectors.EVENT_READ)
        waiting[s] = b""
    end = time.monotonic() + 600
    while waiting:
        if time.monotonic() > end:
            raise SystemExit(f"{len(waiting)} connections did not get {mark!r}")
        for key, _ in selector.select(10):
            s = key.fileobj
            piece = s.recv(65536)
            if not piece:
                raise SystemExit(f"closed before {mark!r}: {waiting[s][-200:]!r}")
            waiting[s] = waiting[s][-500:] + piece
            if mark in waiting[s] and waiting[s].endswith(b"\r\n"):
                selector.unregister(s)
                del waiting[s]
                if send:
                    s.sendall(send)
    selector.close()


def normal_client(server):
    """What somebody meets who reads mail: milliseconds of each step."""
    steps, begun = {}, time.monotonic()

    def step(name):
        nonlocal begun
        now = time.monotonic()
        steps[name] = 1000 * (now - begun)
        begun = now

    client = Imap(server.imap, USERS[0])
    step("connect and LOGIN")
    client.run("SELECT INBOX")
    step("SELECT")
    client.run("FETCH 1:* (FLAGS UID ENVELOPE)")
    step("FETCH of envelopes")
    client.run("APPEND Drafts", b"Subject: written meanwhile\r\n\r\nHello\r\n")
    step("APPEND")
    client.run("LOGOUT")
    client.socket.close()
    return steps


def main():
    files = all_files()
    if files < args.connections + 400:
        sys.exit(f"only {files} files may be open here: try as root, or with less --connections")
    folder = Path(tempfile.mkdtemp(prefix="mailwright-idle-", dir=args.data)).resolve()
    server = Mailwright(Path(args.server).resolve(), folder, USERS)
    try:
        first = Imap(server.imap, USERS[0])
        for _ in range(20):
            first.run("APPEND INBOX", b"Subject: old\r\n\r\n" + b"A line.\r\n" * 50)
        for user in USERS:
            Imap(server.imap, user).socket.close()
        time.sleep(1)
        alone = [normal_client(server) for _ in range(20)]
        before, spent = server.memory(), server.cpu()
        begun, sockets = time.monotonic(), []
        # As many at once as a password check can serve within its time.
        for at in range(0, args.connections, 500):
            some = [connect(server.imap, number) for number in range(at, min(at + 500, args.connections))]
            ready(some, b"a OK", b"b SELECT INBOX\r\n")
            ready(some, b"b OK", b"c IDLE\r\n")
            ready(some, b"+ ", None)
            sockets += some
        took, used = time.monotonic() - begun, server.cpu() - spent
        time.sleep(3)
        each = (server.memory() - before) / len(sockets)
        print(f"{len(sockets)} connections idle after {took:.0f} s and {used:.0f} s of the server's CPU")
        print(f"  {each:.2f} KiB each; {server.memory() / 1024:.0f} MiB in all")
        spent, begun = server.cpu(), time.monotonic()
        time.sleep(10)
        print(f"  {100 * (server.cpu() - spent) / (time.monotonic() - begun):.2f}% of a core while nothing happens")
        meanwhile = [normal_client(server) for _ in range(50)]
        slow = False
        for step in alone[0]:
            without, with_them = (statistics.median(run[step] for run in runs) for runs in (alone, meanwhile))
            most = max(run[step] for run in meanwhile)
            print(f"  a normal client, {step:20}{with_them:8.2f} ms, at most {most:.2f} (alone {without:.2f})")
            slow |= with_them > args.most
        # One message, and all who listen to its mailbox hear of it.
        mine = sockets[:: len(USERS)]
        begun = time.monotonic()
        first.run("APPEND INBOX", b"Subject: new\r\n\r\nHello\r\n")
        ready(mine, b"EXISTS", None)
        print(f"  {len(mine)} of them hear of a new message within {1000 * (time.monotonic() - begun):.0f} ms")
        for s in sockets:
            s.close()
        if slow:
            sys.exit(f"a normal client takes more than {args.most} ms")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


main()
