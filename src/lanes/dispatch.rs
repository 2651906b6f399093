//! One source, three instruction sets: kernels compiled for several levels of vector width and
//! chosen when the program runs.
//!
//! The bits do not depend on the level: Rust never contracts `a * b + c`, every level rounds as
//! IEEE 754 says, and a lane never meets another lane.

use std::sync::atomic::{AtomicU8, Ordering};

/// Instruction set a kernel is compiled for, from narrow to wide (x86-64 micro-architecture levels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// What the crate itself is compiled for: SSE2 on x86-64, and all there is elsewhere.
    V1 = 1,
    /// AVX2: vectors of 256 bits.
    V3 = 3,
    /// AVX-512 F, DQ, VL, BW: vectors of 512 bits, one a [`Lane`](super::Lane).
    V4 = 4,
}

/// The widest level in use, 0 before it is known.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Level {
    /// Every level, from narrow to wide.
    pub const ALL: [Level; 3] = [Level::V1, Level::V3, Level::V4];

    /// The level kernels run at: [`Level::widest`], found once and kept.
    ///
    /// The environment variable `PERRIN_SIMD` (`v1`, `v3` or `v4`) can lower it, never raise it.
    #[inline]
    pub fn current() -> Level {
        #[cfg(test)]
        if let Some(level) = tests::forced() {
            return level;
        }
        Self::widest()
    }

    /// The widest level that this process may use: what the machine has, or less if `PERRIN_SIMD` says so.
    #[inline]
    pub fn widest() -> Level {
        match CURRENT.load(Ordering::Relaxed) {
            0 => Self::find(),
            code => Self::from_code(code),
        }
    }

    /// The widest level this machine can run.
    pub fn available() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            let v3 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            let v4 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw");
            match (v3, v4) {
                (true, true) => Level::V4,
                (true, false) => Level::V3,
                _ => Level::V1,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Level::V1
    }

    /// `v1`, `v3` or `v4`.
    pub const fn name(self) -> &'static str {
        match self {
            Level::V1 => "v1",
            Level::V3 => "v3",
            Level::V4 => "v4",
        }
    }

    #[cold]
    fn find() -> Level {
        let available = Self::available();
        let wanted = std::env::var("PERRIN_SIMD").ok().and_then(|name| {
            Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name.trim()))
        });
        let level = wanted.map_or(available, |level| level.min(available));
        CURRENT.store(level as u8, Ordering::Relaxed);
        level
    }

    fn from_code(code: u8) -> Level {
        match code {
            4 => Level::V4,
            3 => Level::V3,
            _ => Level::V1,
        }
    }

    /// Runs `f` with kernels of this thread at `level`, or at the widest that this process may use if that is lower: with
    /// `PERRIN_SIMD=v3` the tests do what they do on a machine without AVX-512.
    #[cfg(test)]
    pub(crate) fn force<R>(level: Level, f: impl FnOnce() -> R) -> R {
        tests::force(level.min(Level::widest()), f)
    }
}

