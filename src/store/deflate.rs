//! Chunks of numbers as HDF5's filters shuffle and deflate would write them, several times faster.
//!
//! The low bytes of a number that noise has touched are noise: a deflater searches them for nothing, and spends most of its
//! time there. Here each byte of the numbers is a run of its own (that is what shuffle does), a piece of the run is looked at, and a run
//! that would not shrink is stored as it is, which the format of deflate allows block by block (RFC 1951, 3.2.4). Any reader of
//! HDF5 undoes it with its own zlib.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Bytes of a number, all that are stored have eight.
const SIZE: usize = 8;
/// Level of deflate; the next ones gain a percent on paths and take three times as long.
pub(super) const LEVEL: u32 = 1;
/// Bytes of a run that are looked at.
const PIECE: usize = 2048;
/// Bytes a stored block has at most.
const STORED: usize = 65_535;
/// The memory that one chunk after the other is filtered in.
pub(super) struct Deflater {
    shuffled: Vec<u8>,
    out: Vec<u8>,
    compress: Compress,
}

impl Deflater {
    pub fn new() -> Self {
        Self { shuffled: vec![], out: vec![], compress: Compress::new(Compression::new(LEVEL), false) }
    }

    /// A chunk of eight-byte numbers, filtered: a zlib stream (RFC 1950) of the shuffled bytes.
    pub fn filter(&mut self, chunk: &[u8]) -> &[u8] {
        self.shuffled.resize(chunk.len(), 0);
        shuffle(chunk, &mut self.shuffled);
        self.out.clear();
        // 32 KB of window, the fastest level, no dictionary.
        self.out.extend_from_slice(&[0x78, 0x01]);
        let run = (chunk.len() / SIZE).max(1);
        let mut left = self.shuffled.as_slice();
        while !left.is_empty() {
            let promising = shrinks(&left[..run.min(left.len())]);
            let alike = left.chunks(run).take_while(|run| shrinks(run) == promising).map(<[u8]>::len).sum();
            let (runs, others) = left.split_at(alike);
            let before = self.out.len();
            if promising {
                deflate(&mut self.compress, runs, &mut self.out);
            }
            if !promising || self.out.len() - before > runs.len() {
                self.out.truncate(before);
                store(runs, &mut self.out);
            }
            left = others;
        }
        // An empty last block, and the checksum.
        self.out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        self.out.extend_from_slice(&simd_adler32::adler32(&self.shuffled.as_slice()).to_be_bytes());
        &self.out
    }
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deflater")
    }
}

/// Whether bytes are worth a deflater's time, by a piece from their middle: some values are more frequent than chance would have it,
/// or strings of three come again.
fn shrinks(run: &[u8]) -> bool {
    const SLOTS: usize = 1024;
    let middle = (run.len() - PIECE.min(run.len())) / 2;
    let piece = &run[middle..(middle + PIECE).min(run.len())];
    let mut counts = [0u32; 256];
    for &byte in piece {
        counts[usize::from(byte)] += 1;
    }
    let pairs: u64 = counts.iter().map(|&n| u64::from(n) * u64::from(n.saturating_sub(1))).sum();
    let length = piece.len() as u64;
    // Pairs of equal bytes, above 1.4 times those of chance: at most 7.5 bits a byte if the frequent ones are alike.
    if pairs * 256 * 5 > length * length.saturating_sub(1) * 7 {
        return true;
    }
    let mut last = [[0u8; 3]; SLOTS];
    let mut repeated = 0;
    for string in piece.windows(3) {
        let string = [string[0], string[1], string[2]];
        let number = u32::from_le_bytes([string[0], string[1], string[2], 0]);
        let slot = &mut last[(number.wrapping_mul(0x9e37_79b1) >> 22) as usize];
        repeated += usize::from(*slot == string);
        *slot = string;
    }
    repeated > piece.len() / 16
}

/// Appends blocks of deflate, the last one not marked as last, up to a whole byte.
fn deflate(compress: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) {
    compress.reset();
    loop {
        // Room for what does not shrink, so that one round is enough.
        out.reserve(bytes.len() + bytes.len() / 8 + 64);
        let done = compress.total_in() as usize;
        let status = compress.compress_vec(&bytes[done..], out, FlushCompress::Sync);
        let all = compress.total_in() as usize == bytes.len();
        if (all && out.len() < out.capacity()) || !matches!(status, Ok(Status::Ok)) {
            return;
        }
    }
}

/// Blocks of bytes as they are.
fn store(bytes: &[u8], out: &mut Vec<u8>) {
    for block in bytes.chunks(STORED) {
        let length = (block.len() as u16).to_le_bytes();
        out.extend_from_slice(&[0, length[0], length[1], !length[0], !length[1]]);
        out.extend_from_slice(block);
    }
}

