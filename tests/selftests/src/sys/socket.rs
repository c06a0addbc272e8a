// SPDX-License-Identifier: MIT OR Apache-2.0

//! A socket, with the calls of the socket API as methods.

use super::address::{Address, Family, LENGTH_MAX};
use super::errno::{check, check_length, Errno, Result};
use super::message::{Message, Received};
use super::poll;
use quic_uapi::{Dense, Plain, IPPROTO_QUIC, SOL_QUIC};
use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// An address that is mapped in no process: the first page.
pub(crate) const BAD_POINTER: usize = 8;

/// What buffers hold before the kernel writes to them, to see how far it went.
pub(crate) const UNTOUCHED: u8 = 0xa5;

/// Room for every option value, and as much again to notice a value that is too long.
const VALUE_ROOM: usize = 16 * 1024;

/// A socket that is closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

/// What `getsockopt()` gave.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Value {
    /// The length the kernel wrote back.
    pub(crate) length: u32,
    /// The buffer. What the kernel did not write is as it was before the call: the input, then
    /// [`UNTOUCHED`].
    buffer: Vec<u8>,
}

impl Value {
    /// As many bytes as the kernel says it wrote.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length as usize]
    }

    /// The structure these bytes are, or begin with.
    pub(crate) fn structure<T: Plain>(&self) -> T {
        T::from_bytes(self.bytes())
    }

    /// Whether the buffer is as it was from `offset` on.
    pub(crate) fn is_untouched_from(&self, offset: usize) -> bool {
        self.buffer[offset..].iter().all(|byte| *byte == UNTOUCHED)
    }
}

