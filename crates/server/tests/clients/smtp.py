"""smtplib against SMTP, submission with STARTTLS and with TLS, and LMTP."""

import smtplib
from email import policy
from email.message import EmailMessage

from common import ALICE, ALICE_PASSWORD, BOB, HOST, eventually, ports, refused, tls


def message(subject, to=BOB, body="Hello\n.leading dot\n..two dots\n"):
    m = EmailMessage(policy=policy.SMTP)
    m["From"], m["To"], m["Subject"] = ALICE, to, subject
    m["Message-ID"] = f"<{subject.replace(' ', '.')}@client.example>"
    m.set_content(body)
    return m


def submission():
    s = smtplib.SMTP(HOST, ports["submission"])
    s.ehlo("client.example")
    return s


# Mail from outside comes in without AUTH, for local people only.
s = smtplib.SMTP(HOST, ports["smtp"], local_hostname="client.example")
code, _ = s.ehlo()
assert code == 250
for extension in ["pipelining", "size", "8bitmime", "enhancedstatuscodes", "starttls"]:
    assert s.has_extn(extension), f"{extension} is not offered: {s.esmtp_features}"
assert s.sendmail("carol@elsewhere.example", [BOB], message("from outside").as_bytes()) == {}
refused("550", lambda: s.sendmail("carol@elsewhere.example", ["eve@elsewhere.example"], b"x"), smtplib.SMTPRecipientsRefused)
refused("550", lambda: s.sendmail("carol@elsewhere.example", ["nobody@localhost"], b"x"), smtplib.SMTPRecipientsRefused)
partly = s.sendmail("carol@elsewhere.example", [BOB, "nobody@localhost"], message("partly").as_bytes())
assert list(partly) == ["nobody@localhost"] and partly["nobody@localhost"][0] == 550, partly
assert s.noop()[0] == 250 and s.rset()[0] == 250 and s.help()
assert s.verify("bob")[0] in (250, 252)
assert s.docmd("XYZZY")[0] in (500, 502)
assert s.docmd("RCPT", "TO:<bob@localhost>")[0] == 503
assert s.docmd("MAIL", "FROM:<a@b.example> SIZE=99999999999999999999999")[0] in (501, 552)
assert s.docmd("MAIL", "FROM:<a@b.example> SIZE=9999999999999")[0] == 552
assert s.quit()[0] == 221

# TLS on the port where mail comes in.
s = smtplib.SMTP("localhost", ports["smtp"])
s.starttls(context=tls())
assert s.sendmail("", [BOB], message("null sender").as_bytes()) == {}
s.quit()

# Submission wants TLS before AUTH, and AUTH before mail.
s = submission()
assert not s.has_extn("auth"), "AUTH is offered in the clear"
refused("5", lambda: s.sendmail(ALICE, [BOB], b"x"), smtplib.SMTPSenderRefused)
s.close()

s = smtplib.SMTP("localhost", ports["submission"])
s.starttls(context=tls())
s.ehlo("client.example")
assert "PLAIN" in s.esmtp_features["auth"].upper()
refused("535", lambda: s.login(ALICE, "wrong"), smtplib.SMTPAuthenticationError)
s.login(ALICE, ALICE_PASSWORD)
refused("5", lambda: s.sendmail("bob@localhost", [BOB], b"x"), (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused))
assert s.send_message(message("starttls")) == {}
assert s.send_message(message("again on one connection")) == {}
s.quit()

s = smtplib.SMTP_SSL("localhost", ports["submissions"], context=tls())
refused("535", lambda: s.login("nobody@localhost", "wrong"), smtplib.SMTPAuthenticationError)
s.close()

for mechanism in ["auth_plain", "auth_login"]:
    s = smtplib.SMTP_SSL("localhost", ports["submissions"], context=tls())
    s.ehlo("client.example")
    s.user, s.password = ALICE, ALICE_PASSWORD
    name = mechanism.removeprefix("auth_").upper()
    code, _ = s.auth(name, getattr(s, mechanism))
    assert code == 235, code
    assert s.send_message(message(f"tls {name}")) == {}
    s.quit()

# Programs of our own users may send bare line feeds, which are mended; strangers may not.
s = smtplib.SMTP_SSL("localhost", ports["submissions"], context=tls())
s.login(ALICE, ALICE_PASSWORD)
assert s.sendmail(ALICE, [BOB], b"Subject: line feeds\n\n.one\ntwo\n") == {}
s.quit()
s = smtplib.SMTP(HOST, ports["smtp"])
refused("550", lambda: s.sendmail("carol@elsewhere.example", [BOB], b"Subject: line feeds\n\none\n"), smtplib.SMTPDataError)
s.quit()

# A message without Date and Message-ID, with 8-bit text and a long body.
s = smtplib.SMTP_SSL("localhost", ports["submissions"], context=tls())
s.login(ALICE, ALICE_PASSWORD)
raw = b"From: alice@localhost\r\nTo: bob@localhost\r\nSubject: bare minimum\r\n\r\n"
raw += "grüße\r\n".encode() + b"x" * 900 + b"\r\n" + b"line of text\r\n" * 100_000
assert s.sendmail(ALICE, [BOB], raw, mail_options=["BODY=8BITMIME"]) == {}
s.quit()

# LMTP answers once for each recipient.
s = smtplib.LMTP(HOST, ports["lmtp"])
s.ehlo("client.example")
assert s.sendmail("carol@elsewhere.example", [BOB, ALICE], message("lmtp").as_bytes()) == {}
s.quit()
print("smtp: all as expected")