/// The first bytes of all numbers, then the second bytes, and so on; what is not a whole number comes last, as it is.
fn shuffle(bytes: &[u8], out: &mut [u8]) {
    let (numbers, rest) = bytes.as_chunks::<SIZE>();
    let (out, tail) = out.split_at_mut(numbers.len() * SIZE);
    tail.copy_from_slice(rest);
    let mut left = out;
    let runs: [&mut [u8]; SIZE] =
        std::array::from_fn(|_| left.split_off_mut(..numbers.len()).unwrap_or_default());
    let mut runs = runs.map(<[u8]>::as_chunks_mut::<SIZE>);
    let (eights, rest) = numbers.as_chunks::<SIZE>();
    for (i, eight) in eights.iter().enumerate() {
        let turned = turn(eight.map(u64::from_le_bytes));
        for (run, row) in runs.iter_mut().zip(turned) {
            run.0[i] = row.to_le_bytes();
        }
    }
    for (i, number) in rest.iter().enumerate() {
        for (run, &byte) in runs.iter_mut().zip(number) {
            run.1[i] = byte;
        }
    }
}

/// Eight rows of eight bytes, transposed: halves, quarters and eighths change places. Written out, it is three vector loops.
#[inline]
fn turn(rows: [u64; SIZE]) -> [u64; SIZE] {
    let swap = |a: u64, b: u64, mask: u64, bits: u32| {
        ((a & mask) | ((b & mask) << bits), ((a >> bits) & mask) | (b & !mask))
    };
    let [a, b, c, d, e, f, g, h] = rows;
    let halves = |a, b| swap(a, b, 0x0000_0000_ffff_ffff, 32);
    let ((a, e), (b, f), (c, g), (d, h)) = (halves(a, e), halves(b, f), halves(c, g), halves(d, h));
    let quarters = |a, b| swap(a, b, 0x0000_ffff_0000_ffff, 16);
    let ((a, c), (b, d), (e, g), (f, h)) = (quarters(a, c), quarters(b, d), quarters(e, g), quarters(f, h));
    let eighths = |a, b| swap(a, b, 0x00ff_00ff_00ff_00ff, 8);
    let ((a, b), (c, d), (e, f), (g, h)) = (eighths(a, b), eighths(c, d), eighths(e, f), eighths(g, h));
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use flate2::read::ZlibDecoder;
    use flate2::write::ZlibEncoder;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn unfiltered(stream: &[u8]) -> Vec<u8> {
        let mut shuffled = vec![];
        ZlibDecoder::new(stream).read_to_end(&mut shuffled).unwrap();
        let count = shuffled.len() / SIZE;
        let mut bytes: Vec<u8> = (0..count * SIZE).map(|i| shuffled[i % SIZE * count + i / SIZE]).collect();
        bytes.extend_from_slice(&shuffled[count * SIZE..]);
        bytes
    }

    fn as_a_library_does(chunk: &[u8]) -> usize {
        let mut shuffled = vec![0; chunk.len()];
        shuffle(chunk, &mut shuffled);
        let mut encoder = ZlibEncoder::new(vec![], Compression::new(LEVEL));
        encoder.write_all(&shuffled).unwrap();
        encoder.finish().unwrap().len()
    }

    /// Paths of noise, of none, of whole numbers, of steps, of nothing.
    fn kinds(numbers: usize) -> Vec<(&'static str, Vec<u8>)> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut walk = 1.0;
        let mut noise = || {
            walk += 1e-2 * ((random.next_u64() >> 11) as f64 * 2f64.powi(-53) - 0.5 * walk);
            walk
        };
        let bytes = |numbers: Vec<f64>| numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        vec![
            ("noise", bytes((0..numbers).map(|_| noise()).collect())),
            ("decay", bytes((0..numbers).map(|i| 1.0 / (1.0 + i as f64)).collect())),
            ("ramp", bytes((0..numbers).map(|i| i as f64).collect())),
            ("whole", (0..numbers as i64).flat_map(i64::to_le_bytes).collect()),
            ("steps", bytes((0..numbers).map(|i| (i / 100) as f64 * 0.1).collect())),
            ("nothing", bytes(vec![f64::NAN; numbers])),
        ]
    }

    #[test]
    fn every_reader_gets_the_bytes_back() {
        let mut deflater = Deflater::new();
        for numbers in [0, 1, 7, 8, 9, 63, 64, 1000, 4099, 70_001] {
            for (kind, bytes) in kinds(numbers) {
                let stream = deflater.filter(&bytes).to_vec();
                assert!(unfiltered(&stream) == bytes, "{kind} {numbers}");
                assert_eq!(deflater.filter(&bytes), stream, "the same again: {kind} {numbers}");
            }
        }
        let odd: Vec<u8> = (0..1003).map(|i| (i * 7) as u8).collect();
        assert_eq!(unfiltered(deflater.filter(&odd)), odd);
    }

    #[test]
    fn as_small_as_deflate_makes_it() {
        for (kind, bytes) in kinds(32 * 1024) {
            let (ours, theirs) = (Deflater::new().filter(&bytes).len(), as_a_library_does(&bytes));
            assert!(ours as f64 <= 1.02 * theirs as f64 + 200.0, "{kind}: {ours} bytes, {theirs}");
        }
    }
}
