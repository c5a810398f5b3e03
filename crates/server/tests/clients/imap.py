"""imaplib: create, append, copy, move, store, search, fetch in all its forms, expunge, idle."""

import calendar
import imaplib
import re
import smtplib
import time

from common import ALICE, ALICE_PASSWORD, BOB, BOB_PASSWORD, HOST, eventually, ports, tls

MESSAGE = (
    b"From: Carol =?utf-8?q?M=C3=BCller?= <carol@elsewhere.example>\r\n"
    b"To: Bob <bob@localhost>, \"Smith, A.\" <a.smith@elsewhere.example>\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0100\r\n"
    b"Subject: =?utf-8?b?R3LDvMOfZQ==?= aus K=?utf-8?q?=C3=B6ln?=\r\n"
    b"Message-ID: <one@elsewhere.example>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=\"=_b\"\r\n"
    b"\r\n"
    b"preamble\r\n"
    b"--=_b\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n"
    b"Caf=C3=A9 with a needle in it\r\n"
    b"--=_b\r\n"
    b"Content-Type: application/octet-stream; name=\"data.bin\"\r\n"
    b"Content-Disposition: attachment; filename=\"data.bin\"\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    b"AAECAwQFBgcICQ==\r\n"
    b"--=_b--\r\n"
)


def ok(answer, what=""):
    kind, data = answer
    assert kind == "OK", f"{what}: {answer}"
    return data


def uids(client, *criteria):
    data = ok(client.uid("SEARCH", *criteria), criteria)
    return [int(u) for u in (data[0] or b"").split()]


# Plaintext login is refused before TLS.
m = imaplib.IMAP4("localhost", ports["imap"])
assert "LOGINDISABLED" in m.capabilities and "STARTTLS" in m.capabilities, m.capabilities
ok(m.starttls(tls()))
assert "LOGINDISABLED" not in m.capabilities
try:
    m.login(BOB, "wrong")
    raise AssertionError("a wrong password was let in")
except imaplib.IMAP4.error:
    pass
ok(m.login(BOB, BOB_PASSWORD))
m.logout()

m = imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=tls())
ok(m.authenticate("PLAIN", lambda _: b"\0" + BOB.encode() + b"\0" + BOB_PASSWORD.encode()))
for capability in ["IMAP4REV1", "IDLE", "UIDPLUS", "NAMESPACE", "LITERAL+", "UNSELECT", "CHILDREN", "SPECIAL-USE", "MOVE", "ID"]:
    assert capability in m.capability()[1][0].decode().upper().split(), f"{capability} is not offered"
ok(m.xatom("ID", '("name" "imaplib")'))
ok(m.namespace())

# Folders.
listed = b"\n".join(ok(m.list()))
for use in [rb"\Sent", rb"\Drafts", rb"\Junk", rb"\Trash", rb"\Archive"]:
    assert use in listed, listed
name = "Projekte/K&APY-ln"  # Köln in modified UTF-7
ok(m.create(name))
ok(m.subscribe(name))
assert any(name.encode() in l for l in ok(m.list('""', '"Projekte/*"')))
assert any(name.encode() in l for l in ok(m.lsub()))
assert m.create(name)[0] == "NO"
ok(m.rename(name, "Projekte/Bonn"))
assert not any(name.encode() in l for l in ok(m.list()) if l)

# Append: flags and date are kept, and the UID is told.
m.literal = None
answer = ok(m.append("Projekte/Bonn", r"(\Flagged $Work)", '"01-Feb-2024 03:04:05 +0200"', MESSAGE))
assert re.search(rb"\[APPENDUID \d+ 1\]", answer[0]), answer
assert m.append("Nowhere", None, None, MESSAGE)[0] == "NO"
for n in range(2, 6):
    ok(m.append("Projekte/Bonn", None, None, MESSAGE.replace(b"<one@", b"<n%d@" % n)))
assert ok(m.status("Projekte/Bonn", "(MESSAGES UNSEEN UIDNEXT RECENT UIDVALIDITY)"))[0].count(b"MESSAGES 5")

# Select and fetch.
assert ok(m.select("Projekte/Bonn", readonly=False)) == [b"5"]
data = ok(m.fetch("1", "(FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"))
text = b" ".join(p if isinstance(p, bytes) else b" ".join(p) for p in data)
assert b"RFC822.SIZE %d" % len(MESSAGE) in text, text
assert b"$Work" in text and rb"\Flagged" in text, text
appended = calendar.timegm((2024, 2, 1, 1, 4, 5))
assert time.mktime(imaplib.Internaldate2tuple(text)) == appended, text
assert b'"one@elsewhere.example"' not in text and b"<one@elsewhere.example>" in text
assert b'"carol" "elsewhere.example"' in text and b'"Smith, A."' in text, text
assert b'("TEXT" "PLAIN" ("CHARSET" "utf-8")' in text.upper().replace(b"UTF-8", b"utf-8"), text
assert b'"ATTACHMENT" ("FILENAME" "DATA.BIN")' in text.upper(), text

