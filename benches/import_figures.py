#!/usr/bin/env python3
"""How fast mail comes in from a Maildir and from an mbox file, and how much memory that takes.

    cargo build --release -p mailwright-server
    benches/import_figures.py [--binary target/release/mailwright] [--messages 100000] [--folder DIR]

Makes a Maildir of that many messages (2 to 6 KiB, one in 50 with an attachment of 200 KiB), exports it as mbox, and
imports a fifth and all of each into a fresh data folder. Prints messages a second and the peak of the resident memory:
that of a fifth and that of all are to be the same, once the page cache of the database, 64 MiB, is full. Fails below
5,000 messages a second, or if memory grows by more than a quarter."""

import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time


def message(number, rng):
    head = (
        f"From: Alice <alice{number % 97}@a.example>\n"
        f"To: Bob <bob@b.example>\n"
        f"Subject: Message {number} about {rng.choice(['lunch', 'invoices', 'the garden'])}\n"
        f"Message-ID: <{number}@a.example>\n"
        f"Date: Fri, 21 Nov 1997 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02} +0000\n"
        "MIME-Version: 1.0\n"
    )
    words = "sed ut perspiciatis unde omnis iste natus error sit voluptatem".split()
    text = "\n".join(" ".join(rng.choices(words, k=11)) for _ in range(rng.randint(25, 80)))
    if number % 50:
        return f"{head}Content-Type: text/plain; charset=utf-8\n\n{text}\n"
    attachment = "\n".join("QUJD" * 19 for _ in range(2600))
    return (
        f'{head}Content-Type: multipart/mixed; boundary="=_{number}"\n\n'
        f"--=_{number}\nContent-Type: text/plain\n\n{text}\n"
        f"--=_{number}\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n{attachment}\n"
        f"--=_{number}--\n"
    )


def make_maildir(root, count):
    rng = random.Random(7)
    for sub in ["cur", "new", "tmp"]:
        (root / sub).mkdir(parents=True)
    for number in range(count):
        (root / "cur" / f"{880_000_000 + number}.M1P1.host:2,S").write_text(message(number, rng))


def account(binary, data):
    data.mkdir(parents=True)
    command = [binary, "account", "add", "bob@localhost", "--data", str(data)]
    subprocess.run(command, input=b"builder\n", check=True, stdout=subprocess.DEVNULL)


def run(command):
    """Seconds, and the peak of the resident memory in MiB."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command} failed: {out.decode()}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="target/release/mailwright")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--folder", help="where to work; on the disk that is to be measured")
    options = parser.parse_args()
    binary = str(pathlib.Path(options.binary).resolve())
    slow = grown = False
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = pathlib.Path(folder)
        sources = {}
        for name, count in [("fifth", options.messages // 5), ("all", options.messages)]:
            make_maildir(folder / f"maildir-{name}", count)
            sources["maildir", name] = folder / f"maildir-{name}", count
        for name, count in [("fifth", options.messages // 5), ("all", options.messages)]:
            data = folder / f"data-{name}"
            account(binary, data)
            place = ["--account", "bob", "--data", str(data)]
            run([binary, "import", str(sources["maildir", name][0]), *place])
            mbox = folder / f"mbox-{name}"
            run([binary, "export", str(mbox), *place, "--format", "mboxrd"])
            sources["mbox", name] = mbox / "INBOX.mbox", count
        for form in ["maildir", "mbox"]:
            peaks = []
            for name in ["fifth", "all"]:
                source, count = sources[form, name]
                data = folder / f"fresh-{form}-{name}"
                account(binary, data)
                seconds, peak = run([binary, "import", str(source), "--account", "bob", "--data", str(data)])
                peaks.append(peak)
                rate = count / seconds
                print(f"{form:8} {count:6} messages  {seconds:6.2f} s  {rate:7.0f}/s  {peak:6.1f} MiB")
                slow |= name == "all" and rate < 5000
            grown |= peaks[1] > 1.25 * peaks[0]
    if slow:
        sys.exit("slower than 5,000 messages a second")
    if grown:
        sys.exit("memory grows with the number of messages")


if __name__ == "__main__":
    main()
