"""poplib: every command it has, and LANG, AUTH and pipelining over its connection."""

import base64
import poplib
import smtplib

from common import BOB, BOB_PASSWORD, HOST, ports, tls

SENT = [f"Subject: number {n}\r\n\r\n.dot\r\nline {n}\r\n".encode() for n in range(3)]
INTERNATIONAL = "From: carol@elsewhere.example\r\nSubject: Grüße\r\n\r\nhallo\r\n".encode()


def connect():
    p = poplib.POP3("localhost", ports["pop3"])
    p.stls(tls())
    return p


def refused(action):
    try:
        action()
    except poplib.error_proto as e:
        return e.args[0]
    raise AssertionError("was not refused")


s = smtplib.SMTP(HOST, ports["smtp"])
for text in SENT:
    s.sendmail("carol@elsewhere.example", [BOB], text)
s.ehlo()
s.mail("carol@elsewhere.example", ["SMTPUTF8"])
s.rcpt(BOB)
assert s.data(INTERNATIONAL)[0] == 250
s.quit()

p = connect()
capabilities = p.capa()
assert capabilities["EXPIRE"] == ["NEVER"] and "LANG" in capabilities and "UTF8" in capabilities, capabilities
assert b"STLS" not in p._longcmd("CAPA")[1]
mechanisms = p._longcmd("AUTH")[1]
assert [m.decode() for m in mechanisms] == capabilities["SASL"], mechanisms
# There is no timestamp, and so no APOP.
refused(lambda: p.apop(BOB, BOB_PASSWORD))
assert refused(lambda: p._shortcmd("AUTH XYZ")).startswith(b"-ERR")
token = base64.b64encode(f"\0{BOB}\0{BOB_PASSWORD}".encode()).decode()
assert p._shortcmd(f"AUTH PLAIN {token}").startswith(b"+OK")
assert p.noop().startswith(b"+OK")
count, octets = p.stat()
assert count == 4
_, sizes, _ = p.list()
assert sum(int(row.split()[1]) for row in sizes) == octets
assert p.list(2).split()[1:] == sizes[1].split()
_, ids, _ = p.uidl()
assert len({row.split()[1] for row in ids}) == 4 and p.uidl(4).split()[1:] == ids[3].split()
for n in range(3):
    _, lines, got = p.retr(n + 1)
    body = b"\r\n".join(lines) + b"\r\n"
    assert body.endswith(SENT[n]), body
    assert len(body) == int(sizes[n].split()[1]), (len(body), sizes)
_, lines, _ = p.top(1, 1)
assert lines[-1] == b".dot" and b"Subject: number 0" in lines, lines
# Who is not in UTF-8 mode gets a header in ASCII.
_, lines, _ = p.retr(4)
assert b"Subject: =?utf-8?B?R3LDvMOfZQ==?=" in lines, lines
assert all(line.isascii() for line in lines)
assert p.dele(1).startswith(b"+OK") and p.dele(2).startswith(b"+OK")
assert p.stat()[0] == 2
refused(lambda: p.dele(1))
assert p.rset().startswith(b"+OK") and p.stat()[0] == 4
# Commands ahead of their answers.
p.sock.sendall(b"NOOP\r\nSTAT\r\nLIST 1\r\nDELE 3\r\n")
assert [p._getresp().split()[0] for _ in range(4)] == [b"+OK"] * 4
assert p._shortcmd("LANG de").startswith(b"+OK de ")
assert "gelöscht".encode() in p.dele(2)
assert b"en English" in p._longcmd("LANG")[1]
assert refused(lambda: p._shortcmd("LANG xx")).startswith(b"-ERR")
p.rset()
p.quit()

p = connect()
assert p.utf8().startswith(b"+OK")
refused(lambda: p._shortcmd("STLS"))
p.user(BOB)
p.pass_(BOB_PASSWORD)
_, lines, _ = p.retr(4)
assert "Subject: Grüße".encode() in lines, lines
_, again, _ = p.uidl()
assert again == ids, "unique ids changed"
for n in range(1, 5):
    p.dele(n)
p.quit()

p = connect()
p.user(BOB)
p.pass_(BOB_PASSWORD)
assert p.stat() == (0, 0) and p.list()[1] == [] and p.uidl()[1] == []
p.quit()
print("pop3_all: all as expected")
