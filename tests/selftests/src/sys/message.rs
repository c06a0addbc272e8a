// SPDX-License-Identifier: MIT OR Apache-2.0

//! `sendmsg()` and `recvmsg()`, with control messages that may be malformed.

use super::address::Address;
use super::errno::{check, check_length, Result};
use quic_uapi::quic_stream_info;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `sizeof(struct cmsghdr)`
const HEADER: usize = size_of::<libc::cmsghdr>();

/// What is to be sent.
pub(crate) struct Message<'a> {
    data: &'a [u8],
    control: Vec<u8>,
    name: Option<Address>,
}

impl<'a> Message<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            control: Vec::new(),
            name: None,
        }
    }

    /// With one more control message.
    pub(crate) fn with(self, level: c_int, kind: c_int, value: &[u8]) -> Self {
        self.with_length(level, kind, value, HEADER + value.len())
    }

    /// With one more control message, which claims to have `length` bytes, header included.
    pub(crate) fn with_length(
        mut self,
        level: c_int,
        kind: c_int,
        value: &[u8],
        length: usize,
    ) -> Self {
        self.control.extend_from_slice(&length.to_ne_bytes());
        self.control.extend_from_slice(&level.to_ne_bytes());
        self.control.extend_from_slice(&kind.to_ne_bytes());
        self.control.extend_from_slice(value);
        self.control
            .resize(self.control.len().next_multiple_of(size_of::<usize>()), 0);
        self
    }

    pub(crate) fn to(mut self, name: Address) -> Self {
        self.name = Some(name);
        self
    }

    pub(super) fn send(&self, socket: BorrowedFd<'_>, flags: c_int) -> Result<usize> {
        self.with_header(|header| {
            // SAFETY: The header points to buffers of the lengths it says; the kernel only reads
            // them.
            check_length(unsafe { libc::sendmsg(socket.as_raw_fd(), header, flags) })
        })
    }

    /// By `sendmmsg()`: how many messages were sent, of this one `count` times.
    pub(crate) fn send_many(
        &self,
        socket: BorrowedFd<'_>,
        count: u32,
        flags: c_int,
    ) -> Result<usize> {
        self.with_header(|header| {
            let one = libc::mmsghdr {
                msg_hdr: *header,
                msg_len: 0,
            };
            let mut all = vec![one; count as usize];
            // SAFETY: As above, and there are `count` headers.
            let sent =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), all.as_mut_ptr(), count, flags) };
            Ok(check(sent)? as usize)
        })
    }

    fn with_header<T>(&self, send: impl FnOnce(&libc::msghdr) -> T) -> T {
        let mut part = libc::iovec {
            iov_base: self.data.as_ptr().cast_mut().cast(),
            iov_len: self.data.len(),
        };
        // SAFETY: A zeroed header is a valid one, with nothing in it.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &mut part;
        header.msg_iovlen = 1;
        if let Some(name) = &self.name {
            header.msg_name = name.bytes().as_ptr().cast_mut().cast();
            header.msg_namelen = name.length();
        }
        if !self.control.is_empty() {
            header.msg_control = self.control.as_ptr().cast_mut().cast();
            header.msg_controllen = self.control.len();
        }
        send(&header)
    }
}

/// The bytes of a `quic_stream_info`, with zeros for padding.
pub(crate) fn stream_info(id: i64, flags: u32) -> [u8; size_of::<quic_stream_info>()] {
    let mut bytes = [0; size_of::<quic_stream_info>()];
    bytes[..8].copy_from_slice(&id.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

/// The bytes of a `quic_errinfo`, which has the same layout.
pub(crate) use stream_info as errinfo;

/// What was received.
#[derive(Debug)]
#[allow(
    dead_code,
    reason = "without a connection nothing is received, but it shows in messages"
)]
pub(crate) struct Received {
    pub(crate) data: Vec<u8>,
    pub(crate) flags: c_int,
}

impl Received {
    pub(super) fn receive(socket: BorrowedFd<'_>, room: usize, flags: c_int) -> Result<Self> {
        let mut data = vec![0; room];
        let mut control = [0_u64; 32];
        let mut part = libc::iovec {
            iov_base: data.as_mut_ptr().cast(),
            iov_len: room,
        };
        // SAFETY: A zeroed header is a valid one, with nothing in it.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control);
        // SAFETY: The header points to buffers of the lengths it says.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, flags) };
        data.truncate(check_length(received)?);
        Ok(Self {
            data,
            flags: header.msg_flags,
        })
    }
}

/// `recvmmsg()` for one message: how many came.
pub(crate) fn receive_many(socket: BorrowedFd<'_>, flags: c_int) -> Result<usize> {
    let mut data = [0_u8; 64];
    let mut part = libc::iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: data.len(),
    };
    // SAFETY: A zeroed header is a valid one, with nothing in it.
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = &mut part;
    header.msg_hdr.msg_iovlen = 1;
    // SAFETY: There is one header, and it points to a buffer of the length it says.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            &mut header,
            1,
            flags,
            std::ptr::null_mut(),
        )
    };
    Ok(check(received)? as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn control_message_has_the_layout_of_the_c_macros() {
        let message = Message::new(b"").with(7, 9, b"abc").with(1, 2, b"");
        // SAFETY: These compute lengths only.
        let spaces = unsafe { (libc::CMSG_SPACE(3), libc::CMSG_SPACE(0)) };
        assert_eq!(message.control.len() as u32, spaces.0 + spaces.1);
        message.with_header(|header| {
            // SAFETY: The header has two complete control messages.
            unsafe {
                let first = libc::CMSG_FIRSTHDR(header);
                assert_eq!((*first).cmsg_len, libc::CMSG_LEN(3) as usize);
                assert_eq!(((*first).cmsg_level, (*first).cmsg_type), (7, 9));
                assert_eq!(*libc::CMSG_DATA(first), b'a');
                let second = libc::CMSG_NXTHDR(header, first);
                assert_eq!(((*second).cmsg_level, (*second).cmsg_type), (1, 2));
            }
        });
    }

    #[test]
    fn messages_arrive() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        Message::new(b"one").send(ours.as_fd(), 0).unwrap();
        assert_eq!(
            Received::receive(theirs.as_fd(), 8, 0).unwrap().data,
            b"one"
        );
        assert_eq!(Message::new(b"many").send_many(ours.as_fd(), 2, 0), Ok(2));
        assert_eq!(receive_many(theirs.as_fd(), 0), Ok(1));
        assert_eq!(receive_many(theirs.as_fd(), libc::MSG_DONTWAIT), Ok(1));
    }
}
