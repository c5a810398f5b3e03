"""imaplib over every capability that is offered: each has its trial, and one without fails."""

import imaplib
import re
import time
import zlib

from common import BOB, BOB_PASSWORD, ports, tls

MESSAGE = (
    b"From: Carol <carol@elsewhere.example>\r\nTo: bob@localhost\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\n"
    b"Message-ID: <%d@elsewhere.example>\r\nSubject: number %d\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n"
)


def message(number):
    return MESSAGE % (number, number)


class Client(imaplib.IMAP4_SSL):
    """imaplib's connection; commands that it has no methods for are sent as they stand."""

    def __init__(self, login=True):
        super().__init__("localhost", ports["imaps"], ssl_context=tls())
        if login:
            self.login(BOB, BOB_PASSWORD)

    def responses(self, tag):
        """Everything up to the tagged line, literals in their places."""
        told = []
        while True:
            line = self.readline()
            assert line, "the server closed"
            while size := re.search(rb"\{(\d+)\}\r\n$", line):
                line += self.read(int(size[1])) + self.readline()
            told.append(line.rstrip(b"\r\n"))
            if line.startswith(tag + b" "):
                return told

    def say(self, *parts, want=b"OK"):
        """Sends a command, whose odd parts are literals; returns what the server tells."""
        tag = self._new_tag()
        line = tag + b" "
        for n, part in enumerate(parts):
            line += part if n % 2 == 0 else b"{%d+}\r\n" % len(part) + part
        self.send(line + b"\r\n")
        told = self.responses(tag)
        assert told[-1].startswith(tag + b" " + want), (parts, told)
        return told


def has(told, pattern):
    found = [m for line in told if (m := re.search(pattern, line))]
    assert found, (pattern, told)
    return found[0]


def append(client, number, mailbox=b"Trials", flags=b""):
    literal = message(number)
    return client.say(b"APPEND " + mailbox + b" " + flags, literal)


def fresh(count=3):
    """A client that has a mailbox selected with so many messages."""
    client = Client()
    client.say(b"CREATE Trials")
    for number in range(1, count + 1):
        append(client, number)
    client.say(b"SELECT Trials")
    return client


def over(client):
    client.say(b"UNSELECT")
    client.say(b"DELETE Trials")
    client.logout()


def extended(trial):
    """Runs a trial with a mailbox of three messages."""

    def run():
        client = fresh()
        trial(client)
        over(client)

    return run


def sasl_ir():
    client = Client(login=False)
    client.say(b"AUTHENTICATE PLAIN AGJvYkBsb2NhbGhvc3QAYnVpbGRlcg==")
    client.logout()


def unauthenticate():
    client = Client()
    client.say(b"UNAUTHENTICATE")
    client.say(b"LIST \"\" *", want=b"BAD")
    client.say(b"LOGIN bob@localhost builder")
    client.logout()


