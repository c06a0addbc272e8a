// SPDX-License-Identifier: MIT OR Apache-2.0

//! Error numbers that print as their names.

use std::fmt;
use std::io;

/// An error number.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Errno(pub(crate) libc::c_int);

/// What a system call gives.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    /// That of the system call just made by this thread.
    pub(crate) fn last() -> Self {
        Self(io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

/// The return value of a system call that has -1 for failure.
pub(crate) fn check(returned: libc::c_int) -> Result<libc::c_int> {
    if returned == -1 {
        Err(Errno::last())
    } else {
        Ok(returned)
    }
}

/// The same for calls that return a length.
pub(crate) fn check_length(returned: libc::ssize_t) -> Result<usize> {
    usize::try_from(returned).map_err(|_| Errno::last())
}

macro_rules! names {
    ($($name:ident)*) => {
        fn name_of(errno: libc::c_int) -> Option<&'static str> {
            match errno {
                $(libc::$name => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST
    ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY EFBIG ENOSPC ESPIPE EROFS EPIPE ERANGE EDOM
    EDEADLK ENAMETOOLONG ENOLCK ENOSYS ELOOP ENOSTR ENODATA ETIME ENOPKG EPROTO EBADMSG EOVERFLOW
    EBADFD ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT
    EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET
    ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETIMEDOUT ECONNREFUSED EHOSTDOWN
    EHOSTUNREACH EALREADY EINPROGRESS ECANCELED
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name_of(self.0) {
            Some(name) => f.write_str(name),
            // Numbers above 511 are the kernel's own and must never reach a program.
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_print_as_names() {
        assert_eq!(Errno(libc::EADDRINUSE).to_string(), "EADDRINUSE");
        assert_eq!(format!("{:?}", Errno(512)), "errno 512");
    }

    #[test]
    fn failure_carries_the_error() {
        // SAFETY: Closing a descriptor that cannot exist has no effect.
        assert_eq!(check(unsafe { libc::close(-1) }), Err(Errno(libc::EBADF)));
    }
}
