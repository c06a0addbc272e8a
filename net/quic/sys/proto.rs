// SPDX-License-Identifier: GPL-2.0

//! [`Family`], what a socket family does, and its registration with the kernel.
//!
//! The callbacks here turn C's arguments into safe ones and results into errno; what they do is in
//! the [`Family`].
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h) `struct proto`,
//! [`include/linux/net.h`](srctree/include/linux/net.h) `struct proto_ops`

use super::{
    addr, bindings,
    errno::EOPNOTSUPP,
    netns::NetData,
    once::{Once, Taken},
    skb::Skb,
    sock::{Held, Sock, Sock6},
    sockopt::{OptionIn, OptionOut},
    sysctl, timer,
};
use core::{
    mem::{offset_of, size_of},
    net::SocketAddr,
    ptr::addr_of,
};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_char, c_int, c_long, c_uint, c_void},
    prelude::*,
    sync::aref::ARef,
    types::Opaque,
};

/// What one call to `sendmsg` or `recvmsg` is about.
pub(crate) struct Message {
    /// `MSG_*`.
    pub(crate) flags: u32,
}

/// A socket family above UDP. All functions run in process context without the socket lock, unless
/// they say otherwise.
pub(crate) trait Family: Sized + 'static {
    /// What may be reached without the lock.
    type Shared: Send + Sync;
    /// What the socket lock guards.
    type Locked: Send;
    /// What is kept with each network namespace.
    type Net: NetData;

    /// The protocol number.
    const PROTOCOL: u16;
    /// The level of the family's own socket options.
    const LEVEL: c_int;
    /// The names in `/proc/net/protocols`, of at most 31 bytes, for IPv4 and IPv6.
    const NAMES: (&'static CStr, &'static CStr);

    /// Where the kernel keeps its tables.
    fn tables() -> &'static Tables<Self>;

    /// The shared part of a new socket.
    fn shared() -> impl PinInit<Self::Shared, Error>;
    /// The locked part of a new socket.
    fn locked() -> Result<Self::Locked>;
    /// A new socket is complete; nobody can reach it yet.
    fn opened(sock: &mut Held<'_, Self>);
    /// The last file is gone. The lock is free, and nobody but the network can reach the socket.
    fn close(sock: &Sock<Self>);
    /// `bind()`, with the bytes of the address.
    fn bind(sock: &Sock<Self>, address: &[u8]) -> Result;
    /// `connect()`, with the bytes of the address.
    fn connect(sock: &Sock<Self>, address: &[u8]) -> Result;
    /// `listen()`, with the backlog as `somaxconn` limits it.
    fn listen(sock: &Sock<Self>, backlog: u32) -> Result;
    /// `accept()`.
    fn accept(sock: &Sock<Self>, nonblocking: bool) -> Result<ARef<Sock<Self>>>;
    /// `getpeername()` if `peer`, else `getsockname()`.
    fn name(sock: &Sock<Self>, peer: bool) -> Result<SocketAddr>;
    /// The events that `poll()` shows.
    fn poll(sock: &Sock<Self>) -> u32;
    /// An `ioctl()` with an integer result.
    fn ioctl(sock: &Sock<Self>, command: u32) -> Result<c_int>;
    /// `shutdown()` of a socket that does not listen. The lock is held.
    fn shutdown(sock: &mut Held<'_, Self>, how: u32);
    /// `setsockopt()` at [`Self::LEVEL`].
    fn set_option(sock: &Sock<Self>, name: u32, value: &OptionIn) -> Result;
    /// `getsockopt()` at [`Self::LEVEL`].
    fn get_option(sock: &Sock<Self>, name: u32, value: &OptionOut) -> Result;
    /// `sendmsg()`; how many bytes were taken.
    fn send(sock: &Sock<Self>, message: &mut Message, len: usize) -> Result<usize>;
    /// `recvmsg()`; how many bytes were given.
    fn receive_message(sock: &Sock<Self>, message: &mut Message, len: usize) -> Result<usize>;
    /// A packet for this socket. Softirq context, or process context inside the backlog; must not
    /// sleep.
    fn receive(sock: &mut Held<'_, Self>, skb: Skb);
    /// The timer has gone off. Softirq context, or process context with the spinlock held; must not
    /// sleep.
    fn timeout(sock: &mut Held<'_, Self>);
}

/// The tables of a family that the kernel holds on to.
pub(crate) struct Tables<F: Family> {
    taken: Once,
    proto4: Opaque<bindings::proto>,
    proto6: Opaque<bindings::proto>,
    ops4: Opaque<bindings::proto_ops>,
    ops6: Opaque<bindings::proto_ops>,
    switch: Opaque<[bindings::inet_protosw; 4]>,
    _family: core::marker::PhantomData<fn() -> F>,
}

// SAFETY: Written by `Registration::new` before the kernel knows them, then by the kernel under its
// own locks.
unsafe impl<F: Family> Sync for Tables<F> {}

impl<F: Family> Tables<F> {
    /// Tables that are not registered.
    pub(crate) const fn new() -> Self {
        Self {
            taken: Once::new(),
            proto4: Opaque::zeroed(),
            proto6: Opaque::zeroed(),
            ops4: Opaque::zeroed(),
            ops6: Opaque::zeroed(),
            switch: Opaque::zeroed(),
            _family: core::marker::PhantomData,
        }
    }
}

/// Keeps a family registered for `AF_INET` and `AF_INET6`, `SOCK_STREAM` and `SOCK_DGRAM`.
pub(crate) struct Registration<F: Family> {
    // Dropped in this order: first nobody can make a socket any more.
    _switches: [RegisteredSwitch; 4],
    _protos: [RegisteredProto; 2],
    _taken: Taken,
    _family: core::marker::PhantomData<fn() -> F>,
}

/// A registered `struct proto`.
struct RegisteredProto(*mut bindings::proto);

// SAFETY: The pointer is to a `static` table that the kernel guards.
unsafe impl Send for RegisteredProto {}
// SAFETY: As above.
unsafe impl Sync for RegisteredProto {}

impl RegisteredProto {
    /// # Safety
    ///
    /// `proto` must be `static`, filled in, and not registered.
    unsafe fn new(proto: *mut bindings::proto) -> Result<Self> {
        // SAFETY: By the contract of this function. 1 asks for a slab.
        to_result(unsafe { bindings::proto_register(proto, 1) })?;
        Ok(Self(proto))
    }
}

impl Drop for RegisteredProto {
    fn drop(&mut self) {
        // SAFETY: Registered in `new`; no socket is left, as each holds the module.
        unsafe { bindings::proto_unregister(self.0) }
    }
}

/// A registered `struct inet_protosw`.
struct RegisteredSwitch {
    entry: *mut bindings::inet_protosw,
    is_ipv6: bool,
}

// SAFETY: The pointer is to a `static` table that the kernel guards.
unsafe impl Send for RegisteredSwitch {}
// SAFETY: As above.
unsafe impl Sync for RegisteredSwitch {}

impl RegisteredSwitch {
    /// # Safety
    ///
    /// `entry` must be `static`, filled in, and not registered.
    unsafe fn new(entry: *mut bindings::inet_protosw, is_ipv6: bool) -> Result<Self> {
        // SAFETY: By the contract of this function.
        unsafe {
            if is_ipv6 {
                to_result(bindings::inet6_register_protosw(entry))?;
            } else {
                bindings::inet_register_protosw(entry);
            }
        }
        Ok(Self { entry, is_ipv6 })
    }
}

impl Drop for RegisteredSwitch {
    fn drop(&mut self) {
        // SAFETY: Registered in `new`.
        unsafe {
            if self.is_ipv6 {
                bindings::inet6_unregister_protosw(self.entry);
            } else {
                bindings::inet_unregister_protosw(self.entry);
            }
        }
    }
}

impl<F: Family> Registration<F> {
    /// From now on there can be sockets. Process context, at module init. `EBUSY` if they are
    /// registered already.
    pub(crate) fn new(module: &'static ThisModule) -> Result<Self> {
        let tables = F::tables();
        // Registered tables belong to the kernel.
        let taken = tables.taken.take()?;
        Self::fill(module.as_ptr().cast());
        let entries = tables.switch.get().cast::<bindings::inet_protosw>();
        // SAFETY: The tables are `static`, and have just been filled in; there are four entries. On
        // an error, what is registered already is dropped and so taken back.
        unsafe {
            let protos = [
                RegisteredProto::new(tables.proto4.get())?,
                RegisteredProto::new(tables.proto6.get())?,
            ];
            let switches = [
                RegisteredSwitch::new(entries, false)?,
                RegisteredSwitch::new(entries.add(1), false)?,
                RegisteredSwitch::new(entries.add(2), true)?,
                RegisteredSwitch::new(entries.add(3), true)?,
            ];
            Ok(Self {
                _switches: switches,
                _protos: protos,
                _taken: taken,
                _family: core::marker::PhantomData,
            })
        }
    }

    fn fill(module: *mut bindings::module) {
        let tables = F::tables();
        for (proto, name, size) in [
            (tables.proto4.get(), F::NAMES.0, size_of::<Sock<F>>()),
            (tables.proto6.get(), F::NAMES.1, size_of::<Sock6<F>>()),
        ] {
            // SAFETY: The table is `static`, zeroed, and not yet known to the kernel.
            unsafe {
                proto.write(bindings::proto {
                    close: Some(close::<F>),
                    disconnect: Some(disconnect),
                    accept: Some(accept::<F>),
                    ioctl: Some(ioctl::<F>),
                    init: Some(init::<F>),
                    destroy: Some(Sock::<F>::destroy),
                    shutdown: Some(shutdown::<F>),
                    setsockopt: Some(setsockopt::<F>),
                    getsockopt: Some(getsockopt::<F>),
                    bind: Some(bind::<F>),
                    backlog_rcv: Some(backlog_rcv::<F>),
                    release_cb: Some(timer::release_cb::<F>),
                    unhash: Some(unhash),
                    obj_size: size as c_uint,
                    no_autobind: true,
                    owner: module,
                    ..Default::default()
                });
                sysctl::attach(proto);
                for (place, byte) in (*proto).name.iter_mut().zip(name.to_bytes()) {
                    *place = *byte as c_char;
                }
            }
        }
        // SAFETY: As above.
        unsafe { (*tables.proto6.get()).ipv6_pinfo_offset = offset_of!(Sock6<F>, inet6) as c_uint };

        let common = bindings::proto_ops {
            owner: module,
            bind: Some(bindings::inet_bind),
            connect: Some(connect::<F>),
            socketpair: Some(bindings::sock_no_socketpair),
            accept: Some(bindings::inet_accept),
            getname: Some(getname::<F>),
            poll: Some(poll::<F>),
            gettstamp: Some(bindings::sock_gettstamp),
            listen: Some(listen::<F>),
            shutdown: Some(bindings::inet_shutdown),
            setsockopt: Some(bindings::sock_common_setsockopt),
            getsockopt: Some(bindings::sock_common_getsockopt),
            sendmsg: Some(sendmsg::<F>),
            recvmsg: Some(recvmsg::<F>),
            mmap: Some(bindings::sock_no_mmap),
            ..Default::default()
        };
        // SAFETY: As above.
        unsafe {
            tables.ops4.get().write(bindings::proto_ops {
                family: bindings::AF_INET as c_int,
                release: Some(bindings::inet_release),
                ioctl: Some(bindings::inet_ioctl),
                ..common
            });
            tables.ops6.get().write(bindings::proto_ops {
                family: bindings::AF_INET6 as c_int,
                release: Some(bindings::inet6_release),
                bind: Some(bindings::inet6_bind),
                ioctl: Some(bindings::inet6_ioctl),
                ..common
            });
            let switch = tables.switch.get().cast::<bindings::inet_protosw>();
            for (i, (kind, prot, ops)) in [
                (
                    bindings::sock_type_SOCK_STREAM,
                    tables.proto4.get(),
                    tables.ops4.get(),
                ),
                (
                    bindings::sock_type_SOCK_DGRAM,
                    tables.proto4.get(),
                    tables.ops4.get(),
                ),
                (
                    bindings::sock_type_SOCK_STREAM,
                    tables.proto6.get(),
                    tables.ops6.get(),
                ),
                (
                    bindings::sock_type_SOCK_DGRAM,
                    tables.proto6.get(),
                    tables.ops6.get(),
                ),
            ]
            .into_iter()
            .enumerate()
            {
                switch.add(i).write(bindings::inet_protosw {
                    type_: kind as u16,
                    protocol: F::PROTOCOL,
                    prot,
                    ops,
                    ..Default::default()
                });
            }
        }
    }
}

/// The socket that a callback is about.
///
/// # Safety
///
/// To be called in callbacks of `struct proto` or `struct proto_ops` only, with the socket they are
/// about.
unsafe fn sock_of<'a, F: Family>(sk: *mut bindings::sock) -> &'a Sock<F> {
    // SAFETY: The kernel calls them between `init` and the destruction, with a count of its own.
    unsafe { Sock::from_raw(sk) }
}

/// The socket of a `struct socket`, which has one as long as it can be called.
///
/// # Safety
///
/// As [`sock_of`].
unsafe fn sock_in<'a, F: Family>(socket: *mut bindings::socket) -> &'a Sock<F> {
    // SAFETY: As `sock_of`.
    unsafe { sock_of(addr_of!((*socket).sk).read_volatile()) }
}

/// The bytes of an address that the socket core has copied from the caller.
///
/// # Safety
///
/// `address` must be valid for `len` bytes, which do not change while the result lives.
unsafe fn address_bytes<'a>(address: *const bindings::sockaddr_unsized, len: c_int) -> &'a [u8] {
    match usize::try_from(len) {
        // SAFETY: By the contract of this function.
        Ok(len) if len > 0 => unsafe { core::slice::from_raw_parts(address.cast(), len) },
        _ => &[],
    }
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn init<F: Family>(sk: *mut bindings::sock) -> c_int {
    // SAFETY: Called by `inet_create()` for a fresh socket.
    from_result(|| unsafe { Sock::<F>::init(sk) }.map(|()| 0))
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn close<F: Family>(sk: *mut bindings::sock, _timeout: c_long) {
    // SAFETY: A callback.
    let sock: &Sock<F> = unsafe { sock_of(sk) };
    F::close(sock);
    sock.lock().held().stop_timer();
    // SAFETY: Gives up the file's count; called once, as the last thing that the file does.
    unsafe { bindings::sk_common_release(sk) }
}

/// `sk_common_release()` demands one. Sockets leave their lists in `close`.
///
/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn unhash(_sk: *mut bindings::sock) {}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn disconnect(_sk: *mut bindings::sock, _flags: c_int) -> c_int {
    EOPNOTSUPP.to_errno()
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn bind<F: Family>(
    sk: *mut bindings::sock,
    address: *mut bindings::sockaddr_unsized,
    len: c_int,
) -> c_int {
    // SAFETY: A callback; the address is in kernel memory and belongs to the caller.
    let (sock, address) = unsafe { (sock_of(sk), address_bytes(address, len)) };
    from_result(|| F::bind(sock, address).map(|()| 0))
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn connect<F: Family>(
    socket: *mut bindings::socket,
    address: *mut bindings::sockaddr_unsized,
    len: c_int,
    _flags: c_int,
) -> c_int {
    // SAFETY: A callback; the address is in kernel memory and belongs to the caller.
    let (sock, address) = unsafe { (sock_in(socket), address_bytes(address, len)) };
    from_result(|| F::connect(sock, address).map(|()| 0))
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn listen<F: Family>(socket: *mut bindings::socket, backlog: c_int) -> c_int {
    // SAFETY: A callback.
    let sock = unsafe { sock_in(socket) };
    // The socket core has turned a negative backlog into `somaxconn`.
    from_result(|| F::listen(sock, u32::try_from(backlog).unwrap_or(0)).map(|()| 0))
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn accept<F: Family>(
    sk: *mut bindings::sock,
    argument: *mut bindings::proto_accept_arg,
) -> *mut bindings::sock {
    // SAFETY: A callback; `argument` is valid and the caller's.
    let (sock, nonblocking) = unsafe {
        (
            sock_of(sk),
            (*argument).flags as u32 & kernel::fs::file::flags::O_NONBLOCK != 0,
        )
    };
    match F::accept(sock, nonblocking) {
        Ok(child) => ARef::into_raw(child).as_ptr().cast(),
        Err(error) => {
            // SAFETY: As above.
            unsafe { (*argument).err = error.to_errno() };
            core::ptr::null_mut()
        }
    }
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn getname<F: Family>(
    socket: *mut bindings::socket,
    address: *mut bindings::sockaddr,
    peer: c_int,
) -> c_int {
    // SAFETY: A callback.
    let sock = unsafe { sock_in::<F>(socket) };
    from_result(|| {
        let (bytes, len) = addr::emit(&F::name(sock, peer != 0)?);
        // SAFETY: The caller's buffer is a `sockaddr_storage`, which has room for any address.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), address.cast(), len) };
        Ok(len as c_int)
    })
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn poll<F: Family>(
    file: *mut bindings::file,
    socket: *mut bindings::socket,
    wait: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: A callback; all three are valid. Registers for wake-ups first, so that none is lost
    // after the look.
    unsafe { bindings::quic_helper_poll_wait(file, socket, wait) };
    // SAFETY: A callback.
    F::poll(unsafe { sock_in(socket) })
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn ioctl<F: Family>(
    sk: *mut bindings::sock,
    command: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: A callback.
    let sock = unsafe { sock_of(sk) };
    from_result(|| {
        let value = F::ioctl(sock, command as u32)?;
        // SAFETY: A valid place, by the contract of the callback.
        unsafe { result.write(value) };
        Ok(0)
    })
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn shutdown<F: Family>(sk: *mut bindings::sock, how: c_int) {
    // SAFETY: A callback, with the socket lock held in process context by `inet_shutdown()`, which
    // does not look at our part.
    let mut held = unsafe { Held::<F>::in_callback(sock_of(sk)) };
    F::shutdown(&mut held, how as u32);
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn setsockopt<F: Family>(
    sk: *mut bindings::sock,
    level: c_int,
    name: c_int,
    value: bindings::sockptr_t,
    len: c_uint,
) -> c_int {
    // SAFETY: A callback; a kernel pointer is valid for `len` bytes.
    let (sock, option) = unsafe { (sock_of::<F>(sk), OptionIn::new(value, len as usize)) };
    if level == F::LEVEL {
        return from_result(|| F::set_option(sock, name as u32, &option).map(|()| 0));
    }
    // SAFETY: The arguments are passed on as they came.
    unsafe {
        if sock.is_ipv6() {
            bindings::ipv6_setsockopt(sk, level, name, value, len)
        } else {
            bindings::ip_setsockopt(sk, level, name, value, len)
        }
    }
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn getsockopt<F: Family>(
    sk: *mut bindings::sock,
    level: c_int,
    name: c_int,
    value: *mut c_char,
    len: *mut c_int,
) -> c_int {
    // SAFETY: A callback.
    let sock = unsafe { sock_of::<F>(sk) };
    if level == F::LEVEL {
        return from_result(|| {
            let (value, len) = (user_pointer(value.cast()), user_pointer(len.cast()));
            // SAFETY: User pointers are checked when they are used.
            let option = unsafe { OptionOut::new(value, len) }?;
            F::get_option(sock, name as u32, &option).map(|()| 0)
        });
    }
    // SAFETY: The arguments are passed on as they came.
    unsafe {
        if sock.is_ipv6() {
            bindings::ipv6_getsockopt(sk, level, name, value, len)
        } else {
            bindings::ip_getsockopt(sk, level, name, value, len)
        }
    }
}

/// `USER_SOCKPTR()`.
fn user_pointer(pointer: *mut c_void) -> bindings::sockptr_t {
    let mut result = bindings::sockptr_t::default();
    result.__bindgen_anon_1.user = pointer;
    result.set_is_kernel(false);
    result
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn sendmsg<F: Family>(
    socket: *mut bindings::socket,
    message: *mut bindings::msghdr,
    len: usize,
) -> c_int {
    // SAFETY: A callback; the message is the caller's.
    let (sock, flags) = unsafe { (sock_in(socket), (*message).msg_flags) };
    from_result(|| F::send(sock, &mut Message { flags }, len).map(|bytes| bytes as c_int))
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn recvmsg<F: Family>(
    socket: *mut bindings::socket,
    _message: *mut bindings::msghdr,
    len: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: A callback.
    let sock = unsafe { sock_in(socket) };
    from_result(|| {
        F::receive_message(
            sock,
            &mut Message {
                flags: flags as u32,
            },
            len,
        )
        .map(|bytes| bytes as c_int)
    })
}

/// # Safety
///
/// A callback of `struct proto` or `struct proto_ops`, for the kernel to call.
unsafe extern "C" fn backlog_rcv<F: Family>(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: Called by `release_sock()` alone, with a packet that `OwnedByProcess::queue` left
    // there.
    let (mut held, skb) = unsafe { (Held::<F>::in_callback(sock_of(sk)), Skb::from_raw(skb)) };
    F::receive(&mut held, skb);
    0
}
