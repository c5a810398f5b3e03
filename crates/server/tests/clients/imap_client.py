"""imapclient: folders, appending, fetching, searching, sorting, moving, idling, quota and condstore."""

from datetime import datetime

from common import BOB, BOB_PASSWORD, ports, tls
from imapclient import IMAPClient

MAIL = b"From: Carol <carol@elsewhere.example>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?= %d\r\n\r\nnumber %d\r\n"


def login():
    client = IMAPClient("localhost", port=ports["imaps"], ssl_context=tls())
    client.login(BOB, BOB_PASSWORD)
    return client


with login() as client:
    offered = {c.decode() for c in client.capabilities()}
    assert client.enable("CONDSTORE") == [b"CONDSTORE"]
    client.id_({"name": "imapclient"})
    assert client.namespace().personal == (("", "/"),), client.namespace()
    folder = "Projekte/Köln"
    client.create_folder(folder)
    client.subscribe_folder(folder)
    names = [name for _, _, name in client.list_folders()]
    assert folder in names and "INBOX" in names, names
    assert folder in [name for _, _, name in client.list_sub_folders()]
    assert client.find_special_folder(b"\\Sent"), names
    for n in range(1, 6):
        flags = ["\\Flagged"] if n == 3 else []
        client.append(folder, MAIL % (n, n), flags, datetime(2024, 2, n, 3, 4, 5))
    if "MULTIAPPEND" in offered:
        client.multiappend(folder, [MAIL % (6, 6), {"msg": MAIL % (7, 7), "flags": ["\\Seen"]}])
    assert client.folder_status(folder, ["MESSAGES", "UIDNEXT"]) == {b"MESSAGES": 7, b"UIDNEXT": 8}

    assert client.select_folder(folder)[b"EXISTS"] == 7
    rows = client.fetch(client.search(), ["FLAGS", "ENVELOPE", "INTERNALDATE", "RFC822.SIZE", "BODYSTRUCTURE", "BODY.PEEK[]"])
    assert sorted(rows) == [1, 2, 3, 4, 5, 6, 7]
    assert rows[3][b"BODY[]"] == MAIL % (3, 3) and rows[3][b"FLAGS"] == (b"\\Flagged",)
    assert rows[2][b"ENVELOPE"].from_[0].mailbox == b"carol"
    assert rows[5][b"INTERNALDATE"].day == 5 and rows[1][b"RFC822.SIZE"] == len(MAIL % (1, 1))
    assert client.search(["SUBJECT", "grüße 4"], "UTF-8") == [4]
    assert client.search("FLAGGED") == [3] and client.search(["NOT", "SEEN"]) == [1, 2, 3, 4, 5, 6]
    if "SORT" in offered:
        assert client.sort("REVERSE ARRIVAL")[-5:] == [5, 4, 3, 2, 1]
    if "THREAD=REFERENCES" in offered:
        threads = client.thread()
        assert sorted(n for thread in threads for n in thread) == [1, 2, 3, 4, 5, 6, 7], threads
    assert b"$Work" in client.add_flags([1, 2], ["$Work"])[1]
    assert b"$Work" not in client.remove_flags(1, ["$Work"])[1]
    assert client.get_flags([2])[2] == (b"$Work",)
    before = client.folder_status("Archive", ["MESSAGES"])[b"MESSAGES"]
    client.copy([1], "Archive")
    client.move([1, 2], "Archive")
    assert client.folder_status("Archive", ["MESSAGES"])[b"MESSAGES"] == before + 3
    assert client.search() == [3, 4, 5, 6, 7]
    client.delete_messages([3, 4])
    client.uid_expunge([3])
    assert client.search() == [4, 5, 6, 7]
    client.expunge()
    assert client.search() == [5, 6, 7]
    rows = client.fetch([5], ["MODSEQ"])
    client.add_flags([6], ["\\Answered"])
    changed = client.fetch([5, 6, 7], ["FLAGS"], [f"CHANGEDSINCE {rows[5][b'MODSEQ'][0]}"])
    assert 6 in changed and 5 not in changed, changed

    client.idle()
    with login() as other:
        other.append(folder, MAIL % (8, 8))
    told = client.idle_check(timeout=20)
    assert (4, b"EXISTS") in told, told
    client.idle_done()
    if "QUOTA" in offered:
        client.get_quota_root("INBOX")
    if "ACL" in offered:
        client.setacl(folder, "alice@localhost", "lr")
        assert (b"alice@localhost", b"lr") in client.getacl(folder), client.getacl(folder)
    client.unselect_folder()
    client.rename_folder(folder, "Projekte/Bonn")
    assert client.folder_exists("Projekte/Bonn") and not client.folder_exists(folder)
    client.delete_folder("Projekte/Bonn")
    assert client.noop()[0] == b"Noop completed"
print("imapclient: all as expected")
