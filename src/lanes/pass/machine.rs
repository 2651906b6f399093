//! Passes as machine code of x86-64: vectors of 512 bits (EVEX) or, two to a [`Lane`], of 256 (VEX).
//!
//! A pass is a function `(state, samples, noise, table, bytes, velocity, scratch)`: its loop goes over the bytes of a row of the block, and reads and writes
//! element `e` at the distance `e · bytes` from where its rows begin. Encodings after Intel's manual, volume 2, §2.3 (VEX) and §2.7 (EVEX).

#![allow(
    unsafe_code,
    reason = "machine code lies in pages of its own, written before they can run, and reads what `Pass::run` has measured"
)]

use super::{Plan, Recipe, Rows, Step, Two, Value};
use crate::lanes::Lane;

/// Bytes of a vector of replicas.
const LANE: usize = size_of::<Lane>();

/// `System V` registers of the arguments, by their numbers; RAX counts.
const STATE: u8 = 7;
const SAMPLES: u8 = 6;
const NOISE: u8 = 2;
const TABLE: u8 = 1;
const VELOCITY: u8 = 9;
/// Loaded from the stack, where the seventh argument is.
const SCRATCH: u8 = 10;

type Function =
    unsafe extern "sysv64" fn(*mut f64, *const f64, *const f64, *const f64, bytes: usize, *mut f64, *mut f64);

/// Pages that hold a function.
pub(super) struct Code {
    pages: *mut libc::c_void,
    length: usize,
    bytes: usize,
}

// SAFETY: the pages are only read once they are made, and belong to this alone.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

impl Code {
    /// `None` if there are not registers enough, or the system gives no pages that can run.
    pub(super) fn new(recipe: &Recipe, plan: &Plan, tiles: usize, wide: bool) -> Option<Self> {
        let bytes = tiles * LANE;
        let code = Writer::new(recipe, plan, bytes, wide)?.written()?;
        let length = code.len();
        // SAFETY: new private pages, of no file, wherever the system likes.
        let pages = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if pages == libc::MAP_FAILED {
            return None;
        }
        let made = Self { pages, length, bytes };
        // SAFETY: `length` bytes of fresh pages that can be written to.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), pages.cast(), length) };
        // SAFETY: the pages made above; from here on they can be run and no longer written.
        let ready = unsafe { libc::mprotect(pages, length, libc::PROT_READ | libc::PROT_EXEC) };
        (ready == 0).then_some(made)
    }

    /// Runs it; the caller has seen that all rows of the recipe are there.
    #[inline]
    pub(super) fn run(&self, written: [&mut [Lane]; 3], samples: &[Lane], noise: &[Lane], table: &[f64]) {
        // SAFETY: the pages hold a function of this type, made for the instruction set of this machine's level; it reads and writes
        // within the rows that `Pass::run` has measured, and the table that was made with it.
        unsafe {
            let function: Function = std::mem::transmute(self.pages);
            let [state, velocity, scratch] = written.map(|rows| rows.as_mut_ptr().cast());
            let (samples, noise) = (samples.as_ptr().cast(), noise.as_ptr().cast());
            function(state, samples, noise, table.as_ptr(), self.bytes, velocity, scratch);
        }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: pages made by `new`, which nothing refers to any longer.
        unsafe { libc::munmap(self.pages, self.length) };
    }
}

/// The last operand of an instruction.
#[derive(Clone, Copy)]
enum Last {
    Register(u8),
    /// A row's present vector.
    Row(u8, i32),
    /// A number of the table in all lanes.
    Table(i32),
    /// A vector put aside on the stack.
    Aside(i32),
}

/// Where a computed value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Register(u8),
    Aside(usize),
}

/// Writes the code of a recipe.
struct Writer<'r> {
    recipe: &'r Recipe,
    plan: &'r Plan,
    bytes: usize,
    wide: bool,
    code: Vec<u8>,
    free: Vec<u8>,
    /// Of each value that is computed.
    place: Vec<Place>,
    /// Vectors on the stack, and those that are free again.
    aside: usize,
    free_aside: Vec<usize>,
}

/// Most vectors on the stack: well below a page.
const MOST_ASIDE: usize = 48;

/// Where in the code their number stands.
const FRAME: usize = 8;

