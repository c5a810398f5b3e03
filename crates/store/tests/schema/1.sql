-- The tables as version 1 has made them.
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_uid_validity INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    messages INTEGER NOT NULL
) STRICT;
CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    special_use TEXT,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    mod_seq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    history INTEGER NOT NULL,
    forgotten INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT;
CREATE TABLE subscription (
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE message (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    mod_seq INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    keywords TEXT,
    internal_date INTEGER NOT NULL,
    save_date INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    blob INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_mod_seq ON message (mailbox, mod_seq);
CREATE TABLE expunged (
    mailbox INTEGER NOT NULL,
    mod_seq INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (mailbox, mod_seq, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE blob (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    octets INTEGER NOT NULL,
    links INTEGER NOT NULL,
    pack INTEGER,
    start INTEGER,
    part_index BLOB NOT NULL
) STRICT;
CREATE INDEX blob_pack ON blob (pack, start) WHERE pack IS NOT NULL;
CREATE TABLE body (
    blob INTEGER PRIMARY KEY,
    crc INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE TABLE spool (
    key INTEGER PRIMARY KEY,
    record BLOB NOT NULL,
    blob INTEGER
) STRICT;
PRAGMA application_id = 1297576564;
PRAGMA user_version = 1;
