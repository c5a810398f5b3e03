"""Holds `inspect --json` against Python's email package.

    inspect --json FILE... > ours.jsonl
    printf '%s\\n' FILE... > files
    python3 oracle.py files ours.jsonl

For each file it compares the tree of parts with their IMAP numbers, their content types, the SHA-256 of each decoded
body, the text of Subject, the people of From, To and Cc, and the moment of Date. Where the two differ, one of the
classes below must tell why, with its reason from the RFC; a difference without a class is an error.
"""

import collections
import email
import email.header
import email.utils
import hashlib
import inspect
import json
import quopri
import re
import subprocess
import sys

# --- what Python says -------------------------------------------------------------------------------------------


def numbered(part, path=()):
    """All parts with their IMAP part numbers (RFC 9051 section 6.4.5.1)."""
    yield path, part
    if not part.is_multipart():
        return
    if part.get_content_maintype() != "multipart":
        base = path or (1,)
        # message/delivery-status has blocks of fields that Python calls parts; IMAP does not.
        if part.get_content_type() not in ("message/rfc822", "message/global"):
            return
        part = part.get_payload()[0]
        if not (part.get_content_maintype() == "multipart" and part.is_multipart()):
            yield from numbered(part, base + (1,))
            return
        path = base
    for at, child in enumerate(part.get_payload(), 1):
        yield from numbered(child, path + (at,))


def octets(text):
    return text.encode("utf-8", "surrogateescape")


