//! Native calls of an attacker, tried by the worker itself after it was locked down.
//!
//! The self-test of the supervisor starts the worker with the name of a probe as its argument. A sound lock-down ends
//! the process by SIGSYS at the first call; a process that survives says so by its exit code.

use std::ptr;

/// The exit code of a worker whose probe was let through.
pub(crate) const LET_THROUGH: i32 = 42;

/// Makes the system calls of a probe; returns only if nothing stopped them.
pub(crate) fn attempt(name: &str) {
    let path = c"/etc/passwd".as_ptr();
    let page = 4096;
    // SAFETY: each call gets valid pointers; the process ends right after it, whatever the call did.
    unsafe {
        let _ = match name {
            "open" => libc::open(path, libc::O_RDONLY),
            "create" => libc::open(c"/tmp/tacit-probe".as_ptr(), libc::O_WRONLY | libc::O_CREAT, 0o600),
            "socket" => libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0),
            "fork" => libc::fork(),
            "exec" => libc::execve(c"/bin/true".as_ptr(), [ptr::null()].as_ptr(), [ptr::null()].as_ptr()),
            "signal" => libc::kill(libc::getppid(), 0),
            "time" => libc::syscall(libc::SYS_clock_gettime, 0, ptr::null_mut::<u8>()) as i32,
            "code" => i32::from(map(page, libc::PROT_READ | libc::PROT_EXEC).is_null()),
            "recode" => {
                let block = map(page, libc::PROT_READ | libc::PROT_WRITE);
                libc::mprotect(block, page, libc::PROT_READ | libc::PROT_EXEC)
            }
            "descriptor" => libc::read(3, ptr::null_mut(), 0) as i32,
            "duplicate" => libc::dup(1),
            "limits" => libc::getrlimit(libc::RLIMIT_DATA, &mut libc::rlimit { rlim_cur: 0, rlim_max: 0 }),
            _ => 0,
        };
    }
}

/// # Safety
/// The C library's contract of an anonymous mapping: any length, and protection flags.
unsafe fn map(length: usize, protection: libc::c_int) -> *mut libc::c_void {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the caller's promise; the system chooses the place.
    unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) }
}
