//! What holds between the rows of a sound database, and how it is restored

/// Something that has to hold.
pub(in crate::sqlite) struct Rule {
    /// What is not so where it is broken.
    pub(in crate::sqlite) what: &'static str,
    /// Selects what breaks it.
    pub(in crate::sqlite) broken: &'static str,
    /// Restores it; empty where that takes more than the rows.
    pub(in crate::sqlite) mend: &'static str,
}

/// Whose messages are: restored before all else.
pub(in crate::sqlite) const OWNERS: &[Rule] = &[
    Rule {
        what: "mailboxes without an account",
        broken: "SELECT id FROM mailbox WHERE account NOT IN (SELECT id FROM account)",
        mend: "INSERT OR IGNORE INTO account
               SELECT account, 'lost+found-' || account, max(uid_validity), 0, 0 FROM mailbox
               WHERE account NOT IN (SELECT id FROM account) GROUP BY account",
    },
    Rule {
        what: "messages without a mailbox",
        broken: "SELECT uid FROM message WHERE mailbox NOT IN (SELECT id FROM mailbox)",
        // The number of a mailbox serves as its UIDVALIDITY: no other of the account has it.
        mend: "INSERT OR IGNORE INTO account (name, last_uid_validity, octets, messages) VALUES ('lost+found', 0, 0, 0);
               INSERT INTO mailbox
               SELECT mailbox, (SELECT id FROM account WHERE name = 'lost+found'), 'mailbox-' || mailbox, NULL, mailbox,
                   max(uid) + 1, max(mod_seq), 0, 0, 0, 0, 0, max(mod_seq), 0
               FROM message WHERE mailbox NOT IN (SELECT id FROM mailbox) GROUP BY mailbox",
    },
];

/// What belongs to which body: it takes the bodies themselves to restore that.
pub(in crate::sqlite) const BODIES: &[Rule] = &[
    Rule {
        what: "messages without a body",
        broken: "SELECT uid FROM message WHERE blob NOT IN (SELECT id FROM blob)",
        mend: "",
    },
    Rule {
        what: "spool entries without a body",
        broken: "SELECT key FROM spool WHERE blob NOT IN (SELECT id FROM blob)",
        mend: "",
    },
    Rule {
        what: "bodies that belong to nothing",
        broken: "SELECT body.blob FROM body LEFT JOIN blob ON blob.id = body.blob WHERE blob.id IS NULL
                 UNION ALL SELECT id FROM blob WHERE id NOT IN (SELECT blob FROM message)
                 AND id NOT IN (SELECT blob FROM spool WHERE blob IS NOT NULL)",
        mend: "",
    },
];

