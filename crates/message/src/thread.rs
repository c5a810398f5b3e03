//! Threads: base subjects and the identifiers to thread by (RFC 5256 §2.1, §3)

use std::borrow::Cow;

use crate::header::Headers;

/// The identifiers that tie a message to others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Links<'a> {
    /// Its own identifier.
    pub id: Option<Cow<'a, str>>,
    /// The messages before it, from the first of the thread to the one it answers.
    pub ancestors: Vec<Cow<'a, str>>,
}

impl<'a> Links<'a> {
    /// Reads them as RFC 5256 §3 has it for REFERENCES: the References field, or where that has none, the first
    /// identifier of In-Reply-To.
    ///
    /// An identifier that came before, and the message's own, are left out: a message is not its own ancestor.
    ///
    /// ```
    /// use mailwright_message::{header::Headers, thread::Links};
    /// let headers = Headers::new(b"Message-ID: <c@x>\r\nReferences: <a@x>\r\n <b@x> <c@x>\r\n\r\n");
    /// let links = Links::of(&headers);
    /// assert_eq!(links.id.as_deref(), Some("c@x"));
    /// assert_eq!(links.ancestors, ["a@x", "b@x"]);
    /// assert_eq!(links.ids().collect::<Vec<_>>(), ["c@x", "b@x", "a@x"]);
    /// ```
    pub fn of(headers: &Headers<'a>) -> Self {
        let id = headers.message_id();
        let mut ancestors: Vec<_> = headers.references().collect();
        if ancestors.is_empty() {
            ancestors.extend(headers.in_reply_to().next());
        }
        let mut seen = std::collections::HashSet::new();
        ancestors.retain(|ancestor| Some(ancestor) != id.as_ref() && seen.insert(ancestor.clone()));
        Self { id, ancestors }
    }

    /// All identifiers, the nearest first: two messages that share one are of one thread.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let ancestors = self.ancestors.iter().rev();
        self.id.iter().chain(ancestors).map(|id| &**id)
    }

    /// The message that this one answers.
    pub fn parent(&self) -> Option<&str> {
        self.ancestors.last().map(|id| &**id)
    }
}

/// The base subject, exactly as RFC 5256 §2.1 has every server compute it. `subject` is decoded text.
///
/// ```
/// use mailwright_message::thread::base_subject;
/// assert_eq!(base_subject("Re: [list] Fwd[2]: Hello  world (fwd)"), "Hello world");
/// assert_eq!(base_subject("[fwd: Re: Hello]"), "Hello");
/// ```
pub fn base_subject(subject: &str) -> String {
    base(subject, &STANDARD).0
}

/// Whether taking the base of a subject removes a mark of a reply or a forward: the message is one then (RFC 5256
/// §2.1).
///
/// ```
/// use mailwright_message::thread::is_reply_or_forward;
/// assert!(is_reply_or_forward("Re: Hello") && is_reply_or_forward("Hello (fwd)"));
/// assert!(!is_reply_or_forward("[list] Hello"));
/// ```
pub fn is_reply_or_forward(subject: &str) -> bool {
    base(subject, &STANDARD).1
}

/// As [`base_subject`], with the marks of replies and forwards that programs write in other languages than English:
/// for showing threads to people, not for SORT and THREAD.
///
/// ```
/// use mailwright_message::thread::loose_base_subject;
/// assert_eq!(loose_base_subject("AW: SV: Ответ: hello (wg)"), "hello");
/// ```
pub fn loose_base_subject(subject: &str) -> String {
    base(subject, &LOOSE).0
}

/// Which marks count.
struct Marks {
    /// Before a colon.
    is_prefix: fn(&str) -> bool,
    /// In parentheses at the end.
    is_trailer: fn(&str) -> bool,
}

const STANDARD: Marks = Marks {
    is_prefix: |word| {
        ["re", "fw", "fwd"]
            .iter()
            .any(|mark| word.eq_ignore_ascii_case(mark))
    },
    is_trailer: |word| word.eq_ignore_ascii_case("fwd"),
};

const LOOSE: Marks = Marks {
    is_prefix: is_mark,
    is_trailer: is_mark,
};

fn is_mark(word: &str) -> bool {
    let word = word.trim().to_lowercase();
    MARKS.contains(&&*word)
}

/// The base, and whether a mark was removed.
fn base(subject: &str, marks: &Marks) -> (String, bool) {
    // Step 1.
    let words: Vec<&str> = subject.split_whitespace().collect();
    let subject = words.join(" ");
    let (mut rest, mut marked) = (&*subject, false);
    loop {
        rest = trim_trailers(rest, marks, &mut marked);
        rest = trim_leaders(rest, marks, &mut marked);
        // Step 6.
        match forwarded(rest, marks) {
            Some(inner) => (rest, marked) = (inner, true),
            None => return (rest.to_owned(), marked),
        }
    }
}

