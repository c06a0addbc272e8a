// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signals that are counted, and threads that are interrupted by them.

use super::errno::{check, Result};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

static COUNTED: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_one(_signal: libc::c_int) {
    COUNTED.fetch_add(1, Ordering::SeqCst);
}

/// From now on `signal` is counted and has no other effect.
pub(crate) fn count(signal: libc::c_int, flags: libc::c_int) -> Result<()> {
    COUNTED.store(0, Ordering::SeqCst);
    // SAFETY: A zeroed structure is valid; the handler only touches an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count_one as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = flags;
        check(libc::sigaction(signal, &action, std::ptr::null_mut()))?;
    }
    Ok(())
}

/// How often a counted signal has come.
pub(crate) fn counted() -> u32 {
    COUNTED.load(Ordering::SeqCst)
}

/// Runs `work` while another thread sends SIGUSR1 to this one, for the first time after `delay`,
/// `times` times.
pub(crate) fn interrupted<T>(
    flags: libc::c_int,
    delay: Duration,
    times: u32,
    work: impl FnOnce() -> T,
) -> T {
    count(libc::SIGUSR1, flags).expect("cannot count signals");
    // SAFETY: Has no preconditions.
    let victim = unsafe { libc::pthread_self() };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..times {
                thread::sleep(delay);
                if done.load(Ordering::SeqCst) {
                    break;
                }
                // SAFETY: The scope keeps this thread from outliving `victim`.
                unsafe { libc::pthread_kill(victim, libc::SIGUSR1) };
            }
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::errno::Errno;

    #[test]
    fn blocked_call_is_interrupted() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        // Interrupted more than once, should the first signal come before the call.
        let read = interrupted(0, Duration::from_millis(50), 20, || {
            super::super::socket::recv(&ours, &mut [0; 8], 0)
        });
        assert_eq!(read, Err(Errno(libc::EINTR)));
        assert!(counted() >= 1);
    }
}