const ADD: u8 = 0x58;
const MULTIPLY: u8 = 0x59;
const SUBTRACT: u8 = 0x5c;
const DIVIDE: u8 = 0x5e;
const MAXIMUM: u8 = 0x5f;
const ROOT: u8 = 0x51;
const AND: u8 = 0x54;
const WITHOUT: u8 = 0x55;
const OR: u8 = 0x56;
const EXCLUSIVE_OR: u8 = 0x57;
const COMPARE: u8 = 0xc2;
const LOAD: u8 = 0x28;
const STORE: u8 = 0x29;
const LOAD_ANYWHERE: u8 = 0x10;
const STORE_ANYWHERE: u8 = 0x11;

impl<'r> Writer<'r> {
    fn new(recipe: &'r Recipe, plan: &'r Plan, bytes: usize, wide: bool) -> Option<Self> {
        // Every row is within reach.
        let furthest = recipe.steps.iter().map(|step| match step {
            Step::Row(_, element) => *element,
            _ => 0,
        });
        let stored = recipe.stores.iter().map(|s| s.1);
        let reach = furthest.chain(stored).max()?.checked_mul(bytes)?;
        i32::try_from(reach).ok()?;
        // A written row that goes to another element would have to be read before that is written.
        let moved = |&(to, at, value): &(Rows, usize, Value)| match recipe.steps[value.index()] {
            Step::Row(rows, from) => {
                (rows, from) != (to, at) && recipe.stores.iter().any(|s| (s.0, s.1) == (rows, from))
            }
            _ => false,
        };
        if recipe.stores.iter().any(moved) {
            return None;
        }
        // Register 0 is for operands that the instruction set does not take from memory.
        let free = (1..if wide { 32 } else { 16 }).rev().collect();
        Some(Self {
            recipe,
            plan,
            bytes,
            wide,
            code: Vec::new(),
            free,
            place: vec![Place::Nowhere; recipe.steps.len()],
            aside: 0,
            free_aside: Vec::new(),
        })
    }

    /// The whole function; `None` if too much must be put aside.
    fn written(mut self) -> Option<Vec<u8>> {
        // mov r10, [rsp + 8]; sub rsp, what is put aside; xor eax, eax
        self.code.extend([0x4c, 0x8b, 0x54, 0x24, 0x08, 0x48, 0x81, 0xec, 0, 0, 0, 0, 0x31, 0xc0]);
        let top = self.code.len();
        let end = self.recipe.steps.len();
        let mut stores = self.pending();
        for at in 0..end {
            if self.plan.last[at].is_some() {
                self.step(at)?;
            }
            while let Some((_, row, value)) = stores.pop_if(|s| s.0 <= at) {
                self.store(row, value);
                if self.next_reader(value, at).is_none() && !stores.iter().any(|s| s.2 == value) {
                    self.forget(value);
                }
            }
        }
        while let Some((_, row, value)) = stores.pop() {
            self.store(row, value);
        }
        // add rax, vector; cmp rax, r8; jb top
        self.code.extend([0x48, 0x05]);
        let vector: u32 = if self.wide { 64 } else { 32 };
        self.code.extend(vector.to_le_bytes());
        self.code.extend([0x4c, 0x39, 0xc0, 0x0f, 0x82]);
        let back = top as i64 - (self.code.len() as i64 + 4);
        self.code.extend(i32::try_from(back).ok()?.to_le_bytes());
        // add rsp, what was put aside; vzeroupper; ret
        let frame = u32::try_from(LANE * self.aside).ok()?.to_le_bytes();
        self.code[FRAME..FRAME + 4].copy_from_slice(&frame);
        self.code.extend([0x48, 0x81, 0xc4]);
        self.code.extend(frame);
        self.code.extend([0xc5, 0xf8, 0x77, 0xc3]);
        Some(self.code)
    }

    /// The stores, the first last: each once its value is known and the old one is no longer read.
    fn pending(&self) -> Vec<(usize, (Rows, usize), Value)> {
        let read = |(rows, element): (Rows, usize)| {
            let row = self.recipe.known.get(&Step::Row(rows, element));
            // A row that is itself stored somewhere is read at the end.
            row.and_then(|row| self.plan.last[row.index()]).unwrap_or(0)
        };
        let stores = self.recipe.stores.iter();
        let mut stores: Vec<_> = stores
            .map(|&(rows, element, value)| {
                let row = (rows, element);
                (read(row).max(value.index()), row, value)
            })
            .collect();
        stores.sort_by_key(|s| std::cmp::Reverse(s.0));
        stores
    }

    /// A register; there is one, see [`Writer::make_room`].
    fn take(&mut self) -> Option<u8> {
        self.free.pop()
    }

