//! Locks the process down: from here on it can compute, read its input, write its output, and end.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use linux::lock_down;

/// Refuses, as this system lacks the defences.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn lock_down(_limits: &crate::budget::Limits) -> Result<(), String> {
    Err("the sandbox needs Linux on x86-64 or aarch64".to_owned())
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    use crate::budget::Limits;
    use crate::clock;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter,
    };
    use std::collections::BTreeMap;
    use std::io;

    /// Memory of the process beside twice the guest's heap: the program, its stack, frames on their way out.
    const OVERHEAD: u64 = 48 << 20;
    const STACK: u64 = 8 << 20;

    /// Every right over files of the newest Landlock that this program knows (version 5); older ones have fewer.
    const FILE_RIGHTS: [u64; 5] = [(1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1];
    /// Binding and connecting TCP sockets, from version 4; abstract Unix sockets and signals, from version 6.
    const NETWORK_RIGHTS: u64 = 0b11;
    const SCOPES: u64 = 0b11;

    /// Takes every right away, or says which step the system refused. Nothing can be given back afterwards.
    pub(crate) fn lock_down(limits: &Limits) -> Result<(), String> {
        if std::env::vars_os().next().is_some() {
            return Err("the environment is not empty".to_owned());
        }
        clock::stop();
        // SAFETY: plain system calls on numbers; descriptors above 2 are not used by this program.
        unsafe {
            step("close_range", libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32))?;
            step("PR_SET_PDEATHSIG", prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64))?;
            step("PR_SET_DUMPABLE", prctl(libc::PR_SET_DUMPABLE, 0))?;
            step("PR_SET_NO_NEW_PRIVS", prctl(libc::PR_SET_NO_NEW_PRIVS, 1))?;
        }
        limit_stack()?;
        limit(libc::RLIMIT_DATA, 2 * limits.memory + OVERHEAD, "RLIMIT_DATA")?;
        limit(libc::RLIMIT_CPU, limits.cpu_s, "RLIMIT_CPU")?;
        limit(libc::RLIMIT_NPROC, 0, "RLIMIT_NPROC")?;
        limit(libc::RLIMIT_FSIZE, 0, "RLIMIT_FSIZE")?;
        limit(libc::RLIMIT_CORE, 0, "RLIMIT_CORE")?;
        restrict_files()?;
        limit(libc::RLIMIT_NOFILE, 0, "RLIMIT_NOFILE")?;
        // SAFETY: standard error is not used: a message of the C library has nowhere to go.
        unsafe { libc::close(2) };
        let filter = filter().map_err(|error| format!("seccomp: {error}"))?;
        apply_filter(&filter).map_err(|error| format!("seccomp: {error}"))
    }

    fn step(name: &str, returned: libc::c_long) -> Result<libc::c_long, String> {
        if returned < 0 { Err(format!("{name}: {}", io::Error::last_os_error())) } else { Ok(returned) }
    }

    /// # Safety
    /// The option takes one number.
    unsafe fn prctl(option: libc::c_int, value: u64) -> libc::c_long {
        // SAFETY: the caller's promise.
        unsafe { libc::prctl(option, value, 0_u64, 0_u64, 0_u64).into() }
    }

    fn limit(resource: libc::__rlimit_resource_t, value: u64, name: &str) -> Result<(), String> {
        let both = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: the struct is whole.
        step(name, unsafe { libc::setrlimit(resource, &both) }.into()).map(drop)
    }

    /// The engine's own stack limit must be reached before the system's, whatever the parent was given.
    fn limit_stack() -> Result<(), String> {
        let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the struct is whole and writable.
        step("RLIMIT_STACK", unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut now) }.into())?;
        limit(libc::RLIMIT_STACK, STACK.min(now.rlim_max), "RLIMIT_STACK")?;
        if now.rlim_max < STACK { Err("the stack may not grow to 8 MB".to_owned()) } else { Ok(()) }
    }

    #[repr(C)]
    struct RulesetAttributes {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }

    /// Enforces a Landlock ruleset without one rule: every right that it handles is denied.
    fn restrict_files() -> Result<(), String> {
        const VERSION_ONLY: u32 = 1;
        let null = std::ptr::null::<RulesetAttributes>();
        // SAFETY: with this flag the call reads no attributes.
        let version = step("Landlock", unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, null, 0_usize, VERSION_ONLY)
        })?;
        let version = (version as usize).max(1);
        let attributes = RulesetAttributes {
            handled_access_fs: FILE_RIGHTS[version.min(FILE_RIGHTS.len()) - 1],
            handled_access_net: if version >= 4 { NETWORK_RIGHTS } else { 0 },
            scoped: if version >= 6 { SCOPES } else { 0 },
        };
        let size = 8 * (1 + usize::from(version >= 4) + usize::from(version >= 6));
        // SAFETY: the first `size` bytes of the attributes are whole fields that this version knows.
        unsafe {
            let ruleset = step(
                "landlock_create_ruleset",
                libc::syscall(libc::SYS_landlock_create_ruleset, &attributes, size, 0_u32),
            )?;
            step("landlock_restrict_self", libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0_u32))?;
            libc::close(ruleset as libc::c_int);
        }
        Ok(())
    }

    /// Everything but these calls ends the process with SIGSYS.
    fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
        let equal = |argument, value| SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, value);
        let masked = |argument, mask, value| {
            SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(mask), value)
        };
        let no_exec = |argument| masked(argument, libc::PROT_EXEC as u64, 0);
        let anonymous = masked(3, libc::MAP_ANONYMOUS as u64, libc::MAP_ANONYMOUS as u64)?;
        let rule = |conditions| SeccompRule::new(conditions).map(|rule| vec![rule]);
        let rules = BTreeMap::from([
            (libc::SYS_read, rule(vec![equal(0, 0)?])?),
            (libc::SYS_write, rule(vec![equal(0, 1)?])?),
            (libc::SYS_mmap, rule(vec![no_exec(2)?, anonymous])?),
            (libc::SYS_mprotect, rule(vec![no_exec(2)?])?),
            (libc::SYS_munmap, vec![]),
            (libc::SYS_mremap, vec![]),
            (libc::SYS_madvise, vec![]),
            (libc::SYS_brk, vec![]),
            // One thread has nobody to wake, but the C library tries; waiting is not allowed.
            (libc::SYS_futex, rule(vec![masked(1, 0x7f, libc::FUTEX_WAKE as u64)?])?),
            (libc::SYS_rt_sigreturn, vec![]),
            (libc::SYS_exit, vec![]),
            (libc::SYS_exit_group, vec![]),
        ]);
        let architecture = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?.try_into()
    }
}
