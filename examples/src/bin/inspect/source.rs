//! A message in a file: indexed once, then read by ranges.

use mailwright_message::Index;
use mailwright_message::index::{Options, Part};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

pub(crate) struct Source {
    file: File,
    pub(crate) index: Index,
}

/// Of a header that is larger than this, fields further behind are not shown.
const MAX_HEADER: u64 = 16 << 20;

const CHUNK: usize = 64 << 10;

impl Source {
    /// Opens and indexes a file. What cannot be read twice, as a pipe, is copied to a temporary file on the way.
    pub(crate) fn open(name: &str) -> io::Result<Self> {
        let mut options = Options::default();
        options.all_lines = true;
        let mut builder = Index::builder(options);
        let (mut file, mut copy);
        let input: &mut dyn Read = match name {
            "-" => {
                copy = Some(tempfile::tempfile()?);
                &mut io::stdin().lock()
            }
            _ => {
                file = File::open(name)?;
                let metadata = file.metadata()?;
                if metadata.is_dir() {
                    return Err(io::Error::other("it is a folder; name the files in it"));
                }
                copy = match metadata.is_file() {
                    true => None,
                    false => Some(tempfile::tempfile()?),
                };
                &mut file
            }
        };
        each_chunk(input, |chunk| {
            builder.push(chunk);
            copy.as_mut().map_or(Ok(()), |copy| copy.write_all(chunk))
        })?;
        let file = match copy {
            Some(copy) => copy,
            None => File::open(name)?,
        };
        Ok(Self {
            file,
            index: builder.finish(),
        })
    }

    /// The octets of a range.
    pub(crate) fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.each_chunk_of(range, |chunk| {
            octets.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(octets)
    }

    /// Hands out the octets of a range in pieces.
    pub(crate) fn each_chunk_of(
        &self,
        range: Range<u64>,
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(range.start))?;
        let mut left = range.end - range.start;
        each_chunk(&mut file.take(left), |chunk| {
            left -= chunk.len() as u64;
            sink(chunk)
        })?;
        match left {
            0 => Ok(()),
            _ => Err(io::Error::other("it became shorter while it was read")),
        }
    }

    /// The header of a part.
    pub(crate) fn header(&self, part: Part<'_>) -> io::Result<Vec<u8>> {
        let header = part.header();
        self.read(header.start..header.end.min(header.start + MAX_HEADER))
    }
}

fn each_chunk(input: &mut dyn Read, mut sink: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => sink(&buffer[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