impl Socket {
    pub(crate) fn open(family: c_int, kind: c_int, protocol: c_int) -> Result<Self> {
        let kind = kind | libc::SOCK_CLOEXEC;
        // SAFETY: Takes numbers only.
        let descriptor = check(unsafe { libc::socket(family, kind, protocol) })?;
        // SAFETY: The descriptor is new and ours.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// A QUIC socket. Which of the two types it has makes no difference.
    #[track_caller]
    pub(crate) fn quic(family: Family) -> Self {
        match Self::open(family.number(), libc::SOCK_STREAM, IPPROTO_QUIC) {
            Ok(socket) => socket,
            Err(errno) => panic!("cannot make a QUIC socket: {errno}"),
        }
    }

    pub(crate) fn bind(&self, address: &Address) -> Result<()> {
        let bytes = address.bytes().as_ptr().cast();
        // SAFETY: The kernel refuses a length above the 128 bytes that are there.
        check(unsafe { libc::bind(self.as_raw_fd(), bytes, address.length()) }).map(drop)
    }

    pub(crate) fn bind_at(&self, pointer: usize, length: u32) -> Result<()> {
        let pointer = pointer as *const libc::sockaddr;
        // SAFETY: The kernel checks the pointer.
        check(unsafe { libc::bind(self.as_raw_fd(), pointer, length) }).map(drop)
    }

    pub(crate) fn connect(&self, address: &Address) -> Result<()> {
        let bytes = address.bytes().as_ptr().cast();
        // SAFETY: The kernel refuses a length above the 128 bytes that are there.
        check(unsafe { libc::connect(self.as_raw_fd(), bytes, address.length()) }).map(drop)
    }

    pub(crate) fn connect_at(&self, pointer: usize, length: u32) -> Result<()> {
        let pointer = pointer as *const libc::sockaddr;
        // SAFETY: The kernel checks the pointer.
        check(unsafe { libc::connect(self.as_raw_fd(), pointer, length) }).map(drop)
    }

    pub(crate) fn listen(&self, backlog: c_int) -> Result<()> {
        // SAFETY: Takes numbers only.
        check(unsafe { libc::listen(self.as_raw_fd(), backlog) }).map(drop)
    }

    pub(crate) fn accept(&self, flags: c_int) -> Result<Self> {
        let null = std::ptr::null_mut();
        // SAFETY: No address is asked for.
        let descriptor = unsafe { libc::accept4(self.as_raw_fd(), null, null.cast(), flags) };
        // SAFETY: The descriptor is new and ours.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(check(descriptor)?) }))
    }

    pub(crate) fn shutdown(&self, how: c_int) -> Result<()> {
        // SAFETY: Takes numbers only.
        check(unsafe { libc::shutdown(self.as_raw_fd(), how) }).map(drop)
    }

    /// The local address, into a buffer of the size every address fits.
    pub(crate) fn name(&self) -> Result<Address> {
        self.name_into(LENGTH_MAX)
    }

    /// The local address, where the program says it has room for `room` bytes, at most 128.
    pub(crate) fn name_into(&self, room: u32) -> Result<Address> {
        assert!(
            room <= LENGTH_MAX || room > c_int::MAX as u32,
            "the buffer is not that long"
        );
        let (mut bytes, mut length) = ([UNTOUCHED; LENGTH_MAX as usize], room);
        // SAFETY: The buffer is as long as said; the kernel refuses a negative length.
        check(unsafe {
            libc::getsockname(self.as_raw_fd(), bytes.as_mut_ptr().cast(), &mut length)
        })?;
        Ok(Address::from_kernel(bytes, length))
    }

    pub(crate) fn name_at(&self, pointer: usize) -> Result<()> {
        let mut length = LENGTH_MAX;
        let pointer = pointer as *mut libc::sockaddr;
        // SAFETY: The kernel checks the pointer, which is that of no memory of ours.
        check(unsafe { libc::getsockname(self.as_raw_fd(), pointer, &mut length) }).map(drop)
    }

    /// The address of the peer.
    pub(crate) fn peer(&self) -> Result<Address> {
        let (mut bytes, mut length) = ([UNTOUCHED; LENGTH_MAX as usize], LENGTH_MAX);
        // SAFETY: The buffer is as long as said.
        check(unsafe {
            libc::getpeername(self.as_raw_fd(), bytes.as_mut_ptr().cast(), &mut length)
        })?;
        Ok(Address::from_kernel(bytes, length))
    }

    /// The local port.
    #[track_caller]
    pub(crate) fn port(&self) -> u16 {
        match self.name() {
            Ok(address) => address.port(),
            Err(errno) => panic!("getsockname: {errno}"),
        }
    }

    pub(crate) fn send(&self, data: &[u8], flags: c_int) -> Result<usize> {
        self.send_at(data.as_ptr() as usize, data.len(), flags)
    }

    pub(crate) fn send_at(&self, pointer: usize, length: usize, flags: c_int) -> Result<usize> {
        // SAFETY: The kernel checks the pointer and only reads from it.
        check_length(unsafe {
            libc::send(
                self.as_raw_fd(),
                pointer as *const libc::c_void,
                length,
                flags,
            )
        })
    }

    pub(crate) fn write(&self, data: &[u8]) -> Result<usize> {
        // SAFETY: The buffer is as long as said.
        check_length(unsafe { libc::write(self.as_raw_fd(), data.as_ptr().cast(), data.len()) })
    }

    pub(crate) fn send_message(&self, message: &Message<'_>, flags: c_int) -> Result<usize> {
        message.send(self.as_fd(), flags)
    }

    pub(crate) fn recv(&self, buffer: &mut [u8], flags: c_int) -> Result<usize> {
        recv(self, buffer, flags)
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: The buffer is as long as said.
        check_length(unsafe {
            libc::read(self.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len())
        })
    }

    pub(crate) fn receive_message(&self, room: usize, flags: c_int) -> Result<Received> {
        Received::receive(self.as_fd(), room, flags)
    }

    /// `setsockopt()` with these bytes.
    pub(crate) fn set(&self, level: c_int, name: c_int, value: &[u8]) -> Result<()> {
        let length = u32::try_from(value.len()).expect("the value is too long");
        self.set_at(level, name, value.as_ptr() as usize, length)
    }

    pub(crate) fn set_at(
        &self,
        level: c_int,
        name: c_int,
        pointer: usize,
        length: u32,
    ) -> Result<()> {
        let value = pointer as *const libc::c_void;
        // SAFETY: The kernel checks the pointer and only reads from it.
        check(unsafe { libc::setsockopt(self.as_raw_fd(), level, name, value, length) }).map(drop)
    }

    pub(crate) fn set_int(&self, level: c_int, name: c_int, value: c_int) -> Result<()> {
        self.set(level, name, &value.to_ne_bytes())
    }

    /// Sets an option of level `SOL_QUIC`.
    pub(crate) fn set_quic<T: Dense>(&self, name: c_int, value: &T) -> Result<()> {
        self.set(SOL_QUIC, name, value.as_bytes())
    }

    /// `getsockopt()` into a buffer that begins with `input` and is `room` bytes long, or so the
    /// kernel is told.
    pub(crate) fn get(&self, level: c_int, name: c_int, input: &[u8], room: u32) -> Result<Value> {
        let mut buffer = vec![UNTOUCHED; VALUE_ROOM];
        buffer[..input.len()].copy_from_slice(input);
        let mut length = room;
        // SAFETY: The buffer is longer than any option value, even if `room` claims that it is
        // longer still.
        check(unsafe {
            libc::getsockopt(
                self.as_raw_fd(),
                level,
                name,
                buffer.as_mut_ptr().cast(),
                &mut length,
            )
        })?;
        assert!(
            length as usize <= VALUE_ROOM,
            "the kernel gave a value of {length} bytes"
        );
        Ok(Value { length, buffer })
    }

    /// `getsockopt()` with pointers that may be bad. `None` stands for a good one.
    pub(crate) fn get_at(
        &self,
        level: c_int,
        name: c_int,
        value: Option<usize>,
        length: Option<usize>,
    ) -> Result<()> {
        let mut buffer = vec![0_u8; VALUE_ROOM];
        let mut room: u32 = 4096;
        let value = value.map_or(buffer.as_mut_ptr().cast(), |pointer| {
            pointer as *mut libc::c_void
        });
        let length = length.map_or(&raw mut room, |pointer| pointer as *mut u32);
        // SAFETY: Each pointer is to memory that is long enough, or bad, which the kernel notices.
        check(unsafe { libc::getsockopt(self.as_raw_fd(), level, name, value, length) }).map(drop)
    }

    pub(crate) fn get_int(&self, level: c_int, name: c_int) -> Result<c_int> {
        let value = self.get(level, name, &[], 4)?;
        Ok(c_int::from_ne_bytes(
            value.bytes().try_into().expect("not an integer"),
        ))
    }

    /// Gets an option of level `SOL_QUIC`, where `input` is what the kernel reads from it.
    pub(crate) fn get_quic<T: Dense>(&self, name: c_int, input: &T) -> Result<T> {
        let value = self.get(SOL_QUIC, name, input.as_bytes(), size_of::<T>() as u32)?;
        Ok(value.structure())
    }

    /// How long `accept()` and the like wait.
    pub(crate) fn set_receive_timeout(&self, timeout: Duration) -> Result<()> {
        let mut value = [0; 16];
        value[..8].copy_from_slice(&timeout.as_secs().to_ne_bytes());
        value[8..].copy_from_slice(&u64::from(timeout.subsec_micros()).to_ne_bytes());
        self.set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &value)
    }

