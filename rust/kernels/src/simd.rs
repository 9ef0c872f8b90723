//! One body, compiled for each set of vector instructions, chosen by the processor's features.
//!
//! A body is written over arrays of lanes, which the compiler turns into vectors; `dispatch!` compiles it for
//! AVX-512, for AVX2 and for the baseline of the target, so that one wheel runs everywhere.

/// The vector instructions that a body may be compiled for.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Avx512,
    Avx2,
    Baseline,
}

/// The best level of this processor, found once.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn level() -> Level {
    static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(detect)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("bmi2");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vpopcntdq");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        (false, _) => Level::Baseline,
    }
}

/// `a * b + c`, in one rounding if `FUSED`: only bodies compiled with the instruction may ask for it.
#[inline(always)]
pub(crate) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Asks memory for the elements, so that they are near when they are read; nothing else changes.
#[inline(always)]
pub(crate) fn fetch<T>(elements: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = elements.as_ptr().cast::<i8>();
        for line in (0..size_of_val(elements)).step_by(64) {
            // SAFETY: a prefetch reads nothing, and the address lies within the elements.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = elements;
}

/// Calls `body::<FUSED>(arguments)`, compiled for the best level of this processor. The body must be
/// `#[inline(always)]`: it takes its instructions from the function that inlines it.
macro_rules! dispatch {
    ($body:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(
                enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,avx2,fma,popcnt,bmi2"
            )]
            fn avx512($($argument: $kind),*) $(-> $result)? { $body::<true>($($argument),*) }
            #[target_feature(enable = "avx2,fma,popcnt,bmi2")]
            fn avx2($($argument: $kind),*) $(-> $result)? { $body::<true>($($argument),*) }
            match $crate::simd::level() {
                // SAFETY: the level says that this processor has these instructions.
                $crate::simd::Level::Avx512 => unsafe { avx512($($argument),*) },
                // SAFETY: as above.
                $crate::simd::Level::Avx2 => unsafe { avx2($($argument),*) },
                $crate::simd::Level::Baseline => $body::<false>($($argument),*),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        { $body::<{ cfg!(target_arch = "aarch64") }>($($argument),*) }
    }};
}
pub(crate) use dispatch;
