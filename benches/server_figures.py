#!/usr/bin/env python3
"""Figures of the whole server: durable acceptance over SMTP, and memory for each idle IMAP connection.

    cargo build --release && benches/server_figures.py [--messages 10000] [--idle 500]

Needs `smtp-source` (Debian: postfix). The server runs as `localserve` in a throw-away folder below --data, so put that
on the disk that is to be measured. Beside the rate stands what the disk gives: appends of the same size, each synced.
"""

import argparse
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to measure")
parser.add_argument("--data", default=".", help="where to put the throw-away data folder")
parser.add_argument("--messages", type=int, default=10_000)
parser.add_argument("--size", type=int, default=4096, help="octets of each message")
parser.add_argument("--sessions", type=int, default=20)
parser.add_argument("--idle", type=int, default=500, help="idle IMAP connections")
parser.add_argument("--port-offset", type=int, default=10_000)
args = parser.parse_args()

SMTP, IMAP, IMAPS = (args.port_offset + port for port in (2025, 2143, 2993))


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])


def synced_appends(folder, size, seconds=2.0):
    """What the disk can do for one writer that syncs each append."""
    fd = os.open(os.path.join(folder, "probe"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    data, count, end = b"x" * size, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        os.write(fd, data)
        os.fdatasync(fd)
        count += 1
    os.close(fd)
    return count / seconds


def idle_session(port, tls, number):
    s = socket.create_connection(("127.0.0.1", port))
    if tls:
        s = tls.wrap_socket(s, server_hostname="localhost")
    s.recv(1000)
    for tag, command in (("a", "LOGIN alice@localhost wonderland"), ("b", "SELECT INBOX"), ("c", "IDLE")):
        s.sendall(f"{tag} {command}\r\n".encode())
        answer = b""
        while not re.search(rb"^(\+|%s OK)" % tag.encode(), answer, re.M):
            piece = s.recv(4096)
            assert piece, f"connection {number}: closed after {answer!r}"
            answer += piece
            assert b" NO " not in answer and b" BAD " not in answer, answer
    return s


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
folder = tempfile.mkdtemp(prefix="mailwright-figures-", dir=args.data)
log = open(os.path.join(folder, "log"), "w")
command = [args.server, "localserve", "--data", os.path.join(folder, "mail"), "--port-offset", str(args.port_offset)]
command += ["--account", "alice@localhost:wonderland", "--account", "bob@localhost:builder"]
server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "RUST_LOG": "warn"})
try:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", IMAP)).close()
            break
        except OSError:
            time.sleep(0.05)
    # Before any mail: memory that a load leaves behind would hide what connections take. The first hundred make
    # the allocator's arenas and the hashing of passwords settle.
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    sessions = [idle_session(IMAPS, tls, n) for n in range(100)]
    # One address may have a thousand connections.
    for more in (args.idle, args.idle * 3 // 4):
        time.sleep(2)
        before, had = resident(server.pid), len(sessions)
        sessions += [idle_session(IMAPS, tls, had + n) for n in range(more)]
        time.sleep(2)
        each = (resident(server.pid) - before) / more
        print(f"idle: {each:.1f} KiB resident for each IMAP connection in IDLE, TLS included, from {had} to {len(sessions)} of them")
    print(f"      {resident(server.pid)} KiB in all")
    for session in sessions:
        session.close()

    print(f"disk: {synced_appends(folder, args.size):.0f} synced appends of {args.size} octets a second, one writer")

    source = ["smtp-source", "-s", str(args.sessions), "-m", str(args.messages), "-l", str(args.size)]
    source += ["-f", "carol@elsewhere.example", "-t", "bob@localhost", f"127.0.0.1:{SMTP}"]
    subprocess.run(source[:4] + ["200"] + source[5:], check=True)
    for kept in ("a connection for each message", "connections kept open (-d)"):
        started, used = time.monotonic(), cpu(server.pid)
        subprocess.run(source[:1] + (["-d"] if "-d" in kept else []) + source[1:], check=True)
        took, used = time.monotonic() - started, cpu(server.pid) - used
        rate, each = args.messages / took, 1000 * used / args.messages
        print(f"accepted: {rate:.0f} messages/s durably on {args.sessions} sessions, {kept}; CPU {each:.2f} ms each")

finally:
    server.terminate()
    server.wait(30)
    shutil.rmtree(folder)
