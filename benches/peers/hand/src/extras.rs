//! Normals alone, arithmetic alone, writing alone: the yardsticks of single parts.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use hdf5::H5File;
use perrin::lanes::{LANES, Lane, Normals as Lanes, Purpose};

use crate::Anything;
use crate::normals::{Block, Normals, ROWS};
use crate::vector::{Kernel, Vector, fastest};

/// Blocks of 512 normals.
struct Blocks(usize);

impl Kernel for Blocks {
    type Out = f64;
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) -> f64 {
        let mut block = Block([0.0; 8 * ROWS]);
        let mut normals = unsafe { Normals::<V>::new(3, 0) };
        let mut last = 0.0;
        for _ in 0..self.0 {
            unsafe { normals.fill(&mut block, ROWS) };
            last += black_box(&block).0[0];
        }
        last
    }
}

/// ns a normal of the block ziggurat here, and of perrin's lanes: 128 replicas, 64 rows at once; the better of nine.
pub fn normals() -> String {
    const TILES: usize = 16;
    const BLOCKS: usize = 20_000;
    let mut lanes = Lanes::new(1, Purpose::Test, 0, TILES);
    let mut out = vec![Lane::default(); ROWS * TILES];
    let (mut hand, mut perrin) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..9 {
        let start = Instant::now();
        black_box(fastest(&Blocks(BLOCKS)));
        hand = hand.min(start.elapsed().as_secs_f64() / (BLOCKS * ROWS * LANES) as f64);
        let start = Instant::now();
        for _ in 0..BLOCKS / TILES {
            lanes.fill(black_box(&mut out));
        }
        perrin = perrin.min(start.elapsed().as_secs_f64() / (BLOCKS * ROWS * LANES) as f64);
    }
    format!(r#"{{"hand": {:.4}, "perrin": {:.4}}}"#, hand * 1e9, perrin * 1e9)
}

/// Chains of multiply-adds in registers: what a core does at most.
struct Arithmetic(u64);

impl Kernel for Arithmetic {
    type Out = f64;
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) -> f64 {
        unsafe {
            let (a, b) = (V::f(0.999_999), V::f(1e-6));
            let mut x: [V::F; 12] = std::array::from_fn(|i| V::f(i as f64));
            for _ in 0..self.0 {
                for x in &mut x {
                    *x = V::fma(a, *x, b);
                }
            }
            let mut out = [0.0; 8];
            let mut sum = 0.0;
            for x in x {
                V::store(out.as_mut_ptr(), x);
                sum += out.iter().sum::<f64>();
            }
            sum
        }
    }
}

/// The same work on one thread or shared by several.
pub fn arithmetic(threads: u64) -> String {
    const TURNS: u64 = 100_000_000;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || black_box(fastest(&Arithmetic(black_box(TURNS / threads)))));
        }
    });
    format!(r#"{{"seconds": {:e}}}"#, start.elapsed().as_secs_f64())
}

/// Paths of an Ornstein-Uhlenbeck process in chunks of eight replicas, as perrin lays them out; `level` 0 does not deflate.
pub fn chunks(file: &Path, megabytes: usize, level: u32) -> Anything<String> {
    const REPLICAS: usize = 8;
    const INSTANTS: usize = 4096;
    let count = (megabytes * 1_000_000).div_ceil(8 * REPLICAS * INSTANTS);
    let mut block = Block([0.0; 8 * ROWS]);
    // The numbers are made before the clock starts: 32 different chunks, used in turn.
    let mut different = Vec::new();
    for group in 0..count.min(32) {
        let mut paths = vec![0.0; REPLICAS * INSTANTS];
        let mut x = [1.0; REPLICAS];
        for instant in 0..INSTANTS {
            if instant % ROWS == 0 {
                fastest(&OneBlock(&mut block as *mut Block, (group * INSTANTS + instant) as u64));
            }
            for (l, x) in x.iter_mut().enumerate() {
                *x = 0.99 * *x + 0.05 * block.0[8 * (instant % ROWS) + l];
                paths[l * INSTANTS + instant] = *x;
            }
        }
        different.push(paths.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
    }
    let start = Instant::now();
    let out = H5File::create(file)?;
    let dataset = out.new_dataset::<f64>().shape([count * REPLICAS, INSTANTS]).chunk(&[REPLICAS, INSTANTS]);
    let dataset = if level > 0 { dataset.shuffle_deflate(level) } else { dataset };
    let dataset = dataset.create("paths")?;
    for chunk in 0..count {
        dataset.write_chunk(chunk, &different[chunk % different.len()])?;
    }
    drop(dataset);
    out.close()?;
    let seconds = start.elapsed().as_secs_f64();
    let bytes = count * 8 * REPLICAS * INSTANTS;
    Ok(format!(r#"{{"seconds": {seconds:e}, "megabytes": {:e}}}"#, bytes as f64 / 1e6))
}

/// One block into a place, from a stream of its own.
struct OneBlock(*mut Block, u64);

impl Kernel for OneBlock {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        unsafe { Normals::<V>::new(5, self.1).fill(&mut *self.0, ROWS) }
    }
}
