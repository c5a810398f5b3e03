//! Compressed RTF (MS-OXRTFCP §2.2)

use super::Reader;

/// Decompresses RTF as mail of Outlook has it; `None` when it is none, is damaged, or is longer than `max` octets.
///
/// A reference of two octets stands for 17 at the most, so the result is at most nine times as long as the input.
pub fn decompress(input: &[u8], max: usize) -> Option<Vec<u8>> {
    const COMPRESSED: u32 = 0x7546_5a4c;
    const PLAIN: u32 = 0x414c_454d;
    let mut reader = Reader { input, at: 0 };
    let rest = reader.u32()? as usize;
    let raw_len = reader.u32()? as usize;
    let kind = reader.u32()?;
    reader.u32()?;
    let content = &input[16..input.len().min(rest.saturating_add(4)).max(16)];
    match kind {
        PLAIN if raw_len <= max => Some(content[..content.len().min(raw_len)].to_vec()),
        COMPRESSED => unpack(content, raw_len, max),
        _ => None,
    }
}

/// What the window starts with.
const PRELOAD: &[u8] =
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \
    \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\
    \\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

fn unpack(content: &[u8], raw_len: usize, max: usize) -> Option<Vec<u8>> {
    let mut window = [0; 4096];
    window[..PRELOAD.len()].copy_from_slice(PRELOAD);
    let mut write = PRELOAD.len();
    let mut out = Vec::with_capacity(raw_len.min(max).min(content.len() * 9));
    let mut put = |byte: u8, window: &mut [u8; 4096], out: &mut Vec<u8>| {
        window[write % 4096] = byte;
        write += 1;
        out.push(byte);
        (out.len() <= max).then_some(write % 4096)
    };
    let mut at = 0;
    let mut end = PRELOAD.len();
    while at < content.len() {
        let control = content[at];
        at += 1;
        for bit in 0..8 {
            if control >> bit & 1 == 0 {
                let Some(byte) = content.get(at) else {
                    return Some(out);
                };
                at += 1;
                end = put(*byte, &mut window, &mut out)?;
                continue;
            }
            let reference = content.get(at..at + 2)?;
            at += 2;
            let reference = u16::from_be_bytes([reference[0], reference[1]]);
            let (offset, len) = (usize::from(reference >> 4), usize::from(reference & 0xf) + 2);
            // A reference to where the next octet goes is the end.
            if offset == end {
                return Some(out);
            }
            for place in offset..offset + len {
                end = put(window[place % 4096], &mut window, &mut out)?;
            }
        }
    }
    Some(out)
}
