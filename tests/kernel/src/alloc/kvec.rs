// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`KVec`]: a growable array whose growth can fail.

use super::{inject, AllocError, Flags};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A growable array. Only the calls that take [`Flags`] allocate.
#[derive(PartialEq, Eq)]
pub struct KVec<T>(Vec<T>);

/// There was no spare capacity; the value comes back.
pub struct PushError<T>(pub T);

/// The index was out of bounds.
pub struct RemoveError;

/// A value could not be inserted; it comes back.
pub enum InsertError<T> {
    /// The index was out of bounds.
    IndexOutOfBounds(T),
    /// There was no spare capacity.
    OutOfCapacity(T),
}

impl<T> KVec<T> {
    /// An empty array that owns no memory.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// An empty array with room for `capacity` elements.
    pub fn with_capacity(capacity: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut this = Self::new();
        this.reserve(capacity, flags)?;
        Ok(this)
    }

    /// How many elements fit without another allocation.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Makes room for `additional` more elements, at least doubling the capacity if it has to grow.
    pub fn reserve(&mut self, additional: usize, _flags: Flags) -> Result<(), AllocError> {
        let needed = self.0.len().checked_add(additional).ok_or(AllocError)?;
        if needed <= self.0.capacity() {
            return Ok(());
        }
        if inject::next_fails() {
            return Err(AllocError);
        }
        let wanted = needed.max(self.0.capacity().saturating_mul(2));
        self.0
            .try_reserve_exact(wanted - self.0.len())
            .map_err(|_| AllocError)
    }

    /// Appends `value`, growing if there is no room.
    pub fn push(&mut self, value: T, flags: Flags) -> Result<(), AllocError> {
        self.reserve(1, flags)?;
        self.0.push(value);
        Ok(())
    }

    /// Appends `value` if there is room.
    pub fn push_within_capacity(&mut self, value: T) -> Result<(), PushError<T>> {
        if self.0.len() == self.0.capacity() {
            return Err(PushError(value));
        }
        self.0.push(value);
        Ok(())
    }

    /// Inserts `value` before element `index` if there is room.
    pub fn insert_within_capacity(&mut self, index: usize, value: T) -> Result<(), InsertError<T>> {
        if index > self.0.len() {
            return Err(InsertError::IndexOutOfBounds(value));
        }
        if self.0.len() == self.0.capacity() {
            return Err(InsertError::OutOfCapacity(value));
        }
        self.0.insert(index, value);
        Ok(())
    }

    /// Takes the last element off.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Takes element `index` out, moving the later ones down.
    pub fn remove(&mut self, index: usize) -> Result<T, RemoveError> {
        if index >= self.0.len() {
            return Err(RemoveError);
        }
        Ok(self.0.remove(index))
    }

    /// Drops all but the first `len` elements.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Drops every element and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps the elements for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(keep);
    }

    /// Takes all elements out, keeping the memory.
    pub fn drain_all(&mut self) -> std::vec::Drain<'_, T> {
        self.0.drain(..)
    }

    /// The elements.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// The elements.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Clone> KVec<T> {
    /// Appends copies of `other`.
    pub fn extend_from_slice(&mut self, other: &[T], flags: Flags) -> Result<(), AllocError> {
        self.reserve(other.len(), flags)?;
        self.0.extend_from_slice(other);
        Ok(())
    }

    /// An array of `n` copies of `value`.
    pub fn from_elem(value: T, n: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut this = Self::with_capacity(n, flags)?;
        this.0.resize(n, value);
        Ok(this)
    }

    /// Cuts or fills up with copies of `value` to `len` elements.
    pub fn resize(&mut self, len: usize, value: T, flags: Flags) -> Result<(), AllocError> {
        self.reserve(len.saturating_sub(self.0.len()), flags)?;
        self.0.resize(len, value);
        Ok(())
    }
}

impl<T> Default for KVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> IntoIterator for KVec<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a KVec<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for KVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Not enough capacity")
    }
}

impl fmt::Debug for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Index out of bounds")
    }
}

impl<T> fmt::Debug for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IndexOutOfBounds(_) => "Index out of bounds",
            Self::OutOfCapacity(_) => "Not enough capacity",
        })
    }
}
