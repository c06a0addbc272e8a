// SPDX-License-Identifier: MIT OR Apache-2.0

//! Becoming a user who may do less.

use super::errno::{check, Result};

/// The user and group `nobody`, on Debian and elsewhere.
pub(crate) const NOBODY: u32 = 65534;

pub(crate) fn is_root() -> bool {
    // SAFETY: Has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Becomes `nobody`, without supplementary groups and capabilities, for good.
pub(crate) fn drop_all() -> Result<()> {
    // SAFETY: These take numbers only; no group is read through the null pointer.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(NOBODY, NOBODY, NOBODY))?;
        check(libc::setresuid(NOBODY, NOBODY, NOBODY))?;
    }
    Ok(())
}

/// Makes a user namespace in which this process is root, and a network namespace that belongs to
/// it.
pub(crate) fn enter_own_namespaces() -> Result<()> {
    // SAFETY: Takes numbers only.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) }).map(drop)
}

/// Makes `nobody` outside of the user namespace be root in it.
pub(crate) fn become_root_inside() -> Result<()> {
    // Whoever has changed its user may not write to its own files in /proc, but for this.
    // SAFETY: Takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) })?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {NOBODY} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {NOBODY} 1"))?;
    Ok(())
}
