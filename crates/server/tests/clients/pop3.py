"""poplib: STLS and TLS, listing, retrieving, deleting at QUIT only, and one session at a time."""

import poplib
import smtplib

from common import BOB, BOB_PASSWORD, HOST, ports, tls

SENT = b"Subject: for pop\r\nFrom: carol@elsewhere.example\r\n\r\n.dot\r\nline two\r\nline three\r\n"


def login():
    p = poplib.POP3_SSL("localhost", ports["pop3s"], context=tls())
    p.user(BOB)
    p.pass_(BOB_PASSWORD)
    return p


def refused(action):
    try:
        action()
    except poplib.error_proto as e:
        return str(e)
    raise AssertionError("was not refused")


# Start from an empty maildrop.
p = login()
for n in range(1, p.stat()[0] + 1):
    p.dele(n)
p.quit()

s = smtplib.SMTP(HOST, ports["smtp"])
for _ in range(3):
    s.sendmail("carol@elsewhere.example", [BOB], SENT)
s.quit()

# In the clear, no password is taken.
p = poplib.POP3("localhost", ports["pop3"])
capabilities = p.capa()
assert {"STLS", "UIDL", "TOP", "PIPELINING", "RESP-CODES"} <= set(capabilities), capabilities
refused(lambda: (p.user(BOB), p.pass_(BOB_PASSWORD)))
p.quit()

p = poplib.POP3("localhost", ports["pop3"])
p.stls(tls())
assert "STLS" not in p.capa()
p.user(BOB)
refused(lambda: p.pass_("wrong"))
p.user(BOB)
p.pass_(BOB_PASSWORD)
assert p.stat()[0] == 3
assert "[IN-USE]" in refused(login)
p.quit()

p = login()
_, listing, _ = p.list()
assert len(listing) == 3
_, uidl, _ = p.uidl()
assert len({l.split()[1] for l in uidl}) == 3
assert p.uidl(2).split()[1:] == uidl[1].split(), (p.uidl(2), uidl)
_, lines, _ = p.retr(2)
body = b"\r\n".join(lines) + b"\r\n"
assert body.endswith(SENT), body
assert body.startswith(b"Return-Path: <carol@elsewhere.example>"), body
assert b"Received: from " in body
size = int(listing[1].split()[1])
assert size == len(body), (size, len(body))
_, top, _ = p.top(2, 1)
assert top[-1] == b".dot" and b"line two" not in top, top
p.dele(2)
assert p.stat()[0] == 2
refused(lambda: p.retr(2))
refused(lambda: p.retr(9))
p.rset()
assert p.stat()[0] == 3
p.dele(1)
p.close()  # the connection drops without QUIT: nothing is deleted

p = login()
assert p.stat()[0] == 3
assert [l.split()[1] for l in p.uidl()[1]] == [l.split()[1] for l in uidl], "UIDLs changed"
p.dele(1)
p.dele(3)
p.quit()

p = login()
assert [l.split()[1] for l in p.uidl()[1]] == [uidl[1].split()[1]]
p.quit()
print("pop3: all as expected")