    pub(crate) fn set_nonblocking(&self) -> Result<()> {
        // SAFETY: Takes numbers only.
        check(unsafe { libc::fcntl(self.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }).map(drop)
    }

    /// `F_GETFL` or `F_GETFD`.
    pub(crate) fn descriptor_flags(&self, command: c_int) -> Result<c_int> {
        // SAFETY: Takes numbers only, with these commands.
        check(unsafe { libc::fcntl(self.as_raw_fd(), command) })
    }

    /// An `ioctl()` that writes an integer.
    pub(crate) fn ioctl_int(&self, request: libc::Ioctl) -> Result<c_int> {
        // Room for whatever a request that is not known after all might write.
        let mut value = [0 as c_int; 64];
        // SAFETY: The buffer is longer than any of the values asked for.
        check(unsafe { libc::ioctl(self.as_raw_fd(), request, value.as_mut_ptr()) })?;
        Ok(value[0])
    }

    pub(crate) fn ioctl_at(&self, request: libc::Ioctl, pointer: usize) -> Result<()> {
        // SAFETY: The kernel checks the pointer, which is that of no memory of ours.
        check(unsafe { libc::ioctl(self.as_raw_fd(), request, pointer) }).map(drop)
    }

    /// An interface `ioctl()`: name in, the rest of the structure out.
    pub(crate) fn ioctl_interface(&self, request: libc::Ioctl, name: &str) -> Result<[u8; 24]> {
        let mut request_bytes = [0_u8; 40];
        request_bytes[..name.len()].copy_from_slice(name.as_bytes());
        // SAFETY: `struct ifreq` has 40 bytes, and those are there.
        check(unsafe { libc::ioctl(self.as_raw_fd(), request, request_bytes.as_mut_ptr()) })?;
        Ok(request_bytes[16..].try_into().unwrap())
    }

    /// The answer of `poll()` at once, for `events`.
    #[track_caller]
    pub(crate) fn poll(&self, events: i16) -> i16 {
        poll::poll_now(self, events).expect("poll failed")
    }

    /// The inode number, as `/proc` shows it.
    pub(crate) fn inode(&self) -> u64 {
        // SAFETY: A zeroed structure is valid, and may be written to.
        unsafe {
            let mut status: libc::stat = std::mem::zeroed();
            check(libc::fstat(self.as_raw_fd(), &mut status)).expect("fstat failed");
            status.st_ino
        }
    }

    pub(crate) fn try_clone(&self) -> Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }
}

