#!/usr/bin/env python3
"""The example `smtp_sink` and Postfix's `smtp-sink` side by side: CPU time for a message, in the same minutes.

    cargo build --release -p mailwright-examples --bin smtp_sink
    benches/smtp_sink.py [--messages 20000] [--rounds 5]

Needs `smtp-source` and `smtp-sink` (Debian: postfix). Both sinks drop what they take, and get the same from the same
client over the loopback device: `smtp-source -d -s 20 -m 20000 -l 4096`, that is 20 sessions at a time, each of which
carries message after message, a command at a time. The time is what the kernel charged to the sink, its own and the
kernel's for it. They take turns; a figure is the median of the rounds.
"""

import argparse
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--sink", default=None, help="the binary to measure (default: smtp_sink in the target folder)")
parser.add_argument("--messages", type=int, default=20_000)
parser.add_argument("--sessions", type=int, default=20)
parser.add_argument("--octets", type=int, default=4096, help="length of a message")
parser.add_argument("--rounds", type=int, default=5)
args = parser.parse_args()

target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).parent.parent / "target"))
OURS = args.sink or str(target / "release/smtp_sink")
PATH = os.environ["PATH"] + ":/usr/sbin"
SOURCE, THEIRS = (shutil.which(name, path=PATH) for name in ("smtp-source", "smtp-sink"))
if not (SOURCE and THEIRS):
    sys.exit("smtp-source and smtp-sink are not installed: nothing to compare with")
if not os.access(OURS, os.X_OK):
    sys.exit(f"{OURS} is not there: cargo build --release -p mailwright-examples --bin smtp_sink")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                if s.recv(4).startswith(b"220"):
                    s.sendall(b"QUIT\r\n")
                    return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing answers at port {port}")


def measure(command):
    """Microseconds of CPU that a message costs the sink: in user mode, in the kernel."""
    port = free_port()
    command = [part.format(port=port) for part in command]
    sink = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port)
    load = ["-d", "-s", args.sessions, "-m", args.messages, "-l", args.octets, f"127.0.0.1:{port}"]
    subprocess.run([SOURCE, *map(str, load)], check=True)
    sink.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(sink.pid, 0)
    return usage.ru_utime * 1e6 / args.messages, usage.ru_stime * 1e6 / args.messages


sinks = {
    "smtp_sink": [OURS, "--store", "drop", "127.0.0.1:{port}"],
    # The backlog is its second argument. Root must say as whom it goes on.
    "smtp-sink": [THEIRS, *(["-u", "nobody"] if os.geteuid() == 0 else []), "127.0.0.1:{port}", "1000"],
}
rounds = {name: [] for name in sinks}
for _ in range(args.rounds):
    for name, command in sinks.items():
        rounds[name].append(measure(command))

print(f"microseconds of CPU for a message of {args.octets} octets, median of {args.rounds} rounds")
total = {}
for name, figures in rounds.items():
    user, kernel = (statistics.median(column) for column in zip(*figures))
    total[name] = statistics.median(sum(figure) for figure in figures)
    print(f"  {name:10} {total[name]:6.1f}  (user {user:.1f}, kernel {kernel:.1f})")
print(f"  smtp_sink takes {total['smtp_sink'] / total['smtp-sink']:.2f} of the time of smtp-sink")
