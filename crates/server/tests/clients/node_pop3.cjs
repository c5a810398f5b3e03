// node-pop3: its methods, by TLS and by STLS.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const Pop3Command = require("node-pop3");

const ports = JSON.parse(process.argv[2]);
const ca = fs.readFileSync(process.argv[3]);

const open = (options = {}) =>
    new Pop3Command({
        user: "bob@localhost",
        password: "builder",
        host: "localhost",
        port: ports.pop3s,
        tls: true,
        tlsOptions: { ca },
        servername: "localhost",
        ...options,
    });

const main = async () => {
    const pop3 = open();
    const uidl = await pop3.UIDL();
    assert.strictEqual(uidl.length, 4);
    assert.strictEqual(new Set(uidl.map(([, uid]) => uid)).size, 4);
    assert.deepStrictEqual(await pop3.UIDL(3), uidl[2]);
    assert.strictEqual((await pop3.LIST()).length, 4);
    assert.match(await pop3.STAT(), /^4 \d+$/);
    // It leaves the dot-stuffing in, and the last line end out.
    const message = await pop3.RETR(2);
    assert.ok(message.trimEnd().endsWith("\r\n\r\n..dot\r\nnumber 1"), message);
    const top = await pop3.TOP(2, 1);
    assert.ok(top.includes("Subject: message 1") && !top.includes("number 1"), top);
    await pop3.NOOP();
    await pop3.DELE(1);
    await pop3.RSET();
    await pop3.DELE(4);
    await pop3.QUIT();
    const again = open();
    assert.deepStrictEqual(await again.UIDL(), uidl.slice(0, 3));
    await again.QUIT();
    await assert.rejects(open({ password: "wrong" }).UIDL(), /wrong user name/);
    console.log("node_pop3: all as expected");
    // It leaves the connection open whose login failed.
    process.exit(0);
};

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
