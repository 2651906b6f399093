//! Rows of one variable on their way to the file.

use hdf5::H5File;

use super::deflate::Deflater;
use super::schema::{Column, Element};

/// Bytes of a number; both kinds have eight.
const SIZE: usize = 8;

/// Rows not yet in the file, and those of the last chunk, which is written again as it fills.
#[derive(Debug)]
pub(super) struct Buffer {
    dataset: String,
    column: Column,
    /// Row at which `bytes` begins, a multiple of the chunk's rows: what was before lies in whole chunks in the file.
    first: usize,
    bytes: Vec<u8>,
    /// Rows that a reader sees.
    committed: usize,
    /// Rows in chunks written, once the extent is moved.
    written: usize,
}

impl Buffer {
    pub fn new(table: &str, column: Column) -> Self {
        let dataset = format!("{table}/{}", column.name);
        Self { dataset, column, first: 0, bytes: vec![], committed: 0, written: 0 }
    }

    pub fn column(&self) -> &Column {
        &self.column
    }

    /// Rows received.
    pub fn rows(&self) -> usize {
        self.first + self.bytes.len() / self.row_bytes()
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.bytes.len()
    }

    pub fn push(&mut self, values: &[f64]) {
        let before = self.bytes.len();
        self.bytes.resize(before + values.len() * SIZE, 0);
        for (bytes, value) in self.bytes[before..].chunks_exact_mut(SIZE).zip(values) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Rows put together of several arrays, each with so many numbers a row, side by side.
    pub fn push_packed(&mut self, rows: usize, parts: &[(&[f64], usize)]) {
        let width: usize = parts.iter().map(|part| part.1).sum();
        self.bytes.reserve(rows * width * SIZE);
        for row in 0..rows {
            for (values, width) in parts {
                for value in &values[row * width..(row + 1) * width] {
                    self.bytes.extend_from_slice(&value.to_le_bytes());
                }
            }
        }
    }

    pub fn push_integers(&mut self, values: impl ExactSizeIterator<Item = i64>) {
        let before = self.bytes.len();
        self.bytes.resize(before + values.len() * SIZE, 0);
        for (bytes, value) in self.bytes[before..].chunks_exact_mut(SIZE).zip(values) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Rows that fill chunks and are not in the file.
    pub fn fills_chunks(&self) -> bool {
        self.rows() >= self.first + self.column.chunk[0]
    }

    /// Writes the chunks that are whole, beyond the extent, and forgets their rows.
    pub fn write_whole(&mut self, file: &H5File, deflater: &mut Deflater) -> hdf5::Result<()> {
        if !self.fills_chunks() {
            return Ok(());
        }
        let rows = self.column.chunk[0];
        let whole = self.rows() / rows * rows;
        let dataset = file.dataset_writer(&self.dataset)?;
        for chunk in self.first / rows..whole / rows {
            self.write_rows(&dataset, chunk, deflater)?;
        }
        self.bytes.drain(..(whole - self.first) * self.row_bytes());
        self.first = whole;
        Ok(())
    }

    /// Writes all rows that came since the last commit, a last chunk that is not whole too; a compressed one only if it is the
    /// `last`.
    pub fn write(&mut self, file: &H5File, last: bool, deflater: &mut Deflater) -> hdf5::Result<()> {
        self.write_whole(file, deflater)?;
        let partial = !self.bytes.is_empty() && (last || !self.column.compressed);
        let ready = if partial { self.rows() } else { self.first };
        self.written = self.committed.max(ready);
        if partial && self.written > self.committed {
            let dataset = file.dataset_writer(&self.dataset)?;
            self.write_rows(&dataset, self.first / self.column.chunk[0], deflater)?;
        }
        Ok(())
    }

    /// Moves the extent over what was written.
    pub fn extend(&self, file: &H5File) -> hdf5::Result<()> {
        if self.written == self.committed {
            return Ok(());
        }
        let mut shape = vec![self.written];
        shape.extend(self.column.inner.iter().map(|d| d.1));
        file.dataset_writer(&self.dataset)?.extend(&shape)
    }

    /// After a commit.
    pub fn settle(&mut self) {
        self.committed = self.written;
    }

    fn row_bytes(&self) -> usize {
        // A variable without components has no bytes to count rows by; one byte a row keeps the division honest.
        (self.column.row() * SIZE).max(1)
    }

    /// The chunks of one run of rows: one, or several along the first inner dimension where that is cut (paths).
    fn write_rows(
        &self,
        dataset: &hdf5::H5Dataset,
        chunk: usize,
        deflater: &mut Deflater,
    ) -> hdf5::Result<()> {
        let rows = self.column.chunk[0];
        let begin = chunk * rows - self.first;
        let end = (begin + rows).min(self.bytes.len() / self.row_bytes());
        let held = &self.bytes[begin * self.row_bytes()..end * self.row_bytes()];
        let (length, cut) = match (self.column.inner.first(), self.column.chunk.get(1)) {
            (Some(inner), Some(&cut)) => (inner.1, cut),
            _ => (1, 1),
        };
        if cut == length && held.len() == rows * self.row_bytes() {
            return self.write_chunk(dataset, chunk, held, deflater);
        }
        let bytes = SIZE * self.column.chunk[2.min(self.column.chunk.len())..].iter().product::<usize>();
        let pieces = length.div_ceil(cut);
        for piece in 0..pieces {
            let from = piece * cut;
            let count = cut.min(length - from);
            let mut out = Vec::with_capacity(rows * cut * bytes);
            for row in held.chunks_exact(self.row_bytes()) {
                out.extend_from_slice(&row[from * bytes..(from + count) * bytes]);
                self.pad(&mut out, (cut - count) * bytes);
            }
            let missing = rows * cut * bytes - out.len();
            self.pad(&mut out, missing);
            self.write_chunk(dataset, chunk * pieces + piece, &out, deflater)?;
        }
        Ok(())
    }

    fn write_chunk(
        &self,
        dataset: &hdf5::H5Dataset,
        chunk: usize,
        bytes: &[u8],
        deflater: &mut Deflater,
    ) -> hdf5::Result<()> {
        if self.column.compressed {
            dataset.write_chunk_raw(chunk, deflater.filter(bytes), 0)
        } else {
            dataset.write_chunk(chunk, bytes)
        }
    }

    fn pad(&self, out: &mut Vec<u8>, bytes: usize) {
        let filler = match self.column.element {
            Element::F64 => f64::NAN.to_le_bytes(),
            Element::I64 => 0i64.to_le_bytes(),
        };
        for _ in 0..bytes / SIZE {
            out.extend_from_slice(&filler);
        }
    }
}
