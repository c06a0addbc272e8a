// SPDX-License-Identifier: GPL-2.0

//! [`Directory`]: a directory of readable files below `/proc/net`, one for each network namespace.
//!
//! C header: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h)

use super::{bindings, netns::Net};
use core::ptr::NonNull;
use kernel::{
    ffi::{c_int, c_void},
    prelude::*,
    seq_file::SeqFile,
};

/// What a file shows.
pub(crate) trait Show {
    /// The name of the file.
    const NAME: &'static CStr;

    /// Prints the whole file. Process context; may be called again with a larger buffer.
    fn show(net: &Net, out: &Output<'_>);
}

/// Where [`Show::show`] prints to.
pub(crate) struct Output<'a> {
    seq: NonNull<bindings::seq_file>,
    file: &'a SeqFile,
}

impl Output<'_> {
    /// Prints; what does not fit makes the kernel ask again with more room.
    pub(crate) fn print(&self, arguments: core::fmt::Arguments<'_>) {
        self.file.call_printf(arguments);
    }

    /// Prints the address of a socket, hashed as `%p` does: an identity that gives nothing away.
    pub(crate) fn print_hashed_pointer<F: super::proto::Family>(
        &self,
        sock: &super::sock::Sock<F>,
    ) {
        // SAFETY: A valid `seq_file`.
        unsafe { bindings::quic_helper_seq_pointer(self.seq.as_ptr(), sock.as_ptr().cast()) }
    }

    /// The user id of a socket, as the reader's user namespace sees it.
    pub(crate) fn uid_of<F: super::proto::Family>(&self, sock: &super::sock::Sock<F>) -> u32 {
        // SAFETY: A valid `seq_file` and a live socket.
        unsafe { bindings::quic_helper_sock_uid(self.seq.as_ptr(), sock.as_ptr()) }
    }
}

/// A directory below `/proc/net`; it goes with this value, and its files with it.
///
/// # Invariants
///
/// The pointer is that of a directory entry that belongs to this value.
pub(crate) struct Directory(NonNull<bindings::proc_dir_entry>);

// SAFETY: procfs has its own locks.
unsafe impl Send for Directory {}
// SAFETY: As above.
unsafe impl Sync for Directory {}

impl Directory {
    /// Makes the directory `name` for `net`. Process context.
    pub(crate) fn new(net: &Net, name: &CStr) -> Result<Self> {
        // SAFETY: A valid namespace and a C string.
        let entry = unsafe { bindings::quic_helper_proc_mkdir(net.as_ptr(), name.as_char_ptr()) };
        // INVARIANT: Just made.
        NonNull::new(entry).map(Self).ok_or(ENOMEM)
    }

    /// Adds the file that `T` shows.
    pub(crate) fn add<T: Show>(&self) -> Result {
        // SAFETY: By the type invariant; the file goes with the directory, which goes before the
        // module.
        let entry = unsafe {
            bindings::quic_helper_proc_single(
                T::NAME.as_char_ptr(),
                self.0.as_ptr(),
                Some(show::<T>),
            )
        };
        if entry.is_null() {
            return Err(ENOMEM);
        }
        Ok(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Waits for readers.
        unsafe { bindings::proc_remove(self.0.as_ptr()) }
    }
}

/// # Safety
///
/// A callback of a file made by [`Directory::add`], for procfs to call.
unsafe extern "C" fn show<T: Show>(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
    let Some(pointer) = NonNull::new(seq) else {
        return EINVAL.to_errno();
    };
    // SAFETY: Called by procfs with a valid `seq_file` of a file made by `Directory::add`, whose
    // namespace lives as long as the call.
    let (net, file) = unsafe {
        (
            Net::from_raw(bindings::quic_helper_seq_net(seq)),
            SeqFile::from_raw(seq.cast()),
        )
    };
    T::show(net, &Output { seq: pointer, file });
    0
}
