"""imaplib against imap_facade: reading, searching, what cannot be done, and what comes and goes."""

import imaplib
import os
import sys

port, folder = int(sys.argv[1]), sys.argv[2]


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


m = imaplib.IMAP4("127.0.0.1", port)
try:
    m.login("me", "wrong")
    raise AssertionError("a wrong password was let in")
except imaplib.IMAP4.error:
    pass
ok(m.login("me", "secret"))
offered = m.capability()[1][0].decode().split()
assert "IDLE" in offered and "ESEARCH" in offered, offered
for changing in ["MOVE", "UIDPLUS", "CREATE-SPECIAL-USE", "APPENDLIMIT", "QUOTA", "ACL", "METADATA", "CONDSTORE"]:
    assert not any(name.split("=")[0] == changing for name in offered), offered
names = b"\n".join(ok(m.list()))
assert b"INBOX" in names and b"Lists" in names, names
assert ok(m.status("Lists", "(MESSAGES UNSEEN)"))[0].count(b"MESSAGES 1")
assert m.create("New")[0] == "NO" and m.delete("Lists")[0] == "NO"

try:
    m.select("INBOX")
    raise AssertionError("it can be written to")
except imaplib.IMAP4.readonly:
    pass
assert ok(m.select("INBOX", readonly=True)) == [b"1"]
message = ok(m.fetch("1", "(UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[])"))[0]
assert message[1] == b"Subject: from a file\r\nContent-Type: text/plain\r\n\r\nA needle in it.\r\n", message
assert b"RFC822.SIZE %d" % len(message[1]) in message[0] and b"from a file" in message[0], message
assert ok(m.fetch("1", "(BODY[TEXT])"))[0][1] == b"A needle in it.\r\n"
assert ok(m.uid("SEARCH", "TEXT", "NEEDLE")) == [b"1"] and ok(m.uid("SEARCH", "SUBJECT", "needle")) == [b""]
assert m.store("1", "+FLAGS", r"(\Seen)")[0] == "NO"
assert m.copy("1", "Lists")[0] == "NO"
assert m.append("INBOX", None, None, b"Subject: x\r\n\r\n")[0] == "NO"

# A file that is put there wakes whoever idles; one that is removed, too.
tag = m._new_tag()
m.send(tag + b" IDLE\r\n")
assert m.readline().startswith(b"+")
part = os.path.join(folder, "2.part")
with open(part, "w") as file:
    file.write("Subject: second\n\nCame later.\n")
os.rename(part, os.path.join(folder, "2.eml"))
assert m.readline().strip() == b"* 2 EXISTS"
os.remove(os.path.join(folder, "1.eml"))
assert m.readline().strip() == b"* 1 EXPUNGE"
m.send(b"DONE\r\n")
while not (line := m.readline()).startswith(tag):
    pass
assert ok(m.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1] == b"Subject: second\r\n\r\n"
m.logout()
print("imap_facade: all as expected")
