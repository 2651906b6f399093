//! Eight lanes as one vector: AVX-512, AVX2, or an array that the compiler vectorises as it can.
//!
//! Every operation is unsafe because it may only be called where its instruction set is there; [`fastest`] sees to that.

/// The operations that the kernels need.
pub trait Vector: Copy {
    /// Eight doubles.
    type F: Copy;
    /// Eight words.
    type U: Copy;
    unsafe fn f(x: f64) -> Self::F;
    unsafe fn u(x: u64) -> Self::U;
    unsafe fn load(from: *const f64) -> Self::F;
    unsafe fn store(to: *mut f64, a: Self::F);
    unsafe fn load_words(from: *const u64) -> Self::U;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// a·b + c, fused where the machine has it.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    unsafe fn sqrt(a: Self::F) -> Self::F;
    unsafe fn abs(a: Self::F) -> Self::F;
    unsafe fn from_bits(a: Self::U) -> Self::F;
    unsafe fn add_words(a: Self::U, b: Self::U) -> Self::U;
    unsafe fn xor(a: Self::U, b: Self::U) -> Self::U;
    unsafe fn and(a: Self::U, b: Self::U) -> Self::U;
    unsafe fn or(a: Self::U, b: Self::U) -> Self::U;
    unsafe fn shift_left<const N: u32>(a: Self::U) -> Self::U;
    unsafe fn shift_right<const N: u32>(a: Self::U) -> Self::U;
    unsafe fn rotate_left<const N: i32>(a: Self::U) -> Self::U;
    /// Bit l says a_l ≥ b_l (both below 2⁶³).
    unsafe fn at_least(a: Self::U, b: Self::U) -> u8;
    unsafe fn gather(from: *const f64, at: Self::U) -> Self::F;
}

/// Work that any vector can do.
pub trait Kernel {
    type Out;
    unsafe fn run<V: Vector>(&self) -> Self::Out;
}

/// Runs a kernel with the widest vectors that the machine has.
pub fn fastest<K: Kernel>(kernel: &K) -> K::Out {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
        unsafe fn v4<K: Kernel>(kernel: &K) -> K::Out {
            unsafe { kernel.run::<x86::Avx512>() }
        }
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
        unsafe fn v3<K: Kernel>(kernel: &K) -> K::Out {
            unsafe { kernel.run::<x86::Avx2>() }
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            return unsafe { v4(kernel) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return unsafe { v3(kernel) };
        }
    }
    unsafe { kernel.run::<Array>() }
}

/// What [`fastest`] takes.
pub fn name() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            return "AVX-512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "AVX2";
        }
    }
    "arrays"
}

/// No instruction set in particular.
#[derive(Clone, Copy)]
pub struct Array;

#[inline(always)]
fn each<T: Copy, const N: usize>(of: impl Fn(usize) -> T) -> [T; N] {
    std::array::from_fn(of)
}