/// Step 2.
fn trim_trailers<'s>(text: &'s str, marks: &Marks, marked: &mut bool) -> &'s str {
    let mut rest = text.trim_end();
    while let Some(inner) = rest.strip_suffix(')') {
        let Some(at) = inner.rfind('(') else {
            break;
        };
        if !(marks.is_trailer)(&inner[at + 1..]) {
            break;
        }
        rest = inner[..at].trim_end();
        *marked = true;
    }
    rest
}

/// Steps 3 to 5.
fn trim_leaders<'s>(text: &'s str, marks: &Marks, marked: &mut bool) -> &'s str {
    let mut rest = text.trim_start();
    loop {
        let mut behind = rest;
        while let Some(after) = blob(behind) {
            behind = after;
        }
        let Some(after) = refwd(behind, marks) else {
            break;
        };
        rest = after.trim_start();
        *marked = true;
    }
    // Step 4: no mark is behind these blobs, nor will be when one of them is gone.
    while let Some(after) = blob(rest).filter(|after| !after.is_empty()) {
        rest = after;
    }
    rest
}

/// `[list] `: what is behind it.
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    inner[end..].strip_prefix(']').map(str::trim_start)
}

/// `Re:`, `Fwd [2]:`: what is behind it.
fn refwd<'s>(text: &'s str, marks: &Marks) -> Option<&'s str> {
    // No mark has more octets; this keeps the search from running through long texts again and again.
    let end = text
        .bytes()
        .take(MAX_MARK)
        .position(|b| matches!(b, b':' | b'['))?;
    let (word, mut rest) = text.split_at(end);
    if !(marks.is_prefix)(word.trim_end()) {
        return None;
    }
    if let Some(after) = blob(rest) {
        rest = after;
    }
    rest.strip_prefix(':')
}

/// `[fwd: …]`: what is inside.
fn forwarded<'s>(text: &'s str, marks: &Marks) -> Option<&'s str> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (word, inner) = inner.split_at_checked(inner.bytes().take(MAX_MARK).position(|b| b == b':')?)?;
    let forward = word.eq_ignore_ascii_case("fwd") || (marks.is_trailer)(word);
    forward.then(|| &inner[1..])
}

const MAX_MARK: usize = 48;

/// In lower case.
const MARKS: &[&str] = &[
    // English, and programs that count
    "re",
    "fw",
    "fwd",
    "reply",
    "forward",
    "ans",
    // German
    "aw",
    "antwort",
    "wg",
    "weitergeleitet",
    // Dutch
    "antw",
    "doorst",
    "doorgestuurd",
    "betr",
    // Danish, Norwegian, Swedish, Icelandic, Finnish, Estonian
    "sv",
    "svar",
    "vs",
    "videresendt",
    "vb",
    "vidarebefordrat",
    "vastaus",
    "vl",
    "välitetty",
    "ed",
    "edastatud",
    "fs",
    "framsenda",
    // French
    "réf",
    "rép",
    "tr",
    "transfert",
    // Spanish, Portuguese, Italian, Catalan
    "rv",
    "respuesta",
    "reenviado",
    "res",
    "resposta",
    "enc",
    "encaminhado",
    "r",
    "rif",
    "i",
    "inoltro",
    // Hungarian, Polish, Czech, Croatian, Romanian
    "vá",
    "válasz",
    "továbbítás",
    "odp",
    "odpowiedź",
    "pd",
    "podaj dalej",
    "odg",
    "odgovor",
    "prosljeđeno",
    "ynt",
    // Greek
    "απ",
    "απντ",
    "σχετ",
    "απάντηση",
    "πρθ",
    "προωθημένο",
    // Turkish: the dot of a capital İ stays behind when it is made small.
    "yanıt",
    "yan",
    "ilt",
    "i\u{307}lt",
    "iletilen",
    "i\u{307}letilen",
    // Latvian, Lithuanian
    "atb",
    "atbilde",
    "pārs",
    "pārsūtīts",
    "ats",
    "atsakymas",
    "persiųsta",
    // Welsh, Indonesian, Malay
    "ateb",
    "yml",
    "ymlaen",
    "bls",
    "balas",
    "trs",
    "teruskan",
    // Hebrew, Arabic, Persian
    "השב",
    "תשובה",
    "הועבר",
    "העברה",
    "رد",
    "إعادة توجيه",
    "پاسخ",
    // Russian, Ukrainian, Bulgarian
    "отв",
    "ответ",
    "пересылка",
    "переслано",
    "відп",
    "відповідь",
    "отг",
    "препратено",
    // Chinese, Japanese, Korean
    "回复",
    "答复",
    "转发",
    "回覆",
    "轉寄",
    "返信",
    "転送",
    "회신",
    "답장",
    "전달",
    // Thai, Tamil, Vietnamese
    "ตอบกลับ",
    "ส่งต่อ",
    "பதில்",
    "முன்னனுப்பு",
    "trả lời",
    "chuyển tiếp",
];