/// Makes kernels of functions: each body is compiled once a [`Level`], and calling the function
/// runs the copy for [`Level::current`].
///
/// ```ignore
/// vectorized! {
///     /// out = a + b, element by element.
///     pub fn add(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
///         for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
///             for l in 0..LANES {
///                 o.0[l] = a.0[l] + b.0[l];
///             }
///         }
///     }
/// }
/// ```
/// Arguments are plain names (no patterns, no `mut`), a return type and `const` generics are
/// allowed. Every function called in the body must be `#[inline(always)]`, or it stays at the
/// baseline. Calling costs one load and one well-predicted branch: call once a block, not once a lane.
macro_rules! vectorized {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$(const $generic:ident : $generic_type:ty),+>)? (
            $($arg:ident : $arg_type:ty),* $(,)?
        ) $(-> $ret:ty)? $body:block
    )*) => { $(
        $(#[$meta])*
        $vis fn $name $(<$(const $generic: $generic_type),+>)? ($($arg: $arg_type),*) $(-> $ret)? {
            #[allow(clippy::inline_always, reason = "the body must take the caller's instruction set")]
            #[allow(clippy::too_many_arguments, reason = "judged on the function itself")]
            #[inline(always)]
            fn body $(<$(const $generic: $generic_type),+>)? ($($arg: $arg_type),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments, reason = "judged on the function itself")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn v4 $(<$(const $generic: $generic_type),+>)? ($($arg: $arg_type),*) $(-> $ret)? {
                body $(::<$($generic),+>)? ($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments, reason = "judged on the function itself")]
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn v3 $(<$(const $generic: $generic_type),+>)? ($($arg: $arg_type),*) $(-> $ret)? {
                body $(::<$($generic),+>)? ($($arg),*)
            }

            match $crate::lanes::Level::current() {
                #[cfg(target_arch = "x86_64")]
                #[allow(unsafe_code, reason = "Level::current() never exceeds what the machine was found to have")]
                // SAFETY: v4 is safe code whose one demand is the features that this level stands for.
                $crate::lanes::Level::V4 => unsafe { v4 $(::<$($generic),+>)? ($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                #[allow(unsafe_code, reason = "Level::current() never exceeds what the machine was found to have")]
                // SAFETY: as above.
                $crate::lanes::Level::V3 => unsafe { v3 $(::<$($generic),+>)? ($($arg),*) },
                _ => body $(::<$($generic),+>)? ($($arg),*),
            }
        }
    )* };
}
pub(crate) use vectorized;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{LANES, Lane};
    use std::cell::Cell;

    thread_local! { static FORCED: Cell<Option<Level>> = const { Cell::new(None) }; }

    pub(super) fn forced() -> Option<Level> {
        FORCED.get()
    }

    pub(super) fn force<R>(level: Level, f: impl FnOnce() -> R) -> R {
        struct Restore(Option<Level>);
        impl Drop for Restore {
            fn drop(&mut self) {
                FORCED.set(self.0);
            }
        }
        let _restore = Restore(FORCED.replace(Some(level)));
        f()
    }

    vectorized! {
        /// out = a·s + b.
        fn scale_add<const N: usize>(out: &mut [Lane], a: &[Lane], s: f64, b: &[Lane]) -> usize {
            for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
                for l in 0..LANES {
                    o.0[l] = a.0[l] * s + b.0[l];
                }
            }
            N
        }
        fn nothing() {}
    }

    #[test]
    fn kernels_give_the_same_bits_at_every_level() {
        let a: Vec<Lane> = (0..37).map(|i| Lane::splat(1.0 / f64::from(3 + i))).collect();
        let b: Vec<Lane> = (0..37).map(|i| Lane::splat(-0.1 / f64::from(3 + i))).collect();
        let run = |level| {
            let mut out = vec![Lane::default(); 37];
            Level::force(level, || {
                nothing();
                assert_eq!(scale_add::<5>(&mut out, &a, 0.1, &b), 5);
            });
            out
        };
        let wanted: Vec<Lane> = (0..37).map(|i| Lane::splat(a[i].0[0] * 0.1 + b[i].0[0])).collect();
        // The sum cancels to the rounding error of the product: a fused multiply-add would show.
        assert!(wanted.iter().any(|x| x.0[0] != a[0].0[0].mul_add(0.1, b[0].0[0])));
        for level in Level::ALL {
            assert_eq!(run(level), wanted, "{level:?}");
        }
    }

    #[test]
    fn a_level_is_never_above_what_the_machine_has() {
        assert!(Level::widest() <= Level::available());
        assert_eq!(Level::current(), Level::widest());
        Level::force(Level::V1, || assert_eq!(Level::current(), Level::V1));
        Level::force(Level::V4, || assert_eq!(Level::current(), Level::widest()));
    }
}
