#!/usr/bin/env python3
"""How long `mail_sink` takes from its start until it takes mail, as a test suite would wait for it.

    cargo build --release -p mailwright-examples --bin mail_sink && benches/mail_sink_start.py [--rounds 20]

Each round starts the program on free ports, reads where SMTP is, and waits for the server's greeting there. Told are the
median, the worst, and the CPU time, which tells on a busy machine; the goal is 200 ms.
"""

import argparse
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
target = os.environ.get("CARGO_TARGET_DIR", "target")
parser.add_argument("--program", default=f"{target}/release/mail_sink", help="the binary to measure")
parser.add_argument("--rounds", type=int, default=20)
args = parser.parse_args()


def start():
    began = time.monotonic()
    sink = subprocess.Popen([args.program, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        for line in sink.stdout:
            if found := re.match(r"smtp:?\s+\S*?(\d+\.\d+\.\d+\.\d+):(\d+)", line):
                with socket.create_connection((found[1], int(found[2])), timeout=60) as client:
                    greeting = client.recv(512)
                took = time.monotonic() - began
                if not greeting.startswith(b"220 "):
                    sys.exit(f"no greeting: {greeting!r}")
                return took
        sys.exit("it did not say where SMTP is")
    finally:
        sink.kill()
        sink.wait()


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


before = cpu()
times = sorted(start() * 1000 for _ in range(args.rounds))
each = (cpu() - before) / args.rounds
print(
    f"mail_sink takes mail after {statistics.median(times):.0f} ms (median of {args.rounds}), {times[-1]:.0f} ms at worst; "
    f"{each:.0f} ms of CPU"
)