whole = ok(m.fetch("1", "(BODY.PEEK[])"))[0][1]
assert whole == MESSAGE, "the bytes changed"
assert ok(m.fetch("1", "(RFC822.HEADER)"))[0][1] == MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]
assert ok(m.fetch("1", "(BODY.PEEK[1])"))[0][1] == b"Caf=C3=A9 with a needle in it"
assert ok(m.fetch("1", "(BODY.PEEK[2.MIME])"))[0][1].startswith(b"Content-Type: application/octet-stream")
assert ok(m.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1].startswith(b"Subject: =?utf-8?b?")
partial = ok(m.fetch("1", "(BODY.PEEK[]<10.20>)"))[0]
assert b"BODY[]<10>" in partial[0] and partial[1] == MESSAGE[10:30], partial
assert ok(m.fetch("1", "(FLAGS)"))[0].count(rb"\Seen") == 0
ok(m.fetch("1", "(BODY[TEXT])"))
assert ok(m.fetch("1", "(FLAGS)"))[0].count(rb"\Seen") == 1

# Search.
assert uids(m, "ALL") == [1, 2, 3, 4, 5]
assert uids(m, "SEEN") == [1] and uids(m, "KEYWORD", "$Work") == [1]
assert uids(m, "HEADER", "Message-ID", "n3@") == [3]
assert uids(m, "TEXT", "NEEDLE") == [1, 2, 3, 4, 5] and uids(m, "BODY", "haystack") == []
assert uids(m, "BEFORE", "1-Mar-2024") == [1] and uids(m, "SENTON", "23-Nov-2026") == [1, 2, 3, 4, 5]
assert uids(m, "OR", "UID", "2", "NOT", "UID", "1:4") == [2, 5]
assert uids(m, "LARGER", "100", "SMALLER", "100000", "FROM", "carol") == [1, 2, 3, 4, 5]
m.literal = "Grüße".encode()
assert ok(m.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT"))[0].split() == [b"1", b"2", b"3", b"4", b"5"]
m.literal = None

# Store, copy, move, expunge.
ok(m.store("2:3", "+FLAGS", r"(\Deleted)"))
ok(m.store("1", "FLAGS.SILENT", r"(\Answered)"))
assert uids(m, "DELETED") == [2, 3] and uids(m, "ANSWERED") == [1] and uids(m, "FLAGGED") == []
answer = m.copy("1:2", "Archive")
assert answer[0] == "OK" and b"COPYUID" in answer[1][0], answer
answer = m.uid("MOVE", "5", "Archive")
assert answer[0] == "OK", answer
assert m.response("EXPUNGE") == ("EXPUNGE", [b"5"])
assert uids(m, "ALL") == [1, 2, 3, 4]
assert [int(n) for n in ok(m.expunge())] == [2, 2]
assert uids(m, "ALL") == [1, 4]
assert m.copy("1", "Nowhere")[0] == "NO"
ok(m.select("Archive"))
assert len(uids(m, "ALL")) == 3
ok(m.store("1:*", "+FLAGS", r"(\Deleted)"))
ok(m.close())
assert ok(m.status("Archive", "(MESSAGES)"))[0].count(b"MESSAGES 0")
ok(m.select("Projekte/Bonn"))
ok(m.unselect())
ok(m.delete("Projekte/Bonn"))

# Idle: a delivery wakes it within a second.
ok(m.select("INBOX"))
before = len(uids(m, "ALL"))
tag = m._new_tag()
m.send(tag + b" IDLE\r\n")
assert m.readline().startswith(b"+")
s = smtplib.SMTP(HOST, ports["smtp"])
started = time.monotonic()
s.sendmail("carol@elsewhere.example", [BOB], b"Subject: wake up\r\n\r\nNow\r\n")
line = m.readline()
took = time.monotonic() - started
assert line.strip() == b"* %d EXISTS" % (before + 1), line
assert took < 1, f"IDLE woke after {took:.2f} s"
s.quit()
m.send(b"DONE\r\n")
while not (line := m.readline()).startswith(tag):
    assert line.startswith(b"*"), line
assert b"OK" in line
m.logout()

# Two devices: what one does, the other sees.
phone, laptop = (imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=tls()) for _ in range(2))
for device in (phone, laptop):
    ok(device.login(BOB, BOB_PASSWORD))
    ok(device.select("INBOX"))
first = uids(phone, "ALL")[0]
ok(phone.uid("STORE", str(first), "+FLAGS", r"(\Flagged)"))
eventually("the other device sees the flag", lambda: first in uids(laptop, "FLAGGED"))
ok(phone.uid("STORE", str(first), "+FLAGS", r"(\Deleted)"))
ok(phone.uid("EXPUNGE", str(first)))
eventually("the other device sees the expunge", lambda: laptop.noop() and first not in uids(laptop, "ALL"))
phone.logout()
laptop.logout()
print("imap: all as expected")