pub(crate) fn recv(socket: &impl AsRawFd, buffer: &mut [u8], flags: c_int) -> Result<usize> {
    let start = buffer.as_mut_ptr().cast();
    // SAFETY: The buffer is as long as said.
    check_length(unsafe { libc::recv(socket.as_raw_fd(), start, buffer.len(), flags) })
}

pub(crate) fn socketpair(family: c_int, kind: c_int, protocol: c_int) -> Result<()> {
    let mut pair = [0; 2];
    // SAFETY: `pair` has room for both descriptors, which are new and ours.
    let _closed = unsafe {
        check(libc::socketpair(family, kind, protocol, pair.as_mut_ptr()))?;
        pair.map(|descriptor| OwnedFd::from_raw_fd(descriptor))
    };
    Ok(())
}

/// Maps one page of the socket.
pub(crate) fn mmap(socket: &Socket) -> Result<()> {
    let (null, protection) = (std::ptr::null_mut(), libc::PROT_READ);
    // SAFETY: A new mapping, at an address that the kernel chooses, harms nothing.
    let page = unsafe {
        libc::mmap(
            null,
            4096,
            protection,
            libc::MAP_SHARED,
            socket.as_raw_fd(),
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    Ok(())
}

/// `sendfile()` from the start of a file.
pub(crate) fn sendfile(socket: &Socket, file: &impl AsRawFd, length: usize) -> Result<usize> {
    let null = std::ptr::null_mut();
    // SAFETY: No offset is asked for.
    check_length(unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), null, length) })
}

/// `splice()`, at the current offsets.
pub(crate) fn splice(from: &impl AsRawFd, to: &impl AsRawFd, length: usize) -> Result<usize> {
    let null = std::ptr::null_mut();
    // SAFETY: No offsets are asked for.
    check_length(unsafe { libc::splice(from.as_raw_fd(), null, to.as_raw_fd(), null, length, 0) })
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> c_int {
        self.0.as_raw_fd()
    }
}

/// The wrappers, held against protocols whose behaviour is known.
#[cfg(test)]
mod tests {
    use super::super::address::at;
    use super::*;
    use crate::harness::expect::Expect;

    fn tcp() -> Socket {
        Socket::open(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP).unwrap()
    }

    fn udp() -> Socket {
        Socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap()
    }

    #[test]
    fn names_are_read_as_they_were_bound() {
        let socket = tcp();
        assert_eq!(socket.name().unwrap(), at("0.0.0.0:0"));
        socket.bind(&at("127.0.0.1:0")).unwrap();
        assert_ne!(socket.port(), 0);
        socket.peer().fails(libc::ENOTCONN);
        let cut = socket.name_into(4).unwrap();
        assert_eq!(
            (cut.length(), cut.bytes()[3] != UNTOUCHED, cut.bytes()[4]),
            (16, true, UNTOUCHED)
        );
        socket.name_into(u32::MAX).fails(libc::EINVAL);
        socket.name_at(BAD_POINTER).fails(libc::EFAULT);
    }

    #[test]
    fn addresses_are_passed_with_their_length() {
        tcp()
            .bind(&at("127.0.0.1:0").of_length(15))
            .fails(libc::EINVAL);
        tcp()
            .bind(&at("127.0.0.1:0").of_length(LENGTH_MAX + 1))
            .fails(libc::EINVAL);
        tcp().bind_at(BAD_POINTER, 16).fails(libc::EFAULT);
        tcp()
            .connect(&at("127.0.0.1:0").of_family(libc::AF_UNIX))
            .fails(libc::EAFNOSUPPORT);
        tcp().connect_at(BAD_POINTER, 16).fails(libc::EFAULT);
    }

