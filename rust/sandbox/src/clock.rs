//! The one clock that the guest has: the second in which its run began, and it does not move.
//!
//! `Date` and the seed of `Math.random` in QuickJS ask `gettimeofday`. The definition below takes the place of the C
//! library's in this program, so that no code path of the engine reaches a fine clock.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

static STARTED_S: AtomicI64 = AtomicI64::new(0);

/// Notes the current second as the time of the whole run, and makes UTC the local time.
pub(crate) fn stop() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    STARTED_S.store(now.map_or(0, |since| since.as_secs() as i64), Relaxed);
    // SAFETY: the process has one thread, and both texts end with a zero. The zone is read here once and for all.
    unsafe {
        libc::setenv(c"TZ".as_ptr(), c"UTC0".as_ptr(), 1);
        tzset();
    }
}

unsafe extern "C" {
    fn tzset();
}

/// Tells QuickJS the second in which the run began.
///
/// # Safety
/// `time` is null or points to a writable `timeval`, as the C library demands.
#[cfg(not(test))]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gettimeofday(
    time: *mut libc::timeval,
    _zone: *mut libc::c_void,
) -> libc::c_int {
    if !time.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *time = libc::timeval { tv_sec: STARTED_S.load(Relaxed) as libc::time_t, tv_usec: 0 } };
    }
    0
}