impl Vector for Array {
    type F = [f64; 8];
    type U = [u64; 8];
    #[inline(always)]
    unsafe fn f(x: f64) -> [f64; 8] {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn u(x: u64) -> [u64; 8] {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> [f64; 8] {
        unsafe { from.cast::<[f64; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, a: [f64; 8]) {
        unsafe { to.cast::<[f64; 8]>().write_unaligned(a) }
    }
    #[inline(always)]
    unsafe fn load_words(from: *const u64) -> [u64; 8] {
        unsafe { from.cast::<[u64; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn add(a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        each(|l| a[l] + b[l])
    }
    #[inline(always)]
    unsafe fn sub(a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        each(|l| a[l] - b[l])
    }
    #[inline(always)]
    unsafe fn mul(a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        each(|l| a[l] * b[l])
    }
    #[inline(always)]
    unsafe fn div(a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        each(|l| a[l] / b[l])
    }
    #[inline(always)]
    unsafe fn fma(a: [f64; 8], b: [f64; 8], c: [f64; 8]) -> [f64; 8] {
        each(|l| a[l] * b[l] + c[l])
    }
    #[inline(always)]
    unsafe fn sqrt(a: [f64; 8]) -> [f64; 8] {
        each(|l| a[l].sqrt())
    }
    #[inline(always)]
    unsafe fn abs(a: [f64; 8]) -> [f64; 8] {
        each(|l| a[l].abs())
    }
    #[inline(always)]
    unsafe fn from_bits(a: [u64; 8]) -> [f64; 8] {
        each(|l| f64::from_bits(a[l]))
    }
    #[inline(always)]
    unsafe fn add_words(a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        each(|l| a[l].wrapping_add(b[l]))
    }
    #[inline(always)]
    unsafe fn xor(a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        each(|l| a[l] ^ b[l])
    }
    #[inline(always)]
    unsafe fn and(a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        each(|l| a[l] & b[l])
    }
    #[inline(always)]
    unsafe fn or(a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        each(|l| a[l] | b[l])
    }
    #[inline(always)]
    unsafe fn shift_left<const N: u32>(a: [u64; 8]) -> [u64; 8] {
        each(|l| a[l] << N)
    }
    #[inline(always)]
    unsafe fn shift_right<const N: u32>(a: [u64; 8]) -> [u64; 8] {
        each(|l| a[l] >> N)
    }
    #[inline(always)]
    unsafe fn rotate_left<const N: i32>(a: [u64; 8]) -> [u64; 8] {
        each(|l| a[l].rotate_left(N as u32))
    }
    #[inline(always)]
    unsafe fn at_least(a: [u64; 8], b: [u64; 8]) -> u8 {
        (0..8).fold(0, |mask, l| mask | u8::from(a[l] >= b[l]) << l)
    }
    #[inline(always)]
    unsafe fn gather(from: *const f64, at: [u64; 8]) -> [f64; 8] {
        each(|l| unsafe { *from.add(at[l] as usize) })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    #[derive(Clone, Copy)]
    pub struct Avx512;

    /// Functions of an instruction set, one line each.
    macro_rules! operations {
        ($($name:ident$(<$n:ident: $t:ty>)?($($a:ident: $of:ty),*) $(-> $out:ty)? = $body:expr;)*) => { $(
            #[inline(always)]
            unsafe fn $name$(<const $n: $t>)?($($a: $of),*) $(-> $out)? {
                unsafe { $body }
            }
        )* };
    }

    impl Vector for Avx512 {
        type F = __m512d;
        type U = __m512i;
        operations! {
            f(x: f64) -> __m512d = _mm512_set1_pd(x);
            u(x: u64) -> __m512i = _mm512_set1_epi64(x.cast_signed());
            load(from: *const f64) -> __m512d = _mm512_loadu_pd(from);
            store(to: *mut f64, a: __m512d) = _mm512_storeu_pd(to, a);
            load_words(from: *const u64) -> __m512i = _mm512_loadu_si512(from.cast());
            add(a: __m512d, b: __m512d) -> __m512d = _mm512_add_pd(a, b);
            sub(a: __m512d, b: __m512d) -> __m512d = _mm512_sub_pd(a, b);
            mul(a: __m512d, b: __m512d) -> __m512d = _mm512_mul_pd(a, b);
            div(a: __m512d, b: __m512d) -> __m512d = _mm512_div_pd(a, b);
            fma(a: __m512d, b: __m512d, c: __m512d) -> __m512d = _mm512_fmadd_pd(a, b, c);
            sqrt(a: __m512d) -> __m512d = _mm512_sqrt_pd(a);
            abs(a: __m512d) -> __m512d = _mm512_abs_pd(a);
            from_bits(a: __m512i) -> __m512d = _mm512_castsi512_pd(a);
            add_words(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi64(a, b);
            xor(a: __m512i, b: __m512i) -> __m512i = _mm512_xor_si512(a, b);
            and(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512(a, b);
            or(a: __m512i, b: __m512i) -> __m512i = _mm512_or_si512(a, b);
            shift_left<N: u32>(a: __m512i) -> __m512i = _mm512_slli_epi64::<N>(a);
            shift_right<N: u32>(a: __m512i) -> __m512i = _mm512_srli_epi64::<N>(a);
            rotate_left<N: i32>(a: __m512i) -> __m512i = _mm512_rol_epi64::<N>(a);
            at_least(a: __m512i, b: __m512i) -> u8 = _mm512_cmpge_epu64_mask(a, b);
            gather(from: *const f64, at: __m512i) -> __m512d = _mm512_i64gather_pd::<8>(at, from);
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx2;
    #[derive(Clone, Copy)]
    pub struct Doubles(__m256d, __m256d);
    #[derive(Clone, Copy)]
    pub struct Words(__m256i, __m256i);

    impl Vector for Avx2 {
        type F = Doubles;
        type U = Words;
        operations! {
            f(x: f64) -> Doubles = Doubles(_mm256_set1_pd(x), _mm256_set1_pd(x));
            u(x: u64) -> Words = Words(_mm256_set1_epi64x(x.cast_signed()), _mm256_set1_epi64x(x.cast_signed()));
            load(from: *const f64) -> Doubles = Doubles(_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4)));
            store(to: *mut f64, a: Doubles) = { _mm256_storeu_pd(to, a.0); _mm256_storeu_pd(to.add(4), a.1) };
            load_words(from: *const u64) -> Words =
                Words(_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(4).cast()));
            add(a: Doubles, b: Doubles) -> Doubles = Doubles(_mm256_add_pd(a.0, b.0), _mm256_add_pd(a.1, b.1));
            sub(a: Doubles, b: Doubles) -> Doubles = Doubles(_mm256_sub_pd(a.0, b.0), _mm256_sub_pd(a.1, b.1));
            mul(a: Doubles, b: Doubles) -> Doubles = Doubles(_mm256_mul_pd(a.0, b.0), _mm256_mul_pd(a.1, b.1));
            div(a: Doubles, b: Doubles) -> Doubles = Doubles(_mm256_div_pd(a.0, b.0), _mm256_div_pd(a.1, b.1));
            fma(a: Doubles, b: Doubles, c: Doubles) -> Doubles =
                Doubles(_mm256_fmadd_pd(a.0, b.0, c.0), _mm256_fmadd_pd(a.1, b.1, c.1));
            sqrt(a: Doubles) -> Doubles = Doubles(_mm256_sqrt_pd(a.0), _mm256_sqrt_pd(a.1));
            abs(a: Doubles) -> Doubles = {
                let sign = _mm256_set1_pd(-0.0);
                Doubles(_mm256_andnot_pd(sign, a.0), _mm256_andnot_pd(sign, a.1))
            };
            from_bits(a: Words) -> Doubles = Doubles(_mm256_castsi256_pd(a.0), _mm256_castsi256_pd(a.1));
            add_words(a: Words, b: Words) -> Words = Words(_mm256_add_epi64(a.0, b.0), _mm256_add_epi64(a.1, b.1));
            xor(a: Words, b: Words) -> Words = Words(_mm256_xor_si256(a.0, b.0), _mm256_xor_si256(a.1, b.1));
            and(a: Words, b: Words) -> Words = Words(_mm256_and_si256(a.0, b.0), _mm256_and_si256(a.1, b.1));
            or(a: Words, b: Words) -> Words = Words(_mm256_or_si256(a.0, b.0), _mm256_or_si256(a.1, b.1));
            shift_left<N: u32>(a: Words) -> Words = {
                let by = _mm_cvtsi32_si128(N.cast_signed());
                Words(_mm256_sll_epi64(a.0, by), _mm256_sll_epi64(a.1, by))
            };
            shift_right<N: u32>(a: Words) -> Words = {
                let by = _mm_cvtsi32_si128(N.cast_signed());
                Words(_mm256_srl_epi64(a.0, by), _mm256_srl_epi64(a.1, by))
            };
            rotate_left<N: i32>(a: Words) -> Words = {
                let (left, right) = (_mm_cvtsi32_si128(N), _mm_cvtsi32_si128(64 - N));
                Words(
                    _mm256_or_si256(_mm256_sll_epi64(a.0, left), _mm256_srl_epi64(a.0, right)),
                    _mm256_or_si256(_mm256_sll_epi64(a.1, left), _mm256_srl_epi64(a.1, right)),
                )
            };
            at_least(a: Words, b: Words) -> u8 = {
                let below = |a, b| _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(b, a)));
                !(below(a.0, b.0) | below(a.1, b.1) << 4) as u8
            };
            gather(from: *const f64, at: Words) -> Doubles =
                Doubles(_mm256_i64gather_pd::<8>(from, at.0), _mm256_i64gather_pd::<8>(from, at.1));
        }
    }
}
