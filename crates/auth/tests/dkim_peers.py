"""Signs and verifies with dkimpy, for dkim_peers.rs.

  dkim_peers.py probe
  dkim_peers.py verify RECORD < message             prints True or False
  dkim_peers.py sign ALGORITHM KEY HEADER/BODY      prints the field; KEY is a file in PEM, or a seed in base64
"""

import sys

import dkim

command, *arguments = sys.argv[1:]
if command == "probe":
    import nacl.signing  # noqa: F401  (Ed25519 needs it)
elif command == "verify":
    record = arguments[0].encode()
    print(dkim.verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: record))
elif command == "sign":
    algorithm, key, ways = arguments
    if algorithm == "rsa-sha256":
        with open(key, "rb") as file:
            key = file.read()
    else:
        key = key.encode()
    ways = tuple(way.encode() for way in ways.split("/"))
    field = dkim.sign(
        sys.stdin.buffer.read(), b"s", b"a.test", key, canonicalize=ways, signature_algorithm=algorithm.encode()
    )
    sys.stdout.buffer.write(field)
else:
    sys.exit("unknown command")
