"""What the client scripts share: the ports of the server under test and a context that trusts its certificate."""

import json
import ssl
import sys
import time

ports = json.loads(sys.argv[1])
certificate = sys.argv[2]
HOST = "127.0.0.1"
ALICE, ALICE_PASSWORD = "alice@localhost", "wonder land"
BOB, BOB_PASSWORD = "bob@localhost", "builder"


def tls():
    """A context that verifies: the certificate is self-made, and trusted by name."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = True
    return context


def eventually(what, probe, seconds=20):
    """Returns the first true answer of `probe`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never happened: {what}")


def refused(code, action, error):
    """Runs `action`, which must fail with `error` and a code that starts with `code`."""
    try:
        action()
    except error as e:
        got = getattr(e, "smtp_code", None)
        if got is None and getattr(e, "recipients", None):
            got = next(iter(e.recipients.values()))[0]
        assert str(got or "").startswith(code), f"{e!r} instead of {code}"
        return e
    raise AssertionError(f"was not refused with {code}")
