#!/usr/bin/env python3
"""A server under attack: what a normal client notices of it, and how many logins a second there are.

    cargo build --release && benches/hostile_clients.py [--slow 200] [--flood 1000] [--seconds 5]

It measures a whole IMAP session of a normal client (TLS, login, select, logout) and a NOOP of one that is logged in, each
as median and worst: alone, beside clients that send an octet now and then, beside a flood of connections that say nothing,
and beside clients that log in without pause, once with passwords that are known again for a while and once with a hash for
each. The server runs on loopback, in a throw-away folder below --data.
"""

import argparse
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default="target/release/mailwright", help="the binary to measure")
parser.add_argument("--data", default=".", help="where to put the throw-away data folder")
parser.add_argument("--slow", type=int, default=200, help="clients that send an octet a second")
parser.add_argument("--flood", type=int, default=1000, help="connections that say nothing")
parser.add_argument("--logins", type=int, default=8, help="clients that log in without pause")
parser.add_argument("--seconds", type=float, default=5, help="how long each part is measured")
parser.add_argument("--port", type=int, default=23143, help="for IMAP; the next one is for IMAP over TLS")
args = parser.parse_args()
PORT, TLS_PORT = args.port, args.port + 1

TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


class Imap:
    """A client that waits for each answer."""

    def __init__(self, address="127.0.0.1", tls=True):
        sock = socket.create_connection(("127.0.0.1", TLS_PORT if tls else PORT), 60, (address, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = TLS.wrap_socket(sock) if tls else sock
        self.sock.recv(4096)

    def say(self, command):
        self.sock.sendall(b"a " + command + b"\r\n")
        answer = b""
        while not answer.startswith(b"a ") and b"\r\na " not in answer or not answer.endswith(b"\r\n"):
            piece = self.sock.recv(4096)
            if not piece:
                raise ConnectionError(answer)
            answer += piece
        return answer

    def log_in(self, password=b"wonderland"):
        answer = self.say(b"LOGIN alice@a.test " + password)
        assert b"a OK" in answer, answer

    def close(self):
        self.sock.close()


def session():
    client = Imap()
    client.log_in()
    client.say(b"SELECT INBOX")
    client.say(b"LOGOUT")
    client.close()


def measure(what):
    """Sessions and NOOPs of normal clients, for as long as each part takes."""
    idle = Imap()
    idle.log_in()
    sessions, noops, end = [], [], time.monotonic() + args.seconds
    while time.monotonic() < end:
        for times, work in ((sessions, session), (noops, lambda: idle.say(b"NOOP"))):
            start = time.monotonic()
            work()
            times.append(1000 * (time.monotonic() - start))
    idle.close()
    tell = lambda times: f"{statistics.median(times):.1f} ms, worst {max(times):.1f} ms"
    print(f"{what}: session {tell(sessions)}; NOOP {tell(noops)} ({len(sessions)} each)", flush=True)


def resident(pid):
    fields = [line for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS")]
    return int(fields[0].split()[1])


def serve(folder, cache):
    config = os.path.join(folder, "mailwright.toml")
    with open(config, "w") as file:
        file.write(f'hostname = "mail.a.test"\ndomains = ["a.test"]\ndata = "data"\nplaintext_login = "loopback"\n')
        file.write(f'[outbound]\nenabled = false\n[login_limits]\ncache = "{cache}"\n')
        for port, tls in ((PORT, "none"), (TLS_PORT, "implicit")):
            file.write(f'[[listener]]\naddress = "127.0.0.1:{port}"\nprotocol = "imap"\ntls = "{tls}"\n')
    add = [args.server, "account", "add", "alice@a.test", "--config", config]
    if not os.path.exists(os.path.join(folder, "data", "accounts.toml")):
        subprocess.run(add, input=b"wonderland\n", check=True, stdout=subprocess.DEVNULL)
    log = open(os.path.join(folder, "log"), "a")
    server = subprocess.Popen([args.server, "serve", "--config", config], stdout=log, stderr=log)
    for _ in range(600):
        try:
            Imap(tls=False).close()
            return server
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server does not start: see its log")


def slow_clients(stop):
    clients = []
    for n in range(args.slow):
        clients.append(Imap(f"127.0.2.{n % 200 + 1}", tls=False))

    def trickle():
        while not stop.wait(1):
            for client in clients:
                try:
                    client.sock.sendall(b"x")
                except OSError:
                    pass

    thread = threading.Thread(target=trickle)
    thread.start()
    return clients, thread


def login_rate(stop, counts, n):
    while not stop.is_set():
        client = Imap(f"127.0.3.{n + 1}", tls=False)
        client.log_in()
        counts[n] += 1
        client.close()


def beside_logins(what):
    stop, counts = threading.Event(), [0] * args.logins
    threads = [threading.Thread(target=login_rate, args=(stop, counts, n)) for n in range(args.logins)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    measure(f"beside {args.logins} clients that log in, {what}")
    stop.set()
    for thread in threads:
        thread.join()
    print(f"  {sum(counts) / (time.monotonic() - start):.0f} logins/s of theirs, {what}", flush=True)


folder = tempfile.mkdtemp(prefix="mailwright-hostile-", dir=args.data)
server = serve(folder, "2m")
try:
    measure("alone")
    before = resident(server.pid)
    stop = threading.Event()
    clients, thread = slow_clients(stop)
    measure(f"beside {args.slow} slow clients")
    stop.set()
    thread.join()
    flood = [Imap(f"127.0.4.{n % 4 + 1}", tls=False) for n in range(args.flood)]
    measure(f"beside {args.flood} connections that say nothing")
    held = len(flood) + len(clients)
    print(f"  {(resident(server.pid) - before) / held:.1f} KiB resident for each of {held} that are not logged in")
    for client in clients + flood:
        client.close()
    beside_logins("passwords known again")
    server.terminate()
    server.wait(60)
    server = serve(folder, "0s")
    beside_logins("each password hashed")
finally:
    server.terminate()
    server.wait(60)
    shutil.rmtree(folder)
