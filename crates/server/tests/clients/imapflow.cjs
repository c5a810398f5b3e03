// imapflow: a mailbox that is opened again with QRESYNC, and IDLE.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const { ImapFlow } = require("imapflow");

const ports = JSON.parse(process.argv[2]);
const ca = fs.readFileSync(process.argv[3]);

const open = async (options = {}) => {
    const client = new ImapFlow({
        host: "localhost",
        port: ports.imaps,
        secure: true,
        tls: { ca },
        auth: { user: "bob@localhost", pass: "builder" },
        logger: false,
        qresync: true,
        ...options,
    });
    client.on("error", (error) => {
        throw error;
    });
    await client.connect();
    return client;
};

const mail = (n) => `From: carol@elsewhere.example\r\nSubject: flow ${n}\r\n\r\nnumber ${n}\r\n`;
const happens = (client, name, test = () => true) =>
    new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${name} never came`)), 20000);
        client.on(name, (event) => {
            if (test(event)) {
                clearTimeout(late);
                resolve(event);
            }
        });
    });

(async () => {
    const one = await open();
    assert(one.enabled.has("QRESYNC"), "QRESYNC was enabled");
    await one.mailboxCreate("Flow/Grüße");
    for (let n = 1; n <= 5; n++) {
        const added = await one.append("Flow/Grüße", mail(n), n === 2 ? ["\\Seen"] : []);
        assert.equal(added.uid, n);
    }
    const box = await one.mailboxOpen("Flow/Grüße");
    assert.equal(box.exists, 5);
    const rows = await one.fetchAll("1:*", { uid: true, flags: true, envelope: true, bodyStructure: true, source: true });
    assert.deepEqual(rows.map((row) => row.uid), [1, 2, 3, 4, 5]);
    assert.equal(rows[3].source.toString(), mail(4));
    assert.equal(rows[0].envelope.subject, "flow 1");
    assert(rows[1].flags.has("\\Seen"));
    assert.deepEqual(await one.search({ header: { subject: "flow 3" } }, { uid: true }), [3]);
    await one.messageFlagsAdd("1:2", ["\\Flagged"], { uid: true });
    const moved = await one.messageMove("5", "Archive", { uid: true });
    assert.equal(moved.uidMap.size, 1);
    const since = { modseq: one.mailbox.highestModseq, validity: one.mailbox.uidValidity };
    await one.mailboxClose();

    // What another device does in the meantime is told at the next opening.
    const two = await open();
    await two.mailboxOpen("Flow/Grüße");
    await two.messageDelete("3", { uid: true });
    await two.messageFlagsAdd("4", ["\\Answered"], { uid: true });

    const three = await open();
    const gone = happens(three, "expunge", (event) => event.vanished && event.uid === 3);
    const flagged = happens(three, "flags", (event) => event.uid === 4 && event.flags.has("\\Answered"));
    await three.mailboxOpen("Flow/Grüße", { changedSince: since.modseq, uidValidity: since.validity });
    await Promise.all([gone, flagged]);

    // IDLE: what the other device does is told while this one waits.
    const grown = happens(three, "exists", (event) => event.count === 4 && event.prevCount === 3);
    const changed = happens(three, "flags", (event) => event.uid === 1);
    const fewer = happens(three, "expunge", (event) => event.uid === 2);
    three.idle();
    await new Promise((resolve) => setTimeout(resolve, 200));
    await two.append("Flow/Grüße", mail(6));
    await two.messageFlagsRemove("1", ["\\Flagged"], { uid: true });
    await two.messageDelete("2", { uid: true });
    await Promise.all([grown, changed, fewer]);
    const status = await three.status("Flow/Grüße", { messages: true, uidNext: true, highestModseq: true });
    assert.equal(status.messages, 3);

    await three.mailboxClose();
    await two.logout();
    await three.mailboxDelete("Flow/Grüße");
    await three.logout();
    await one.logout();
    console.log("imapflow: all as expected");
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