/// All that follows from what there is, in an order in which none undoes another.
pub(in crate::sqlite) const NUMBERS: &[Rule] = &[
    Rule {
        what: "bodies that are kept twice",
        broken: "SELECT blob FROM body WHERE blob IN (SELECT id FROM blob WHERE pack IS NOT NULL)",
        mend: "DELETE FROM body WHERE blob IN (SELECT id FROM blob WHERE pack IS NOT NULL)",
    },
    Rule {
        what: "bodies whose links are not those that messages and spool entries have",
        broken: "SELECT blob.id FROM blob LEFT JOIN
                    (SELECT blob, count(*) AS n FROM
                        (SELECT blob FROM message UNION ALL SELECT blob FROM spool WHERE blob IS NOT NULL) GROUP BY blob)
                    AS u ON u.blob = blob.id WHERE links IS NOT n",
        mend: "UPDATE blob SET links = u.n FROM
                    (SELECT blob, count(*) AS n FROM
                        (SELECT blob FROM message UNION ALL SELECT blob FROM spool WHERE blob IS NOT NULL) GROUP BY blob)
                    AS u WHERE u.blob = blob.id",
    },
    Rule {
        what: "messages whose size is not that of their body",
        broken: "SELECT uid FROM message JOIN blob ON blob.id = message.blob WHERE message.octets != blob.octets",
        mend: "UPDATE message SET octets = blob.octets FROM blob
               WHERE blob.id = message.blob AND message.octets != blob.octets",
    },
    Rule {
        what: "messages without a thread",
        broken: "SELECT uid FROM message WHERE thread = 0",
        mend: "UPDATE message SET thread = blob WHERE thread = 0",
    },
    Rule {
        what: "mailboxes whose next UID or mod-sequence is not above those of their messages",
        broken: "SELECT id FROM mailbox AS m WHERE uid_next <= ifnull((SELECT max(uid) FROM message WHERE mailbox = m.id), 0)
                 OR mod_seq < ifnull((SELECT max(mod_seq) FROM message WHERE mailbox = m.id), 0)
                 OR uid_next <= ifnull((SELECT max(last) FROM expunged WHERE mailbox = m.id), 0)
                 OR mod_seq < ifnull((SELECT max(mod_seq) FROM expunged WHERE mailbox = m.id), 0)",
        mend: "UPDATE mailbox AS m SET
                 uid_next = max(uid_next, 1 + ifnull((SELECT max(uid) FROM message WHERE mailbox = m.id), 0),
                     1 + ifnull((SELECT max(last) FROM expunged WHERE mailbox = m.id), 0)),
                 mod_seq = max(mod_seq, ifnull((SELECT max(mod_seq) FROM message WHERE mailbox = m.id), 0),
                     ifnull((SELECT max(mod_seq) FROM expunged WHERE mailbox = m.id), 0))",
    },
    Rule {
        what: "expunged messages that are still there, or of mailboxes that are not",
        broken: "SELECT e.first FROM expunged AS e LEFT JOIN mailbox AS m ON m.id = e.mailbox
                 WHERE m.id IS NULL OR e.mod_seq <= m.forgotten
                 OR EXISTS (SELECT 1 FROM message WHERE mailbox = e.mailbox AND uid BETWEEN e.first AND e.last)",
        // Clients of such a mailbox compare what is there: its history is not to be trusted.
        mend: "UPDATE mailbox SET history = 0, forgotten = mod_seq WHERE id IN
                   (SELECT m.id FROM expunged AS e JOIN mailbox AS m ON m.id = e.mailbox WHERE e.mod_seq <= m.forgotten
                    OR EXISTS (SELECT 1 FROM message WHERE mailbox = e.mailbox AND uid BETWEEN e.first AND e.last));
               DELETE FROM expunged WHERE mailbox NOT IN (SELECT id FROM mailbox)
                   OR mod_seq <= (SELECT forgotten FROM mailbox WHERE id = expunged.mailbox)",
    },
    Rule {
        what: "mailboxes whose expunge history is not counted right",
        broken: "SELECT id FROM mailbox AS m WHERE history IS NOT
                    (SELECT ifnull(sum(last - first + 1), 0) FROM expunged WHERE mailbox = m.id)",
        mend: "UPDATE mailbox AS m SET history =
                    (SELECT ifnull(sum(last - first + 1), 0) FROM expunged WHERE mailbox = m.id)",
    },
    Rule {
        what: "mailboxes whose numbers are not those of their messages",
        broken: "SELECT id FROM mailbox AS m WHERE (messages, unseen, deleted, octets, deleted_octets) IS NOT
                    (SELECT count(*), ifnull(sum(flags & 1 = 0), 0), ifnull(sum(flags & 8 != 0), 0), ifnull(sum(octets), 0),
                     ifnull(sum(octets) FILTER (WHERE flags & 8 != 0), 0) FROM message WHERE mailbox = m.id)",
        mend: "UPDATE mailbox AS m SET (messages, unseen, deleted, octets, deleted_octets) =
                    (SELECT count(*), ifnull(sum(flags & 1 = 0), 0), ifnull(sum(flags & 8 != 0), 0), ifnull(sum(octets), 0),
                     ifnull(sum(octets) FILTER (WHERE flags & 8 != 0), 0) FROM message WHERE mailbox = m.id)",
    },
    Rule {
        what: "accounts whose usage is not the sum of their mailboxes",
        broken: "SELECT id FROM account AS a WHERE (messages, octets) IS NOT
                    (SELECT ifnull(sum(messages), 0), ifnull(sum(octets), 0) FROM mailbox WHERE account = a.id)",
        mend: "UPDATE account AS a SET (messages, octets) =
                    (SELECT ifnull(sum(messages), 0), ifnull(sum(octets), 0) FROM mailbox WHERE account = a.id)",
    },
    Rule {
        what: "accounts with a UIDVALIDITY above the last that was given, or one given twice",
        broken: "SELECT account.id FROM account JOIN mailbox ON account = account.id
                 GROUP BY account.id HAVING max(uid_validity) > last_uid_validity
                 OR count(DISTINCT uid_validity) < count(*)",
        // Of two mailboxes with the same one, the later gets one that was never given.
        mend: "UPDATE account AS a SET last_uid_validity =
                   max(last_uid_validity, ifnull((SELECT max(uid_validity) FROM mailbox WHERE account = a.id), 0));
               UPDATE mailbox AS m SET uid_validity = (SELECT last_uid_validity FROM account AS a WHERE a.id = m.account)
                   + (SELECT count(*) FROM mailbox AS o WHERE o.account = m.account AND o.id <= m.id)
                   WHERE EXISTS (SELECT 1 FROM mailbox AS o
                       WHERE o.account = m.account AND o.uid_validity = m.uid_validity AND o.id < m.id);
               UPDATE account AS a SET last_uid_validity =
                   max(last_uid_validity, ifnull((SELECT max(uid_validity) FROM mailbox WHERE account = a.id), 0))",
    },
    Rule {
        what: "keys of threads that have no message in their account",
        broken: "SELECT 1 FROM thread_key AS k WHERE NOT EXISTS
                    (SELECT 1 FROM message JOIN mailbox ON mailbox.id = message.mailbox
                     WHERE message.thread = k.thread AND mailbox.account = k.account)",
        mend: "DELETE FROM thread_key AS k WHERE NOT EXISTS
                    (SELECT 1 FROM message JOIN mailbox ON mailbox.id = message.mailbox
                     WHERE message.thread = k.thread AND mailbox.account = k.account)",
    },
    Rule {
        what: "texts and sketches that belong to nothing",
        broken: "SELECT blob FROM text WHERE blob NOT IN (SELECT id FROM blob)
                 UNION ALL SELECT blob FROM sketch WHERE blob NOT IN (SELECT id FROM blob)",
        mend: "DELETE FROM text WHERE blob NOT IN (SELECT id FROM blob);
               DELETE FROM sketch WHERE blob NOT IN (SELECT id FROM blob)",
    },
    Rule {
        what: "annotations and rights on mailboxes that are gone",
        broken: "SELECT mailbox FROM annotation WHERE mailbox != 0 AND mailbox NOT IN (SELECT id FROM mailbox)
                 UNION ALL SELECT mailbox FROM acl WHERE mailbox NOT IN (SELECT id FROM mailbox)",
        mend: "DELETE FROM annotation WHERE mailbox != 0 AND mailbox NOT IN (SELECT id FROM mailbox);
               DELETE FROM acl WHERE mailbox NOT IN (SELECT id FROM mailbox)",
    },
    Rule {
        what: "ids above the last that was given",
        broken: "SELECT 1 FROM mailbox WHERE id > (SELECT value FROM counter WHERE name = 'mailbox')
                 UNION ALL SELECT 1 FROM spool WHERE key > (SELECT value FROM counter WHERE name = 'spool')
                 UNION ALL SELECT 1 FROM blob WHERE id > (SELECT value FROM counter WHERE name = 'blob')
                 UNION ALL SELECT 1 FROM message WHERE thread > (SELECT value FROM counter WHERE name = 'thread')",
        mend: "UPDATE counter SET value = max(value, CASE name
                   WHEN 'mailbox' THEN (SELECT ifnull(max(id), 0) FROM mailbox)
                   WHEN 'spool' THEN (SELECT ifnull(max(key), 0) FROM spool)
                   WHEN 'blob' THEN (SELECT ifnull(max(id), 0) FROM blob)
                   ELSE (SELECT ifnull(max(thread), 0) FROM message) END)",
    },
];
