#!/usr/bin/env python3
"""What Dovecot and Postfix say they can do, as they are installed here: the source of their columns in the README.

    benches/capabilities.py

Needs root, as Postfix does, and whatever of the two is there (Debian: dovecot-imapd dovecot-pop3d postfix). Both run with
what they do by default; only what they need to run at all is set. Nothing of them is left behind.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="capabilities-"))
FOLDER.chmod(0o755)


def dovecot():
    if not shutil.which("dovecot"):
        return print("Dovecot is not installed")
    print("Dovecot", subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout.strip())
    home = FOLDER / "home"
    home.mkdir(mode=0o777)
    config = FOLDER / "dovecot.conf"
    config.write_text(
        f"base_dir = {FOLDER}/run\nmail_location = maildir:{home}/Maildir\nlog_path = /dev/null\nssl = no\n"
        "mail_uid = nobody\nmail_gid = nogroup\nprotocols = imap pop3\n"
    )
    os.chmod(home, 0o777)
    for program, commands in ("imap", b"a CAPABILITY\r\nb LOGOUT\r\n"), ("pop3", b"CAPA\r\nQUIT\r\n"):
        said = subprocess.run(
            [f"/usr/lib/dovecot/{program}", "-c", config],
            input=commands,
            capture_output=True,
            env={"USER": "nobody", "HOME": str(home), "PATH": os.environ["PATH"]},
            timeout=60,
        ).stdout.decode()
        lines = [line for line in said.splitlines() if not line.startswith(("* PREAUTH", "* BYE", "b OK", "+OK"))]
        print(f"{program}: {' '.join(lines)}")


def postfix():
    if not shutil.which("postfix"):
        return print("Postfix is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    etc, queue, data = FOLDER / "etc", FOLDER / "queue", FOLDER / "data"
    for folder in etc, queue, data:
        folder.mkdir(mode=0o755)
    shutil.chown(data, "postfix")
    (etc / "main.cf").write_text(
        f"compatibility_level = 3.6\nqueue_directory = {queue}\ndata_directory = {data}\nmyhostname = postfix.test\n"
        "inet_interfaces = 127.0.0.1\nmaillog_file = /dev/stdout\n"
    )
    (etc / "master.cf").write_text(
        f"127.0.0.1:{port} inet n - n - - smtpd\nrewrite unix - - n - - trivial-rewrite\nanvil unix - - n - 1 anvil\n"
        "postlog unix-dgram n - n - 1 postlogd\nproxymap unix - - n - - proxymap\ncleanup unix n - n - 0 cleanup\n"
    )
    version = subprocess.run(["postconf", "-c", etc, "-h", "mail_version"], capture_output=True, text=True)
    print("Postfix", version.stdout.strip())
    run = ["postfix", "-c", str(etc)]
    subprocess.run([*run, "start"], capture_output=True, check=True, timeout=60)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=60)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        with client, client.makefile("rwb") as talk:
            talk.readline()
            talk.write(b"EHLO client.test\r\n")
            talk.flush()
            said = []
            while line := talk.readline().decode().rstrip():
                said.append(line[4:])
                if line[3:4] == " ":
                    break
            talk.write(b"QUIT\r\n")
            talk.flush()
        print("smtpd:", " ".join(said[1:]))
    finally:
        subprocess.run([*run, "stop"], capture_output=True, timeout=60)


try:
    dovecot()
    postfix()
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
