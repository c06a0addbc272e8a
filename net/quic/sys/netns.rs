// SPDX-License-Identifier: GPL-2.0

//! [`Net`], a network namespace, and [`NetData`], what a module keeps with each.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use super::{
    bindings, compat,
    once::{Once, Taken},
};
use core::{marker::PhantomData, mem::size_of};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_uint},
    prelude::*,
    types::Opaque,
};

/// A network namespace.
#[repr(transparent)]
pub(crate) struct Net(Opaque<bindings::net>);

impl Net {
    /// # Safety
    ///
    /// `net` must be valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(net: *mut bindings::net) -> &'a Self {
        // SAFETY: By the contract of this function; `Net` is transparent, and opaque.
        unsafe { &*net.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::net {
        self.0.get()
    }

    /// Whether this is the namespace that the system began with.
    pub(crate) fn is_init(&self) -> bool {
        // SAFETY: A valid namespace.
        unsafe { bindings::quic_helper_net_is_init(self.as_ptr()) }
    }

    /// Whether there is a device with this index.
    pub(crate) fn has_device(&self, ifindex: c_int) -> bool {
        // SAFETY: A valid namespace.
        unsafe { bindings::quic_helper_dev_exists(self.as_ptr(), ifindex) }
    }
}

/// What a module keeps with each network namespace.
pub(crate) trait NetData: Sized + Send + Sync + 'static {
    /// Where the kernel keeps the slot and the callbacks.
    fn slot() -> &'static Slot<Self>;

    /// Makes the data of a new namespace. Process context.
    fn new(net: &Net) -> impl PinInit<Self, Error>;

    /// The data of `net`.
    fn of(net: &Net) -> &Self {
        // SAFETY: The slot was registered before anybody could have a namespace to ask with, so
        // each namespace has its data, from before its first socket until after its last.
        unsafe { &*bindings::quic_helper_net_generic(net.as_ptr(), Self::slot().id()).cast() }
    }
}

/// The registration of a [`NetData`] type: `struct pernet_operations`.
pub(crate) struct Slot<T: NetData> {
    taken: Once,
    operations: Opaque<bindings::pernet_operations>,
    id: Opaque<c_uint>,
    _data: PhantomData<fn() -> T>,
}

// SAFETY: The kernel changes the parts under its own locks, and we only read `id` after
// registration.
unsafe impl<T: NetData> Sync for Slot<T> {}

impl<T: NetData> Slot<T> {
    /// A slot that is not registered.
    pub(crate) const fn new() -> Self {
        Self {
            taken: Once::new(),
            operations: Opaque::zeroed(),
            id: Opaque::zeroed(),
            _data: PhantomData,
        }
    }

    fn id(&self) -> c_uint {
        // SAFETY: Written at registration only, which is over before anybody asks.
        unsafe { self.id.get().read() }
    }

    /// # Safety
    ///
    /// A callback of `struct pernet_operations`, for the kernel to call.
    unsafe extern "C" fn init(net: *mut bindings::net) -> c_int {
        from_result(|| {
            // SAFETY: Called by the kernel with a valid namespace.
            let net = unsafe { Net::from_raw(net) };
            // SAFETY: The kernel has made `size` zeroed bytes for this slot, which nobody else uses
            // yet. They stay where they are.
            unsafe {
                let data: *mut T =
                    bindings::quic_helper_net_generic(net.as_ptr(), T::slot().id()).cast();
                compat::init_in_place(T::new(net), data)?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// A callback of `struct pernet_operations`, for the kernel to call.
    unsafe extern "C" fn exit(net: *mut bindings::net) {
        // SAFETY: `init` succeeded for this namespace, and its last socket is gone.
        unsafe {
            let data: *mut T = bindings::quic_helper_net_generic(net, T::slot().id()).cast();
            data.drop_in_place();
        }
    }
}

/// Keeps a [`NetData`] type registered. Process context.
pub(crate) struct Registration<T: NetData> {
    _taken: Taken,
    _data: PhantomData<fn() -> T>,
}

impl<T: NetData> Registration<T> {
    /// Makes the data of every namespace there is, and of every one to come.
    pub(crate) fn new() -> Result<Self> {
        let slot = T::slot();
        let taken = slot.taken.take()?;
        let operations = slot.operations.get();
        // SAFETY: Nobody else uses the slot before it is registered; it is `static`.
        unsafe {
            (*operations).init = Some(Slot::<T>::init);
            (*operations).exit = Some(Slot::<T>::exit);
            (*operations).id = slot.id.get();
            (*operations).size = size_of::<T>();
            to_result(bindings::register_pernet_subsys(operations))?;
        }
        Ok(Self {
            _taken: taken,
            _data: PhantomData,
        })
    }
}

impl<T: NetData> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered in `new`.
        unsafe { bindings::unregister_pernet_subsys(T::slot().operations.get()) }
    }
}