    /// The next step behind `at` that reads a value.
    fn next_reader(&self, value: Value, at: usize) -> Option<usize> {
        let readers = &self.plan.readers[value.index()];
        readers.get(readers.partition_point(|&reader| reader <= at)).copied()
    }

    /// Gives back the place of a value that step `at` reads last.
    fn release(&mut self, value: Value, at: usize) {
        if self.plan.last[value.index()] == Some(at) {
            self.forget(value);
        }
    }

    fn forget(&mut self, value: Value) {
        match std::mem::replace(&mut self.place[value.index()], Place::Nowhere) {
            Place::Nowhere => {}
            Place::Register(register) => self.free.push(register),
            Place::Aside(slot) => self.free_aside.push(slot),
        }
    }

    /// Sees to a free register for step `at`: where there is none, the value that is read again last of all is put aside.
    fn make_room(&mut self, at: usize) -> Option<()> {
        if !self.free.is_empty() {
            return Some(());
        }
        let own: Vec<Value> = self.recipe.steps[at].operands().collect();
        let values = (0..at).map(|i| Value(i as u32)).filter(|value| !own.contains(value));
        let held = values.filter_map(|value| match self.place[value.index()] {
            Place::Register(register) => {
                Some((self.next_reader(value, at).unwrap_or(usize::MAX), value, register))
            }
            _ => None,
        });
        let (_, value, register) = held.max_by_key(|held| held.0)?;
        let slot = self.free_aside.pop().unwrap_or(self.aside);
        self.aside = self.aside.max(slot + 1);
        if slot >= MOST_ASIDE {
            return None;
        }
        self.instruction(STORE_ANYWHERE, register, None, Last::Aside((LANE * slot) as i32));
        self.place[value.index()] = Place::Aside(slot);
        self.free.push(register);
        Some(())
    }

    fn last(&self, value: Value) -> Last {
        let table = |place: usize| Last::Table((8 * place) as i32);
        match self.recipe.steps[value.index()] {
            Step::Row(rows, element) => self.row(rows, element),
            Step::Constant(bits) => table(self.plan.constants.iter().position(|&b| b == bits).unwrap_or(0)),
            Step::Parameter(which) => table(self.plan.constants.len() + which),
            _ => match self.place[value.index()] {
                Place::Register(register) => Last::Register(register),
                Place::Aside(slot) => Last::Aside((LANE * slot) as i32),
                Place::Nowhere => unreachable!("a value is computed before it is read, and kept until then"),
            },
        }
    }

    fn row(&self, rows: Rows, element: usize) -> Last {
        let base = match rows {
            Rows::State => STATE,
            Rows::Velocity => VELOCITY,
            Rows::Samples => SAMPLES,
            Rows::Noise => NOISE,
            Rows::Scratch => SCRATCH,
        };
        Last::Row(base, (element * self.bytes) as i32)
    }

    fn step(&mut self, at: usize) -> Option<()> {
        let (opcode, a, b) = match self.recipe.steps[at] {
            Step::Two(operation, a, b) => {
                let opcode = match operation {
                    Two::Add => ADD,
                    Two::Subtract => SUBTRACT,
                    Two::Multiply => MULTIPLY,
                    Two::Divide => DIVIDE,
                    Two::Larger => MAXIMUM,
                    Two::And => AND,
                    Two::Without => WITHOUT,
                    Two::Or => OR,
                    Two::ExclusiveOr => EXCLUSIVE_OR,
                    Two::Above => COMPARE,
                };
                // The first operand must be in a register.
                self.make_room(at)?;
                let turn = operation.commutes() && !self.held(a) && self.held(b);
                if turn { (opcode, b, a) } else { (opcode, a, b) }
            }
            Step::Root(a) => {
                self.make_room(at)?;
                let operand = self.last(a);
                self.release(a, at);
                let to = self.take()?;
                self.compute(ROOT, to, None, operand);
                self.place[at] = Place::Register(to);
                return Some(());
            }
            _ => return Some(()),
        };
        let (first, second) = (self.last(a), self.last(b));
        let to;
        if let Last::Register(first) = first {
            self.release(a, at);
            self.release(b, at);
            to = self.take()?;
            self.compute(opcode, to, Some(first), second);
        } else {
            // The first is loaded to where the result goes, which must not be where the second is.
            to = self.take()?;
            self.load(to, first);
            self.compute(opcode, to, Some(to), second);
            self.release(a, at);
            self.release(b, at);
        }
        self.place[at] = Place::Register(to);
        Some(())
    }

