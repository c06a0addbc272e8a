// SPDX-License-Identifier: GPL-2.0

//! [`OptionIn`] and [`OptionOut`]: the values of socket options, in user memory or, for kernel consumers, in the kernel's.
//!
//! C header: [`include/linux/sockptr.h`](srctree/include/linux/sockptr.h)

use super::bindings;
use core::{mem::size_of, ops::RangeInclusive};
use kernel::{error::to_result, prelude::*};

/// A structure of the ABI.
///
/// # Safety
///
/// Every bit pattern must be a value, and there must be no padding, which would tell the reader
/// what was in memory before.
pub(crate) unsafe trait Plain: Default + Copy {}

// SAFETY: Integers and arrays of bytes, without a gap: `include/uapi/linux/quic.h` and the checks
// of its layout.
unsafe impl Plain for bindings::quic_event_option {}
// SAFETY: As above.
unsafe impl Plain for bindings::quic_connection_close {}
// SAFETY: As above.
unsafe impl Plain for bindings::quic_transport_param {}
// SAFETY: As above.
unsafe impl Plain for bindings::quic_config {}

/// The value that `setsockopt()` brings.
pub(crate) struct OptionIn {
    value: bindings::sockptr_t,
    len: usize,
}

impl OptionIn {
    /// # Safety
    ///
    /// If `value` is a kernel pointer, it must be valid for `len` bytes.
    pub(super) unsafe fn new(value: bindings::sockptr_t, len: usize) -> Self {
        Self { value, len }
    }

    /// How many bytes the caller says there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value as a structure: cut off if it is longer, filled up with zeros if it is shorter.
    /// `EFAULT`.
    pub(crate) fn read<T: Plain>(&self) -> Result<T> {
        let mut value = T::default();
        // SAFETY: `value` has room, and any bytes are valid in it; the source is checked by the
        // copy, or valid by the contract of `new`.
        to_result(unsafe {
            bindings::quic_helper_copy_from_sockptr(
                (&raw mut value).cast(),
                self.value,
                self.len.min(size_of::<T>()),
            )
        })?;
        Ok(value)
    }

    /// The whole value as bytes. `EINVAL` if its length is not in `range`, `EFAULT`, `ENOMEM`.
    pub(crate) fn read_vec(&self, range: RangeInclusive<usize>) -> Result<KVec<u8>> {
        if !range.contains(&self.len) {
            return Err(EINVAL);
        }
        let mut bytes = KVec::from_elem(0, self.len, GFP_KERNEL_ACCOUNT)?;
        self.read_into(&mut bytes)?;
        Ok(bytes)
    }

    /// Fills `bytes`, which must not be longer than the value. `EFAULT`, `EINVAL`.
    pub(crate) fn read_into(&self, bytes: &mut [u8]) -> Result {
        if bytes.len() > self.len {
            return Err(EINVAL);
        }
        // SAFETY: As in `read`.
        to_result(unsafe {
            bindings::quic_helper_copy_from_sockptr(
                bytes.as_mut_ptr().cast(),
                self.value,
                bytes.len(),
            )
        })
    }
}

/// Where `getsockopt()` wants its value.
pub(crate) struct OptionOut {
    value: bindings::sockptr_t,
    len: bindings::sockptr_t,
    capacity: usize,
}

impl OptionOut {
    /// Reads how much room there is. `EFAULT`.
    ///
    /// # Safety
    ///
    /// If they are kernel pointers, `len` must be valid for an `int` and `value` for as many bytes
    /// as that says.
    pub(super) unsafe fn new(value: bindings::sockptr_t, len: bindings::sockptr_t) -> Result<Self> {
        let mut capacity = [0; 4];
        // SAFETY: `capacity` has room; the source is checked by the copy, or valid by the contract
        // of this function.
        to_result(unsafe {
            bindings::quic_helper_copy_from_sockptr(
                capacity.as_mut_ptr().cast(),
                len,
                capacity.len(),
            )
        })?;
        Ok(Self {
            value,
            len,
            capacity: u32::from_ne_bytes(capacity) as usize,
        })
    }

    /// The room the caller has.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// What the caller put there for us to read, cut off or filled up with zeros. `EFAULT`.
    pub(crate) fn read<T: Plain>(&self) -> Result<T> {
        // SAFETY: By the contract of `new`.
        unsafe { OptionIn::new(self.value, self.capacity) }.read()
    }

    /// Writes a structure, cut off to the room there is, and how many bytes that was. `EFAULT`.
    pub(crate) fn write<T: Plain>(&self, value: &T) -> Result {
        // SAFETY: A `Plain` value is so many initialised bytes.
        let bytes = unsafe {
            core::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>())
        };
        self.write_all(
            bytes
                .get(..self.capacity.min(bytes.len()))
                .unwrap_or_default(),
        )
    }

    /// Writes all of `bytes` and how many there are. `EINVAL` if there is not enough room,
    /// `EFAULT`.
    pub(crate) fn write_all(&self, bytes: &[u8]) -> Result {
        if bytes.len() > self.capacity {
            return Err(EINVAL);
        }
        let written = (bytes.len() as u32).to_ne_bytes();
        // SAFETY: The sources have as many bytes; the destinations are checked by the copy, or
        // valid by the contract of `new`.
        unsafe {
            to_result(bindings::quic_helper_copy_to_sockptr(
                self.len,
                written.as_ptr().cast(),
                written.len(),
            ))?;
            to_result(bindings::quic_helper_copy_to_sockptr(
                self.value,
                bytes.as_ptr().cast(),
                bytes.len(),
            ))
        }
    }
}

/// Overwrites what is secret before its memory goes back.
pub(crate) fn wipe(secret: &mut [u8]) {
    // SAFETY: As many bytes as there are.
    unsafe { bindings::quic_helper_memzero_explicit(secret.as_mut_ptr().cast(), secret.len()) }
}
