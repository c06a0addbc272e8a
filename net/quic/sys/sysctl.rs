// SPDX-License-Identifier: GPL-2.0

//! The limits of socket memory that the administrator sets, and the accounting that they govern.
//!
//! The values lie where `struct proto` points to, so that the kernel's own accounting reads them.
//!
//! C header: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h)

use super::{
    bindings,
    netns::Net,
    once::{Once, Taken},
};
use core::{
    mem::size_of,
    ptr::{addr_of_mut, NonNull},
};
use kernel::{
    error::to_result,
    ffi::{c_int, c_long, c_void},
    prelude::*,
    types::Opaque,
};

/// The three limits; the kernel reads and writes them without a lock, a word at a time.
struct Values {
    taken: Once,
    mem: Opaque<[c_long; 3]>,
    wmem: Opaque<[c_int; 3]>,
    rmem: Opaque<[c_int; 3]>,
    one: Opaque<c_int>,
    table: Opaque<[bindings::ctl_table; 3]>,
}

// SAFETY: Read and written by C only, after `Accounting::new`.
unsafe impl Sync for Values {}

static VALUES: Values = Values {
    taken: Once::new(),
    mem: Opaque::zeroed(),
    wmem: Opaque::zeroed(),
    rmem: Opaque::zeroed(),
    one: Opaque::new(1),
    table: Opaque::zeroed(),
};

/// Lets `prot` be accounted and limited by the values.
///
/// # Safety
///
/// `prot` must be valid and not yet registered.
pub(super) unsafe fn attach(prot: *mut bindings::proto) {
    // SAFETY: By the contract of this function; the values are `static`.
    unsafe {
        bindings::quic_helper_proto_init(prot);
        (*prot).sysctl_mem = VALUES.mem.get().cast();
        (*prot).sysctl_wmem = VALUES.wmem.get().cast();
        (*prot).sysctl_rmem = VALUES.rmem.get().cast();
    }
}

/// Keeps the accounting of memory and sockets ready.
pub(crate) struct Accounting {
    _taken: Taken,
}

impl Accounting {
    /// Takes the defaults from the memory of the machine. Process context.
    pub(crate) fn new() -> Result<Self> {
        let taken = VALUES.taken.take()?;
        // SAFETY: The values are `static`, and not in use by another one.
        unsafe {
            bindings::quic_helper_accounting_limits(
                VALUES.mem.get().cast(),
                VALUES.wmem.get().cast(),
                VALUES.rmem.get().cast(),
            );
            to_result(bindings::quic_helper_accounting_init())?;
        }
        Ok(Self { _taken: taken })
    }
}

impl Drop for Accounting {
    fn drop(&mut self) {
        // SAFETY: Initialised in `new`; no socket is left.
        unsafe { bindings::quic_helper_accounting_exit() }
    }
}

/// The files below `/proc/sys`, which go with this value.
///
/// # Invariants
///
/// The pointer is that of a registered table that belongs to this value.
pub(crate) struct Files(NonNull<c_void>);

// SAFETY: sysctl has its own locks.
unsafe impl Send for Files {}
// SAFETY: As above.
unsafe impl Sync for Files {}

impl Files {
    /// Makes `/proc/sys/PATH/{quic_mem,quic_rmem,quic_wmem}`, in the initial namespace: the limits
    /// are those of the machine. Process context.
    pub(crate) fn new(net: &Net, path: &'static CStr) -> Result<Self> {
        let table = VALUES.table.get().cast::<bindings::ctl_table>();
        let triple =
            |name: &'static CStr, data: *mut c_void, size: usize, handler, least: *mut c_void| {
                bindings::ctl_table {
                    procname: name.as_char_ptr(),
                    data,
                    maxlen: size as c_int,
                    mode: 0o644,
                    proc_handler: handler,
                    extra1: least,
                    ..Default::default()
                }
            };
        let one: *mut c_void = VALUES.one.get().cast();
        // SAFETY: The table is `static`, has three entries and is not registered yet.
        let header = unsafe {
            table.write(triple(
                c"quic_mem",
                VALUES.mem.get().cast(),
                size_of::<[c_long; 3]>(),
                Some(bindings::proc_doulongvec_minmax),
                core::ptr::null_mut(),
            ));
            table.add(1).write(triple(
                c"quic_rmem",
                VALUES.rmem.get().cast(),
                size_of::<[c_int; 3]>(),
                Some(bindings::proc_dointvec_minmax),
                one,
            ));
            table.add(2).write(triple(
                c"quic_wmem",
                VALUES.wmem.get().cast(),
                size_of::<[c_int; 3]>(),
                Some(bindings::proc_dointvec_minmax),
                one,
            ));
            bindings::quic_helper_sysctl_register(
                net.as_ptr(),
                path.as_char_ptr(),
                addr_of_mut!(*table),
                3,
            )
        };
        // INVARIANT: Just registered.
        NonNull::new(header).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::unregister_net_sysctl_table(self.0.as_ptr().cast()) }
    }
}
