// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`KBox`]: one object on the heap.

use super::{inject, AllocError, Flags};
use std::ops::{Deref, DerefMut};

/// An owning pointer whose allocation can fail.
#[derive(Debug, PartialEq, Eq)]
pub struct KBox<T: ?Sized>(Box<T>);

impl<T> KBox<T> {
    /// Allocates room for `value` and moves it there.
    pub fn new(value: T, _flags: Flags) -> Result<Self, AllocError> {
        if inject::next_fails() {
            return Err(AllocError);
        }
        Ok(Self(Box::new(value)))
    }

    /// Moves the value out and frees its room.
    pub fn into_inner(this: Self) -> T {
        *this.0
    }
}

impl<T: ?Sized> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
