// SPDX-License-Identifier: GPL-2.0

//! The error numbers of the network, which the kernel crate has from 7.3 on only.

use super::bindings;
use kernel::{error::Error, ffi::c_int};

/// An error number; becomes an [`Error`] by `into()`.
#[derive(Copy, Clone)]
pub(crate) struct NetErrno(u32);

impl NetErrno {
    /// As C returns it: negative.
    pub(crate) const fn to_errno(self) -> c_int {
        (self.0 as c_int).wrapping_neg()
    }
}

impl From<NetErrno> for Error {
    fn from(errno: NetErrno) -> Error {
        Error::from_errno(errno.to_errno())
    }
}

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        $($(#[$doc])* pub(crate) const $name: NetErrno = NetErrno(bindings::$name);)+
    };
}

errnos! {
    /// Address already in use.
    EADDRINUSE,
    /// Not an address of this host.
    EADDRNOTAVAIL,
    /// Too much of something is in use.
    ENOBUFS,
    /// No such option.
    ENOPROTOOPT,
    /// Not connected.
    ENOTCONN,
    /// Not supported.
    EOPNOTSUPP,
}
