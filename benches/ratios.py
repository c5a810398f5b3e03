#!/usr/bin/env python3
"""Prints what the last run of `cargo bench --bench message --features peers` measured, as ratios to the peers.

usage: ratios.py [FOLDER]    (default: $CARGO_TARGET_DIR/criterion, or target/criterion)
"""
import json
import os
import pathlib
import sys

ROWS = [  # what, next to which peer, at least how many times its throughput
    ("index", "mail-parser", "small 3, header-heavy 3, bodies 0.9"),
    ("index reused", "mail-parser reused", ""),
    ("index and typed", "mail-parser typed", "1.5"),
    ("everything", "mail-parser everything", "small 1, base64 0.5"),
    ("index of 4 KiB chunks", "mail-parser", "0.5"),
    ("index stored", "mail-parser", ""),
    ("index with sizes", "mail-parser", ""),
    ("index", "mailparse", "2"),
    ("everything", "mailparse everything", "2"),
]


def median(folder, group, name):
    """The nanoseconds of one iteration."""
    path = folder / group / name / "new" / "estimates.json"
    return json.loads(path.read_text())["median"]["point_estimate"] if path.exists() else None


def octets(folder, group, name):
    path = folder / group / name / "new" / "benchmark.json"
    return json.loads(path.read_text())["throughput"]["Bytes"] if path.exists() else None


def main():
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.path.join(target, "criterion"))
    groups = sorted(path.name for path in folder.iterdir() if (path / "index").exists())
    for group in groups:
        size = octets(folder, group, "index")
        print(f"{group} ({size:,} octets)")
        for ours, peer, target in ROWS:
            a, b = median(folder, group, ours), median(folder, group, peer)
            if a and b:
                print(f"  {ours:24} {size / a:8.2f} GB/s   {peer:24} {size / b:8.2f} GB/s   ratio {b / a:6.2f}   {target}")


if __name__ == "__main__":
    main()
