// SPDX-License-Identifier: MIT OR Apache-2.0

//! Expectations. One that is not met panics, at the line of the case that has it.

use crate::sys::errno::Errno;
use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The payload of the panic that skips a case.
pub(crate) struct Skipped(pub(crate) String);

/// Ends the case: it cannot be run here.
pub(crate) fn skip(reason: impl Into<String>) -> ! {
    std::panic::resume_unwind(Box::new(Skipped(reason.into())))
}

thread_local! {
    static NOTE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says which entry of a table is being looked at. Shown if the case fails.
pub(crate) fn note(text: impl Into<String>) {
    NOTE.with_borrow_mut(|note| *note = text.into());
}

/// The last note of this thread, or nothing.
pub(crate) fn last_note() -> String {
    NOTE.with_borrow(Clone::clone)
}

/// What a system call returned, held against what it should have.
pub(crate) trait Expect<T> {
    /// The value; the call must have succeeded.
    fn succeeds(self) -> T;

    /// The call must have failed with this error number.
    fn fails(self, errno: libc::c_int);

    /// The call must have failed with one of these error numbers.
    fn fails_with_one_of(self, errnos: &[libc::c_int]);
}

impl<T: Debug> Expect<T> for Result<T, Errno> {
    #[track_caller]
    fn succeeds(self) -> T {
        match self {
            Ok(value) => value,
            Err(errno) => panic!("expected success, got {errno}"),
        }
    }

    #[track_caller]
    fn fails(self, errno: libc::c_int) {
        self.fails_with_one_of(&[errno]);
    }

    #[track_caller]
    fn fails_with_one_of(self, errnos: &[libc::c_int]) {
        let wanted: Vec<_> = errnos
            .iter()
            .map(|errno| Errno(*errno).to_string())
            .collect();
        match self {
            Ok(value) => panic!("expected {}, got success: {value:?}", wanted.join(" or ")),
            Err(Errno(errno)) if errnos.contains(&errno) => {}
            Err(errno) => panic!("expected {}, got {errno}", wanted.join(" or ")),
        }
    }
}

/// The two must be equal.
#[track_caller]
pub(crate) fn equal<A: Debug + PartialEq<B>, B: Debug>(actual: A, expected: B) {
    assert!(actual == expected, "expected {expected:?}, got {actual:?}");
}

/// The value must be within the limits, both included.
#[track_caller]
pub(crate) fn between<T: Debug + PartialOrd>(actual: T, least: T, most: T) {
    assert!(
        least <= actual && actual <= most,
        "expected {least:?} to {most:?}, got {actual:?}"
    );
}

static PATIENCE: OnceLock<u32> = OnceLock::new();

/// Every time limit becomes this many times as long. To be called before the first case.
pub(crate) fn be_patient(factor: u32) {
    let _ = PATIENCE.set(factor);
}

/// How many times as long everything takes as on an ordinary machine.
pub(crate) fn slowness() -> u32 {
    *PATIENCE.get().unwrap_or(&1)
}

/// `limit`, lengthened for a slow machine.
pub(crate) fn patient(limit: Duration) -> Duration {
    limit * slowness()
}

/// Asks again and again until the answer is yes. For what the kernel does in the background.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = patient(Duration::from_secs(3));
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of(check: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let payload = std::panic::catch_unwind(check).expect_err("the check passed");
        *payload.downcast::<String>().expect("not a message")
    }

    #[test]
    fn messages_name_both_sides() {
        let failed: Result<(), Errno> = Err(Errno(libc::EBADF));
        assert_eq!(
            message_of(move || failed.fails(libc::EINVAL)),
            "expected EINVAL, got EBADF"
        );
        assert_eq!(
            message_of(|| Ok::<_, Errno>(7).fails_with_one_of(&[libc::EINVAL, libc::EPERM])),
            "expected EINVAL or EPERM, got success: 7"
        );
        assert_eq!(
            message_of(move || failed.succeeds()),
            "expected success, got EBADF"
        );
        assert_eq!(message_of(|| equal(1, 2)), "expected 2, got 1");
        assert_eq!(message_of(|| between(4, 1, 3)), "expected 1 to 3, got 4");
    }

    #[test]
    fn what_holds_passes() {
        Err::<(), _>(Errno(libc::EPERM)).fails(libc::EPERM);
        Err::<(), _>(Errno(libc::EPERM)).fails_with_one_of(&[libc::EINVAL, libc::EPERM]);
        assert_eq!(Ok::<_, Errno>(7).succeeds(), 7);
        between(1, 1, 1);
        let mut asked = 0;
        eventually("third time", || {
            asked += 1;
            asked == 3
        });
    }
}