def raw_text(octets):
    """8-bit text in a header, as this project reads it."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def value(message, name):
    """The first field of a name, unfolded."""
    for key, text in message.raw_items():
        if key.lower() == name:
            return re.sub("[\r\n\0]", "", text).strip(" \t")
    return None


def decode(text):
    """Encoded words to text; a charset that Python does not know is left as a mark."""
    out = []
    for word, charset in email.header.decode_header(text):
        if charset is None:
            raw = octets(word) if isinstance(word, str) else word.decode("latin-1").encode("raw-unicode-escape")
            out.append(raw_text(raw))
            continue
        try:
            out.append(word.decode(charset.split("*")[0], "replace"))
        except LookupError:
            out.append("\ufffd<" + charset + ">")
    return "".join(out)


# Since 3.12.6 Python answers a list with a fault by no address at all, unless it is asked not to.
LOOSE = {"strict": False} if "strict" in inspect.signature(email.utils.getaddresses).parameters else {}


def people(text):
    found = email.utils.getaddresses([text], **LOOSE)
    return [(decode(name), raw_text(octets(address))) for name, address in found if name or address]


def moment(text):
    fields = email.utils.parsedate_tz(text)
    try:
        return fields and email.utils.mktime_tz(fields)
    except (ValueError, OverflowError):
        return None


def flat(members):
    """Our list without its groups, as Python tells it."""
    for member in members:
        for one in member.get("mailboxes", [member]):
            if one["name"] or one["address"]:
                yield one["name"] or "", one["address"] or ""


# --- why the two may differ -------------------------------------------------------------------------------------

CLASSES = {}


def because(kinds, reason):
    """Registers a class: its test gets a difference and says whether this is the reason for it."""

    def register(test):
        CLASSES[test.__name__] = (kinds.split(), reason, test)
        return test

    return register


def python_lost_the_header(difference):
    return any(
        type(defect).__name__ in ("MissingHeaderBodySeparatorDefect", "FirstHeaderLineIsContinuationDefect")
        for part in difference.message.walk()
        for defect in part.defects
    )


@because("tree type", "A multipart has at least one part (RFC 9051 section 9, body-type-mpart), and nothing may be "
         "hidden: where no part is found, all of the body is one text/plain part. Python has none.")
def no_parts(d):
    return d.defects & {"NoParts", "MissingBoundary"}


@because("tree type body subject people date", "White space before the colon is obsolete and must be read (RFC 5322 "
         "section 4.5); a line that is no field at all does not end the header, unless no empty line ends it. Python "
         "takes all from such a line on as the body.")
def lost_line(d):
    return python_lost_the_header(d) or re.search(rb"(?m)^From[ \t]+:", d.data)


@because("tree", "A part may name the boundary of the multipart around it, as some programs do: the innermost one that "
         "is open counts. RFC 2046 section 5.1.2 only says that boundaries must differ.")
def same_boundary(d):
    found = re.findall(rb'boundary="?([^"\r\n;]+)', d.data, re.I)
    return len(set(found)) < len(found)


@because("tree body", "A delimiter right behind a delimiter is a part without header and body: a delimiter starts at "
         "the beginning of a line (RFC 2046 section 5.1.1), so there are two of them. Python skips it.")
def empty_part(d):
    return re.search(rb"(?m)^--([^\r\n]+)\r?\n--\1", d.data)


@because("tree", "A boundary may be folded like all of a field (RFC 5322 section 2.2.3). Python leaves the line end in "
         "it, and finds no part.")
def folded_boundary(d):
    return re.search(rb'boundary="[^"\r\n]*\r?\n[ \t][^"]*"', d.data)


@because("tree", "The delimiter that a header names ends it, also when it has a colon, and so looks like a field with an odd "
         "name. Python reads it as one.")
def delimiter_as_field(d):
    return "UnendedHeader" in d.defects and re.search(rb"(?m)^--[^\r\n]*:", d.data)


@because("tree type", "Nesting has a limit of 100 levels by default.")
def too_deep(d):
    return "TooDeep" in d.defects


@because("tree", "A boundary has at most 70 octets (RFC 2046 section 5.1.1), and a line of more than 2,048 is no "
         "delimiter.")
def long_boundary(d):
    return re.search(rb"(?m)^--[^\r\n]{2000}", d.data)


@because("tree", "A boundary may end in hyphens: a line that is exactly the delimiter starts a part (RFC 2046 section "
         "5.1.1). Python takes it for the last one of another boundary.")
def hyphens(d):
    return re.search(rb'boundary="[^"]*--"', d.data)


@because("tree", "The first of two Content-Type fields counts for both, but Python ends a header at a line that "
         "starts with two hyphens, and we only at the delimiter that the header names.")
def doubled_content_type(d):
    return "DuplicateField" in d.defects and re.search(rb"(?m)^[^\r\n]+\r?\n--", d.data)


@because("tree type", "A parameter may follow without its semicolon: the type is the first token (RFC 2045 section 5.1). "
         "Python takes the whole text for the type.")
def lost_semicolon(d):
    return d.kind == "tree" and re.search(rb"multipart/\w+\s+boundary=", d.data) or (
        d.kind == "type" and re.match(re.escape(d.ours) + r"\s", d.theirs)
    )


@because("body", "White space and comments around the name of an encoding mean nothing (RFC 2045 section 6.1). Python "
         "does not know the name then.")
def name_of_encoding(d):
    name = str(d.part["content-transfer-encoding"]).lower()
    return name != d.encoding and name.split()[0] == d.encoding


@because("body", "Where the last delimiter is missing, the line end at the end of the file is no part of a delimiter "
         "(RFC 2046 section 5.1.1), but of the body. Python drops it.")
def unclosed(d):
    return "UnclosedMultipart" in d.defects and d.ours in (d.theirs + b"\n", d.theirs + b"\r\n")


@because("body", "White space at the end of a line of quoted-printable must be deleted (RFC 2045 section 6.7 rule 3); "
         "Python keeps it.")
def trailing_space(d):
    trim = lambda text: re.sub(rb"[ \t]+(?=\r?\n|\Z)", b"", text)
    return d.encoding == "quoted-printable" and d.ours == quopri.decodestring(trim(d.raw))


@because("body", "Of base64 that breaks off, or has octets too many, what can be decoded is (RFC 2045 section 6.8: all "
         "other characters must be ignored). Python leaves the body as it is.")
def python_gives_up(d):
    return d.encoding == "base64" and any(type(x).__name__ == "InvalidBase64LengthDefect" for x in d.part.defects)


@because("body", "Octets behind the padding of base64 are decoded, since bodies made of several pieces are more common "
         "than text behind a body (RFC 2045 section 6.8 leaves it open). Python stops there.")
def behind_padding(d):
    return d.encoding == "base64" and "DataAfterPadding" in d.defects and d.ours.startswith(d.theirs)


@because("body", "Data of uuencode that breaks off is decoded as far as it goes, and so are several files in one body. "
         "Python gives none, the first, or the body as it is.")
def uuencode(d):
    return "uu" in d.encoding and (d.ours.startswith(d.theirs) or d.theirs in (b"", d.raw))


@because("subject people", "8-bit octets inside of an encoded word are taken as they are in its charset. Python takes "
         "the word for text.")
def eight_bit_word(d):
    return "=?" in d.text and re.search("[\udc80-\udcff]", d.text)


@because("subject people", "Header text that is not UTF-8 has no charset (RFC 6532 section 3.2 allows no other), so that "
         "it is a guess: what is UTF-8 in it is taken as that, the rest as Windows-1252.")
def not_utf8(d):
    try:
        octets(d.text).decode("utf-8")
    except UnicodeDecodeError:
        return True


@because("subject people", "Python does not know the charset.")
def python_knows_no_charset(d):
    return "\ufffd<" in str(d.theirs)


@because("date", "A comment may stand between any two tokens (RFC 5322 section 4.3); Python stops reading at one before "
         "the zone.")
def comment_in_date(d):
    return "(" in d.text


@because("date", "A date as people see it, with `at` and `PM`, is no date of RFC 5322, but says which moment it means. "
         "Python has none, or drops the half of the day.")
def clock_of_twelve_hours(d):
    return re.search(r"\d [AP]M\b", d.text)


@because("date", "There is no hour 59: no date is better than a wrong one.")
def no_such_hour(d):
    return d.ours is None and re.search(r"\b59:10\b", d.text)


@because("people", "Python has no answer: it recurses for each word of a phrase.")
def recursion(d):
    return d.theirs is None


@because("people", "Words before an address without angle brackets are its name. RFC 5322 has no such form; Python "
         "makes them part of the address, or the first word an address.")
def no_brackets(d):
    return "<" not in d.text and " " in d.text and "," not in d.text


@because("people", "An address may stand in the place of a name, unquoted, which RFC 5322 does not allow, but is "
         "common. Python makes two mailboxes of one.")
def address_as_name(d):
    return re.search(r"[^\s<>,]+@[^\s<>,]+\s*<", d.text)


@because("people", "A comment is no part of a name (RFC 5322 section 3.2.2). Python appends it, or reads a parenthesis "
         "that has no partner as a comment to the end.")
def comment_in_name(d):
    return re.search(r"[()]", d.text)


@because("people", "A source route is a list of domains before a colon (RFC 5322 section 4.4) and no address. Python "
         "ends it at the comma or the space.")
def route(d):
    return re.search(r"<[^>]*:[^>]*@|<@", d.text)


@because("people", "Words that touch each other have no space between them. Python puts one around quoted strings, and "
         "drops none from a name that is only space.")
def quoted_words(d):
    squeeze = lambda people: [(re.sub(r"\s+", "", name), address) for name, address in people]
    return d.theirs is not None and '"' in d.text and squeeze(d.ours) == squeeze(d.theirs)


@because("people", "White space in an address is not significant (RFC 5322 section 3.4.1). Python keeps it.")
def space_in_address(d):
    squeeze = lambda people: [(name, address.replace(" ", "")) for name, address in people]
    return d.theirs is not None and squeeze(d.ours) == squeeze(d.theirs)


# --- comparison -------------------------------------------------------------------------------------------------


class Difference:
    def __init__(self, kind, ours, theirs, **context):
        self.kind, self.ours, self.theirs = kind, ours, theirs
        self.text, self.encoding, self.part = "", "", None
        self.__dict__.update(context)

    def classes(self):
        for name, (kinds, _, test) in CLASSES.items():
            if self.kind in kinds and test(self):
                yield name


def differences(data, record):
    message = email.message_from_bytes(data)
    defects = {defect["kind"] for defect in record["defects"]}
    context = {"data": data, "message": message, "defects": defects}

    ours = {part["path"]: part for part in record["parts"]}
    theirs = {".".join(map(str, path)): part for path, part in numbered(message)}
    if set(ours) != set(theirs):
        yield Difference("tree", sorted(ours), sorted(theirs), **context)
        # Equal numbers of two trees are not the same parts.
        ours = {}
    for path in sorted(ours):
        mine, part = ours[path], theirs[path]
        if mine["content_type"] != part.get_content_type():
            yield Difference("type", mine["content_type"], part.get_content_type(), **context)
        elif not part.is_multipart() and part.get_content_maintype() != "multipart":
            body = part.get_payload(decode=True) or b""
            if hashlib.sha256(body).hexdigest() != mine["decoded_sha256"]:
                yield Difference(
                    "body", b"", body, path=path, part=part, encoding=mine["encoding"],
                    raw=data[slice(*mine["body"])], **context
                )

    headers = record["headers"]
    text = value(message, "subject")
    answer = None if text is None else decode(text)
    if answer != headers["subject"]:
        yield Difference("subject", headers["subject"], answer, text=text or "", **context)
    text = value(message, "date")
    answer, ours = moment(text) if text else None, headers["date"] and headers["date"]["unix"]
    if answer != ours:
        yield Difference("date", ours, answer, text=text or "", **context)
    for name in ("from", "to", "cc"):
        text = value(message, name)
        try:
            answer = people(text or "")
        except RecursionError:
            answer = None
        if answer != list(flat(headers[name])):
            yield Difference("people", list(flat(headers[name])), answer, text=text or "", **context)


def main(files, records, decoded):
    counts, unknown, compared = collections.Counter(), 0, 0
    for file, line in zip(files, records):
        with open(file, "rb") as opened:
            data = opened.read()
        compared += 1
        for difference in differences(data, json.loads(line)):
            if difference.kind == "body":
                difference.ours = decoded(file, difference.path)
            reasons = list(difference.classes())
            counts[(difference.kind, reasons[0] if reasons else "UNKNOWN")] += 1
            if not reasons:
                unknown += 1
                ours, theirs = str(difference.ours)[:400], str(difference.theirs)[:400]
                print(f"{file}: {difference.kind} {difference.text[:200]!r}\n    ours   {ours!r}\n    Python {theirs!r}")
    for (kind, name), count in sorted(counts.items()):
        print(f"{count:5}  {kind:8} {name}: {CLASSES.get(name, ('', 'no class'))[1]}")
    print(f"{compared} files compared, {sum(counts.values())} differences, {unknown} without a class")
    return 1 if unknown or not compared else 0


def by_inspect(program):
    """Our decoded octets, fetched where a checksum differs."""
    return lambda file, path: subprocess.run([program, "--part", path, file], capture_output=True, check=True).stdout


if __name__ == "__main__":
    program, names, lines = sys.argv[1:]
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    with open(names, encoding="utf-8") as a, open(lines, encoding="utf-8") as b:
        sys.exit(main(a.read().splitlines(), b, by_inspect(program)))
