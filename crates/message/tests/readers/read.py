"""Reads built messages with Python's email package, and says what it found.

Input: messages, each behind a line with its length. Output: for each one a line of JSON.
"""

import email
import email.policy
import json
import sys


def parts(message):
    for part in message.walk():
        body = None
        if not part.is_multipart():
            body = part.get_payload(decode=True)
            if part.get_content_maintype() == "text":
                body = body.decode(part.get_content_charset("us-ascii"), "backslashreplace").replace("\r\n", "\n")
            else:
                body = body.hex()
        yield {"type": part.get_content_type(), "filename": part.get_filename(), "body": body}


def addresses(field):
    return [[a.display_name, a.addr_spec] for a in field.addresses] if field else []


while line := sys.stdin.buffer.readline():
    octets = sys.stdin.buffer.read(int(line))
    message = email.message_from_bytes(octets, policy=email.policy.SMTP)
    print(json.dumps({
        "subject": message["subject"],
        "to": addresses(message["to"]),
        "groups": [group.display_name for group in message["to"].groups] if message["to"] else [],
        "parts": list(parts(message)),
        "defects": [str(d) for part in message.walk() for d in part.defects],
        "header_defects": [str(d) for _, field in message.items() for d in field.defects],
    }))
