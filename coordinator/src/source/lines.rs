//! Reads lines: whatever ends them, each ends alike, and none is longer than a limit.

use std::io::{self, BufRead, Cursor, Read as _};

/// The longest line: much more than the claims of a token can be.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A text whose lines all end with a line feed alone, the last one too, and are not endless.
pub(super) struct Lines {
    text: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    given: usize,
}

impl Lines {
    pub(super) fn of(text: Box<dyn BufRead + Send>) -> Self {
        Self {
            text,
            line: Vec::new(),
            given: 0,
        }
    }

    /// The next line with its end; `None` after the last one.
    pub(super) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        self.given = 0;
        let mut text = self.text.by_ref().take(MAX_LINE_BYTES);
        if text.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        if self.line.len() as u64 == MAX_LINE_BYTES {
            let problem = format!("the line is longer than {MAX_LINE_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        if self.line.ends_with(b"\n") {
            self.line.pop();
        }
        if self.line.ends_with(b"\r") {
            self.line.pop();
        }
        self.line.push(b'\n');
        Ok(Some(&self.line))
    }
}

impl io::Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.line.len() && self.next_line()?.is_none() {
            return Ok(0);
        }
        let rest = &self.line[self.given..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.given += length;
        Ok(length)
    }
}

pub(super) fn without_byte_order_mark(
    mut file: Box<dyn BufRead + Send>,
) -> io::Result<Box<dyn BufRead + Send>> {
    let mut start = Vec::new();
    file.by_ref()
        .take(BYTE_ORDER_MARK.len() as u64)
        .read_to_end(&mut start)?;
    if start == BYTE_ORDER_MARK {
        start.clear();
    }
    Ok(Box::new(Cursor::new(start).chain(file)))
}
