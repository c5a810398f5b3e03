"""Mailwright, Dovecot and Postfix, each in a folder and on ports of its own, for the scripts beside this one."""

import os
import re
import resource
import shutil
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def reachable(number, process=None, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", number), 1) as s:
                s.settimeout(5)
                if s.recv(100):
                    return
        except OSError:
            time.sleep(0.02)
        if process and process.poll() is not None:
            raise SystemExit(f"the server ended with status {process.returncode}")
    raise SystemExit(f"nobody answers at port {number}")


def all_files():
    """As many files as may be had; root may have more than the limit says."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (200_000, 100_000, 65_536, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
            return wanted
        except (ValueError, OSError):
            pass
    return soft


def load_generator(folder):
    """Builds the clients, which need nothing but a Rust compiler."""
    program = Path(folder) / "load"
    subprocess.run(["rustc", "--edition", "2024", "-O", HERE.parent / "src/bin/load.rs", "-o", program], check=True)
    return program


class Server:
    """A process with all that comes of it."""

    process = None

    def root(self):
        return self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def family(self):
        parents = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents[int(pid)] = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
        tree, more = {self.root()}, True
        while more:
            more = {pid for pid, parent in parents.items() if parent in tree} - tree
            tree |= more
        return tree

    def cpu(self):
        """Seconds of all processes, and of their children that have ended."""
        total = 0
        for pid in self.family():
            try:
                fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15]))
        return total / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """KiB that all its processes hold, shared pages counted by their share."""
        total = 0
        for pid in self.family():
            try:
                total += int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
            except (OSError, TypeError):
                pass
        return total


class Mailwright(Server):
    name = "Mailwright"

    def __init__(self, program, folder, users, password="secret", more=""):
        self.folder, self.program = Path(folder), program
        self.folder.mkdir(exist_ok=True)
        self.smtp, self.lmtp, self.imap = port(), port(), port()
        # The cheapest hash that is taken, so that logins cost what they cost Dovecot, which checks no password at all.
        hashed = subprocess.run([program, "account", "hash"], input=password, text=True, capture_output=True)
        secret = re.search(r'password = "([^"]+)"', hashed.stdout)
        assert secret, hashed
        accounts = "".join(f'[[account]]\nname = "{user}"\npassword = "{secret[1]}"\n' for user in users)
        self.config = self.folder / "mailwright.toml"
        self.config.write_text(f"""
hostname = "mail.localhost"
domains = ["localhost"]
data = "data"
plaintext_login = "loopback"
{more}
[[listener]]
address = "127.0.0.1:{self.smtp}"
protocol = "smtp"
[[listener]]
address = "127.0.0.1:{self.lmtp}"
protocol = "lmtp"
[[listener]]
address = "127.0.0.1:{self.imap}"
protocol = "imap"
{accounts}
[limits]
connections = 50000
connections_per_address = 50000
sessions_per_account = 50000
[rate_limits]
connections_per_address = "none"
messages_per_address = "none"
messages_per_network = "none"
messages_per_sender = "none"
""")
        self.start()

    def start(self):
        environment = {**os.environ, "RUST_LOG": os.environ.get("RUST_LOG", "warn")}
        self.log = open(self.folder / "log", "a")
        command = [self.program, "serve", "--config", self.config]
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        reachable(self.imap, self.process)


class Dovecot(Server):
    name = "Dovecot"

    def __init__(self, folder, mail="maildir"):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        (self.folder / "mail").mkdir()
        shutil.chown(self.folder / "mail", "nobody")
        self.imap, self.lmtp = port(), port()
        (self.folder / "dovecot.conf").write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/state
protocols = imap lmtp
listen = 127.0.0.1
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
mail_location = {mail}:{folder}/mail/%u
mail_max_userip_connections = 50000
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
""")
        log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.folder / "dovecot.conf"], stdout=log, stderr=log)
        reachable(self.imap, self.process)


class Postfix(Server):
    """Takes mail for `localhost`, and delivers it to Maildirs by its own virtual(8)."""

    name = "Postfix"

    def __init__(self, folder, users):
        self.folder = Path(folder)
        self.smtp = port()
        etc, spool, data, self.mail = (self.folder / sub for sub in ("etc", "spool", "data", "mail"))
        for path in (etc, spool, data, self.mail):
            path.mkdir(parents=True)
        self.folder.chmod(0o755)
        shutil.chown(data, "postfix")
        shutil.chown(self.mail, "nobody")
        self.pid_file = spool / "pid/master.pid"
        (etc / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.localhost
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = localhost
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = texthash:{etc}/users
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
""")
        (etc / "users").write_text("".join(f"{user} {user}/\n" for user in users))
        (etc / "master.cf").write_text(f"""
127.0.0.1:{self.smtp} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
pickup unix n - n 60 1 pickup
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
""")
        self.control = ["postfix", "-c", str(etc)]
        subprocess.run([*self.control, "start"], check=True, capture_output=True)
        reachable(self.smtp)

    def root(self):
        return int(self.pid_file.read_text())

    def stop(self):
        subprocess.run([*self.control, "stop"], capture_output=True)

    def delivered(self):
        return sum(len(os.listdir(folder)) for folder in self.mail.glob("*/new"))


class Imap:
    """The least of a client."""

    def __init__(self, port, user, password="secret", host="127.0.0.1", timeout=60):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tag, self.rest = 0, b""
        self.until(b"* OK")
        self.run(f"LOGIN {user} {password}")

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
            if not piece:
                raise ConnectionError(f"closed after {tail[-300:]!r}")
            tail = tail[-262144:] + piece

    def run(self, command, literal=None):
        self.tag += 1
        tag = b"t%d" % self.tag
        data = tag + b" " + command.encode()
        if literal is not None:
            data += b" {%d+}\r\n" % len(literal) + literal
        self.socket.sendall(data + b"\r\n")
        answer = self.until(tag + b" ")
        status = answer[answer.rfind(b"\r\n") + 2 :]
        if not status.startswith(tag + b" OK"):
            raise ConnectionError(f"{command}: {status!r}")
        return answer

    def exists(self, mailbox="INBOX"):
        return int(re.search(rb"MESSAGES (\d+)", self.run(f"STATUS {mailbox} (MESSAGES)"))[1])

    def idle(self):
        self.socket.sendall(b"i IDLE\r\n")
        self.until(b"+")