    fn held(&self, value: Value) -> bool {
        matches!(self.place[value.index()], Place::Register(_))
    }

    fn store(&mut self, (rows, element): (Rows, usize), value: Value) {
        let register = match self.last(value) {
            Last::Register(register) => register,
            leaf => {
                self.load(0, leaf);
                0
            }
        };
        let to = self.row(rows, element);
        self.instruction(STORE, register, None, to);
    }

    fn load(&mut self, to: u8, from: Last) {
        match from {
            Last::Table(distance) => self.broadcast(to, distance),
            Last::Aside(_) => self.instruction(LOAD_ANYWHERE, to, None, from),
            other => self.instruction(LOAD, to, None, other),
        }
    }

    /// An operation; numbers of the table go through register 0 where the instruction set cannot spread them itself.
    fn compute(&mut self, opcode: u8, to: u8, first: Option<u8>, second: Last) {
        match second {
            Last::Table(distance) if !self.wide => {
                self.broadcast(0, distance);
                self.complete(opcode, to, first, Last::Register(0));
            }
            other => self.complete(opcode, to, first, other),
        }
    }

    /// An operation; a comparison has a relation, and with wide vectors goes by way of a mask.
    fn complete(&mut self, opcode: u8, to: u8, first: Option<u8>, second: Last) {
        // Greater, false of what is not a number, and quiet.
        const GREATER: u8 = 0x1e;
        const MASK: u8 = 1;
        if opcode != COMPARE {
            return self.instruction(opcode, to, first, second);
        }
        let goal = if self.wide { MASK } else { to };
        self.instruction(COMPARE, goal, first, second);
        self.code.push(GREATER);
        if self.wide {
            // vpmovm2q to, k1
            let high = (!(to >> 3) & 1) << 7 | (!(to >> 4) & 1) << 4;
            self.code.extend([0x62, high | 0x62, 0xfe, 0x48, 0x38, 0xc0 | (to & 7) << 3 | MASK]);
        }
    }

    /// vbroadcastsd to, [table + distance].
    fn broadcast(&mut self, to: u8, distance: i32) {
        self.prefix(2, to, 0, Last::Table(distance), false);
        self.code.push(0x19);
        self.operands(to, Last::Table(distance));
    }

    /// An instruction of the map 0F with the prefix 66.
    fn instruction(&mut self, opcode: u8, register: u8, first: Option<u8>, last: Last) {
        self.prefix(1, register, first.unwrap_or(0), last, matches!(last, Last::Table(_)));
        self.code.push(opcode);
        self.operands(register, last);
    }

    /// EVEX or VEX of an opcode map, with the bits of registers that do not fit elsewhere; inverted, as the format has it.
    fn prefix(&mut self, map: u8, register: u8, first: u8, last: Last, spread: bool) {
        let bit = |number: u8, which: u8, to: u8| (!(number >> which) & 1) << to;
        // A register has two more bits, a base one; the index is among the first eight.
        let other = match last {
            Last::Register(other) => other,
            Last::Row(base, _) => base,
            Last::Table(_) | Last::Aside(_) => 0,
        };
        if self.wide {
            self.code.extend([
                0x62,
                bit(register, 3, 7) | bit(other, 4, 6) | bit(other, 3, 5) | bit(register, 4, 4) | map,
                0x85 | ((!first & 15) << 3),
                0x40 | u8::from(spread) << 4 | bit(first, 4, 3),
            ]);
        } else {
            self.code.extend([
                0xc4,
                bit(register, 3, 7) | 0x40 | bit(other, 3, 5) | map,
                0x05 | ((!first & 15) << 3),
            ]);
        }
    }

    fn operands(&mut self, register: u8, last: Last) {
        let register = (register & 7) << 3;
        match last {
            Last::Register(other) => self.code.push(0xc0 | register | (other & 7)),
            // [base + rax + distance]
            Last::Row(base, distance) => {
                self.code.extend([0x84 | register, base & 7]);
                self.code.extend(distance.to_le_bytes());
            }
            // [rsp + distance]
            Last::Aside(distance) => {
                self.code.extend([0x84 | register, 0x24]);
                self.code.extend(distance.to_le_bytes());
            }
            // [table + distance]
            Last::Table(distance) => {
                self.code.push(0x80 | register | TABLE);
                self.code.extend(distance.to_le_bytes());
            }
        }
    }
}