    #[test]
    fn listener_lists_and_times_out() {
        let socket = tcp();
        socket.accept(0).fails(libc::EINVAL);
        socket.listen(1).unwrap();
        assert_eq!(socket.get_int(libc::SOL_SOCKET, libc::SO_ACCEPTCONN), Ok(1));
        socket
            .set_receive_timeout(Duration::from_millis(10))
            .unwrap();
        socket.accept(0).fails(libc::EAGAIN);
        let client = tcp();
        client.connect(&Family::V4.loopback(socket.port())).unwrap();
        assert_eq!(socket.poll(poll::ALL), libc::POLLIN | libc::POLLRDNORM);
        assert_eq!(
            socket.accept(0).unwrap().name().unwrap(),
            client.peer().unwrap()
        );
    }

    #[test]
    fn options_are_read_with_the_length_written_back() {
        let socket = tcp();
        socket
            .set_int(libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)
            .unwrap();
        let value = socket
            .get(libc::SOL_SOCKET, libc::SO_KEEPALIVE, &[], 100)
            .unwrap();
        assert_eq!((value.length, value.bytes()[0]), (4, 1));
        assert!(value.is_untouched_from(4) && !value.is_untouched_from(3));
        socket
            .set_at(libc::SOL_SOCKET, libc::SO_KEEPALIVE, BAD_POINTER, 4)
            .fails(libc::EFAULT);
        let keepalive =
            |value, length| socket.get_at(libc::SOL_SOCKET, libc::SO_KEEPALIVE, value, length);
        keepalive(None, None).unwrap();
        keepalive(Some(BAD_POINTER), None).fails(libc::EFAULT);
        keepalive(None, Some(BAD_POINTER)).fails(libc::EFAULT);
        socket.set(SOL_QUIC, 0, &[0; 4]).fails(libc::ENOPROTOOPT);
    }

    #[test]
    fn ioctls_read_integers_and_interfaces() {
        let socket = udp();
        assert_eq!(socket.ioctl_int(libc::FIONREAD), Ok(0));
        socket
            .ioctl_at(libc::FIONREAD, BAD_POINTER)
            .fails(libc::EFAULT);
        let flags = socket
            .ioctl_interface(libc::SIOCGIFFLAGS as libc::Ioctl, "lo")
            .unwrap();
        assert_ne!(i32::from(flags[0]) & libc::IFF_LOOPBACK, 0);
        socket
            .ioctl_interface(libc::SIOCGIFFLAGS as libc::Ioctl, "none")
            .fails(libc::ENODEV);
    }

    #[test]
    fn data_goes_through_every_call() {
        let (ours, theirs) = (udp(), udp());
        ours.bind(&at("127.0.0.1:0")).unwrap();
        theirs.bind(&at("127.0.0.1:0")).unwrap();
        ours.connect(&theirs.name().unwrap()).unwrap();
        theirs.connect(&ours.name().unwrap()).unwrap();
        let mut buffer = [0; 8];
        ours.send(b"send", 0).unwrap();
        assert_eq!(theirs.recv(&mut buffer, 0), Ok(4));
        ours.write(b"write").unwrap();
        assert_eq!(theirs.read(&mut buffer), Ok(5));
        ours.send_message(&Message::new(b"sendmsg"), 0).unwrap();
        let received = theirs.receive_message(16, 0).unwrap();
        assert_eq!(
            (received.data.as_slice(), received.flags),
            (b"sendmsg".as_slice(), 0)
        );
        ours.send_at(BAD_POINTER, 4, 0).fails(libc::EFAULT);
        theirs
            .recv(&mut buffer, libc::MSG_DONTWAIT)
            .fails(libc::EAGAIN);
        let file = super::super::process::file_with(b"file").unwrap();
        assert_eq!(sendfile(&ours, &file, 4), Ok(4));
        assert_eq!(theirs.recv(&mut buffer, 0), Ok(4));
    }

    #[test]
    fn calls_no_protocol_has_fail() {
        socketpair(libc::AF_INET, libc::SOCK_STREAM, 0).fails(libc::EOPNOTSUPP);
        mmap(&udp()).fails(libc::ENODEV);
        udp().shutdown(libc::SHUT_WR).fails(libc::ENOTCONN);
    }
}