def compress():
    client = Client()
    client.say(b"COMPRESS DEFLATE")
    deflate, inflate = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
    got = b""
    client.send(deflate.compress(b"z1 NOOP\r\nz2 LOGOUT\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH))
    while b"z2 OK" not in got:
        piece = client.sock.recv(4096)
        assert piece, got
        got += inflate.decompress(piece)
    assert b"z1 OK" in got, got
    client.shutdown()


def uidonly():
    client = fresh()
    client.say(b"ENABLE UIDONLY")
    told = client.say(b"UID FETCH 2 FLAGS")
    has(told, rb"^\* 2 UIDFETCH \(FLAGS \(")
    client.say(b"FETCH 1 FLAGS", want=b"BAD [UIDREQUIRED]")
    client.say(b"UID STORE 1 +FLAGS (\\Deleted)")
    has(client.say(b"UID EXPUNGE 1"), rb"^\* VANISHED 1$")
    over(client)


def idle():
    client, other = fresh(), Client()
    tag = client._new_tag()
    client.send(tag + b" IDLE\r\n")
    assert client.readline().startswith(b"+")
    append(other, 9)
    assert client.readline() == b"* 4 EXISTS\r\n"
    client.send(b"DONE\r\n")
    client.responses(tag)
    other.logout()
    over(client)


def condstore(c):
    has(c.say(b"SELECT Trials (CONDSTORE)"), rb"\[HIGHESTMODSEQ \d+\]")
    seq = int(has(c.say(b"FETCH 1 (FLAGS MODSEQ)"), rb"MODSEQ \((\d+)\)")[1])
    c.say(b"STORE 1 +FLAGS (\\Seen)")
    has(c.say(b"STORE 1 (UNCHANGEDSINCE %d) +FLAGS (\\Flagged)" % seq), rb"\[MODIFIED 1\]")
    assert len(c.say(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % seq)) >= 2
    has(c.say(b"SEARCH MODSEQ %d" % (seq + 1)), rb"^\* SEARCH .*1.* \(MODSEQ \d+\)$")
    has(c.say(b"STATUS Trials (HIGHESTMODSEQ)"), rb"HIGHESTMODSEQ \d+")


def qresync(c):
    c.say(b"ENABLE QRESYNC")
    told = c.say(b"SELECT Trials")
    validity, highest = has(told, rb"UIDVALIDITY (\d+)")[1], has(told, rb"HIGHESTMODSEQ (\d+)")[1]
    other = Client()
    other.say(b"SELECT Trials")
    other.say(b"UID STORE 2 +FLAGS (\\Deleted)")
    other.say(b"UID EXPUNGE 2")
    other.say(b"UID STORE 3 +FLAGS (\\Flagged)")
    other.logout()
    has(c.say(b"NOOP"), rb"^\* VANISHED 2$")
    told = c.say(b"SELECT Trials (QRESYNC (%s %s 1:3))" % (validity, highest))
    has(told, rb"^\* VANISHED \(EARLIER\) 2$")
    has(told, rb"^\* 2 FETCH \(UID 3 FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)$")


def searchres(c):
    c.say(b"SEARCH RETURN (SAVE) UID 2:3")
    assert len(c.say(b"FETCH $ FLAGS")) == 3


def within(c):
    has(c.say(b"SEARCH YOUNGER 3600"), rb"^\* SEARCH 1 2 3$")
    has(c.say(b"SEARCH OLDER 3600"), rb"^\* SEARCH$")


def binary(c):
    has(c.say(b"FETCH 1 BINARY.PEEK[1]"), rb"BINARY\[1\] ~?\{5\}\r\n\x00\x01\x02\x03\x04\)")
    has(c.say(b"FETCH 1 BINARY.SIZE[1]"), rb"BINARY.SIZE\[1\] 5\)")
    body = message(9).replace(b"base64", b"binary").replace(b"AAECAwQ=", b"\x00\x01")
    tag = c._new_tag()
    c.send(tag + b" APPEND Trials ~{%d+}\r\n" % len(body) + body + b"\r\n")
    has(c.responses(tag), rb"APPENDUID")


def multiappend(c):
    tag, (one, two) = c._new_tag(), (message(5), message(6))
    literals = b" {%d+}\r\n%s (\\Seen) {%d+}\r\n%s" % (len(one), one, len(two), two)
    c.send(tag + b" APPEND Trials" + literals + b"\r\n")
    has(c.responses(tag), rb"\[APPENDUID \d+ 4:5\]")


def catenate(c):
    head = b"Subject: put together\r\n\r\n"
    told = c.say(b"APPEND Trials CATENATE (TEXT ", head, b" URL \"/Trials/;UID=1/;SECTION=1\")")
    has(told, rb"\[APPENDUID \d+ 4\]")
    has(c.say(b"FETCH 4 BODY.PEEK[]"), re.escape(head + b"AAECAwQ="))


def replace(c):
    body = message(7)
    told = c.say(b"UID REPLACE 2 Trials ", body)
    has(told, rb"APPENDUID \d+ 4")
    has(told, rb"^\* 2 EXPUNGE")


def quota(c):
    has(c.say(b"GETQUOTAROOT Trials"), rb"^\* QUOTAROOT \"?Trials\"?")


def set_quota(c):
    # Bob is no administrator.
    has(c.say(b'SETQUOTA "alice@localhost" (STORAGE 1)', want=b"NO"), rb"NO \[NOPERM\]")


def acl(c):
    has(c.say(b"MYRIGHTS Trials"), rb"^\* MYRIGHTS \"?Trials\"? \"?[a-z]*l[a-z]*")
    c.say(b"SETACL Trials alice@localhost lrs")
    has(c.say(b"GETACL Trials"), rb"alice@localhost\"? \"?lrs")
    has(c.say(b"LISTRIGHTS Trials alice@localhost"), rb"^\* LISTRIGHTS ")
    c.say(b"DELETEACL Trials alice@localhost")


def metadata(c):
    c.say(b"SETMETADATA Trials (/private/comment \"mine\")")
    has(c.say(b"GETMETADATA Trials /private/comment"), rb"^\* METADATA \"?Trials\"? \(/private/comment \"?(\{4\}\r\n)?mine")
    c.say(b"SETMETADATA Trials (/private/comment NIL)")


def partial(c):
    has(c.say(b"UID SEARCH RETURN (PARTIAL 1:2) ALL"), rb"PARTIAL \(1:2 1:2\)")
    has(c.say(b"UID SEARCH RETURN (PARTIAL -1:-1) ALL"), rb"PARTIAL \(-1:-1 3\)")
    assert len(c.say(b"UID FETCH 1:* FLAGS (PARTIAL 1:2)")) == 3


def notify(c):
    c.say(b"NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge)) (PERSONAL (MailboxName))")
    other = Client()
    other.say(b"CREATE Noticed")
    has(c.say(b"NOOP"), rb"^\* LIST \(.*\) \"/\" \"?Noticed\"?")
    other.say(b"DELETE Noticed")
    other.logout()
    c.say(b"NOTIFY NONE")


def utf8(c):
    c.say(b"ENABLE UTF8=ACCEPT")
    c.say("CREATE \"Grüße\"".encode())
    has(c.say(b"LIST \"\" *"), "Grüße".encode())
    c.say("DELETE \"Grüße\"".encode())


def rev2(c):
    c.say(b"ENABLE IMAP4rev2")
    told = c.say(b"SELECT Trials")
    assert not any(b"RECENT" in line for line in told), told
    has(told, rb"^\* LIST \(\) \"/\" \"?Trials\"?")
    has(c.say(b"SEARCH ALL"), rb"^\* ESEARCH \(TAG \"\w+\"\) ALL 1:3$")


def list_of(returns, pattern):
    return extended(lambda c: has(c.say(b"LIST \"\" Trials RETURN (%s)" % returns), pattern))


def answers(command, pattern):
    return extended(lambda c: has(c.say(command), pattern))


def special_use():
    client = Client()
    has(client.say(b"LIST (SPECIAL-USE) \"\" *"), rb"^\* LIST \(.*\\Sent.*\) \"/\" ")
    client.say(b"CREATE Papierkorb (USE (\\Trash))", want=b"")
    client.say(b"DELETE Papierkorb", want=b"")
    client.logout()


def uidplus(c):
    c.say(b"UID STORE 1:2 +FLAGS (\\Deleted)")
    has(c.say(b"UID EXPUNGE 2:3"), rb"^\* 2 EXPUNGE$")
    has(c.say(b"UID COPY 1 Trials"), rb"\[COPYUID \d+ 1 4\]")


def move(c):
    told = c.say(b"UID MOVE 2 Archive")
    has(told, rb"\[COPYUID \d+ 2 \d+\]")
    has(told, rb"^\* 2 EXPUNGE$")


def appendlimit(c):
    limit = int(has(c.say(b"CAPABILITY"), rb"APPENDLIMIT=(\d+)")[1])
    tag = c._new_tag()
    c.send(tag + b" APPEND Trials {%d}\r\n" % (limit + 1))
    has(c.responses(tag), tag + rb" NO \[TOOBIG\]")


def object_id(c):
    has(c.say(b"FETCH 1 (EMAILID)"), rb"EMAILID \(\S+\)")
    has(c.say(b"STATUS Trials (MAILBOXID)"), rb"MAILBOXID \(\S+\)")


def expunged_in_select(c):
    c.say(b"UNSELECT")
    c.say(b"SELECT Trials")


TRIALS = {
    "IMAP4REV1": answers(b"NOOP", rb"OK"),
    "IMAP4REV2": extended(rev2),
    "LITERAL+": extended(lambda c: append(c, 4)),
    "LITERAL-": extended(lambda c: append(c, 4)),
    "SASL-IR": sasl_ir,
    "ENABLE": answers(b"ENABLE CONDSTORE", rb"^\* ENABLED CONDSTORE$"),
    "ID": answers(b"ID (\"name\" \"imaplib\")", rb"^\* ID "),
    "IDLE": idle,
    "NAMESPACE": answers(b"NAMESPACE", rb"^\* NAMESPACE \(\(\"\" \"/\"\)\)"),
    "UIDPLUS": extended(uidplus),
    "UNSELECT": extended(expunged_in_select),
    "CHILDREN": answers(b"LIST \"\" Trials", rb"\\HasNoChildren"),
    "SPECIAL-USE": special_use,
    "CREATE-SPECIAL-USE": special_use,
    "MOVE": extended(move),
    "ESEARCH": answers(b"SEARCH RETURN (MIN MAX COUNT ALL) ALL", rb"MIN 1 MAX 3 .*COUNT 3|COUNT 3"),
    "STATUS=SIZE": answers(b"STATUS Trials (SIZE)", rb"SIZE %d" % (3 * len(message(1)))),
    "STATUS=DELETED": answers(b"STATUS Trials (DELETED)", rb"DELETED 0"),
    "LIST-EXTENDED": list_of(b"SUBSCRIBED CHILDREN", rb"^\* LIST \(.*\) \"/\" \"?Trials\"?"),
    "LIST-STATUS": list_of(b"STATUS (MESSAGES)", rb"^\* STATUS \"?Trials\"? \(MESSAGES 3\)"),
    "LIST-MYRIGHTS": list_of(b"MYRIGHTS", rb"^\* MYRIGHTS \"?Trials\"? "),
    "LIST-METADATA": list_of(b"METADATA (/private/comment)", rb"^\* METADATA \"?Trials\"? "),
    "APPENDLIMIT": extended(appendlimit),
    "QUOTA": extended(quota),
    "QUOTASET": extended(set_quota),
    "ACL": extended(acl),
    "RIGHTS": extended(acl),
    "METADATA": extended(metadata),
    "COMPRESS": compress,
    "UNAUTHENTICATE": unauthenticate,
    "CONDSTORE": extended(condstore),
    "QRESYNC": extended(qresync),
    "SEARCHRES": extended(searchres),
    "WITHIN": extended(within),
    "PARTIAL": extended(partial),
    "BINARY": extended(binary),
    "MULTIAPPEND": extended(multiappend),
    "CATENATE": extended(catenate),
    "REPLACE": extended(replace),
    "UTF8": extended(utf8),
    "OBJECTID": extended(object_id),
    "SAVEDATE": answers(b"FETCH 1 SAVEDATE", rb"SAVEDATE \"[ \d]\d-"),
    "PREVIEW": answers(b"FETCH 1 PREVIEW", rb"PREVIEW "),
    "UIDONLY": uidonly,
    "SORT": answers(b"SORT (REVERSE SUBJECT) UTF-8 ALL", rb"^\* SORT 3 2 1$"),
    "SORT=DISPLAY": answers(b"SORT (DISPLAYFROM REVERSE ARRIVAL) UTF-8 ALL", rb"^\* SORT [123 ]{5}$"),
    "ESORT": answers(b"SORT RETURN (MIN COUNT) (SUBJECT) UTF-8 ALL", rb"^\* ESEARCH .*COUNT 3"),
    "THREAD": answers(b"THREAD REFERENCES UTF-8 ALL", rb"^\* THREAD \("),
    "MULTISEARCH": answers(b"ESEARCH IN (mailboxes Trials) ALL", rb"^\* ESEARCH \(TAG .*MAILBOX \"?Trials\"? "),
    "INPROGRESS": answers(b"SEARCH TEXT number", rb"^\* SEARCH 1 2 3$"),
    "NOTIFY": extended(notify),
    "AUTH": sasl_ir,
    "STARTTLS": lambda: None,  # imap.py begins with it
}

started = time.monotonic()
client = Client(login=False)
offered = client.say(b"CAPABILITY")[0].decode().split()[2:]
client.login(BOB, BOB_PASSWORD)
offered += client.say(b"CAPABILITY")[0].decode().split()[2:]
client.say(b"DELETE Trials", want=b"")
client.logout()
tried = []
for capability in dict.fromkeys(offered):
    name = capability.upper()
    trial = TRIALS.get(name) or TRIALS.get(name.split("=")[0])
    assert trial, f"{capability} is offered, and nobody has tried it"
    if trial not in tried:
        tried.append(trial)
        try:
            trial()
        except Exception as e:
            raise AssertionError(f"{capability}") from e
print(f"{len(tried)} trials in {time.monotonic() - started:.1f} s: all as expected")
