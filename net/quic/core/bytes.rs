// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Reader`] and [`Writer`]: the two cursors through which every byte of a packet passes.
//!
//! Neither can leave its slice: a [`Reader`] that has too few bytes answers [`Truncated`], a
//! [`Writer`] that has too little room answers [`Full`]. Numbers are in network byte order (RFC
//! 9000 §17).

/// The bytes end before the field does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Truncated;

/// The buffer ends before the field does; what was being written is not there.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Full;

/// Reads from the front of a slice. A failed read leaves the position where it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the first of `bytes`.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been read yet.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next `len` bytes where `len` came off the wire and may exceed `usize`.
    #[inline]
    pub fn bytes_u64(&mut self, len: u64) -> Result<&'a [u8], Truncated> {
        self.bytes(usize::try_from(len).map_err(|_| Truncated)?)
    }

    /// All that is left.
    #[inline]
    pub fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// Passes over the next `len` bytes.
    #[inline]
    pub fn skip(&mut self, len: usize) -> Result<(), Truncated> {
        self.bytes(len).map(|_| ())
    }

    /// An 8-bit number.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        let (&first, rest) = self.rest.split_first().ok_or(Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    /// A 16-bit number.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// A 24-bit number, as TLS uses for lengths.
    #[inline]
    pub fn u24(&mut self) -> Result<u32, Truncated> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// A 32-bit number.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// A 64-bit number.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    /// Bytes that follow their own length in 8 bits.
    #[inline]
    pub fn vec8(&mut self) -> Result<&'a [u8], Truncated> {
        self.prefixed(|reader| reader.u8().map(usize::from))
    }

    /// Bytes that follow their own length in 16 bits.
    #[inline]
    pub fn vec16(&mut self) -> Result<&'a [u8], Truncated> {
        self.prefixed(|reader| reader.u16().map(usize::from))
    }

    #[inline]
    fn prefixed(
        &mut self,
        len: impl FnOnce(&mut Self) -> Result<usize, Truncated>,
    ) -> Result<&'a [u8], Truncated> {
        let mut ahead = self.clone();
        let len = len(&mut ahead)?;
        let bytes = ahead.bytes(len)?;
        *self = ahead;
        Ok(bytes)
    }

    /// A reader of what `later`, a clone that has read on, has read since.
    #[inline]
    pub(crate) fn up_to(&self, later: &Self) -> Self {
        let read = self.rest.len().saturating_sub(later.rest.len());
        Self {
            rest: self.rest.get(..read).unwrap_or_default(),
        }
    }

    /// Advances past the first `len` bytes, all of them if there are fewer.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }
}

/// Writes to the front of a buffer. A failed write leaves the position where it was.
///
/// What is behind the position is undefined: a buffer is filled from its start.
#[derive(Debug)]
pub struct Writer<'a> {
    // INVARIANT: `at <= end <= buffer.len()`.
    buffer: &'a mut [u8],
    at: usize,
    end: usize,
}

impl<'a> Writer<'a> {
    /// A writer at the first byte of `buffer`.
    #[inline]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        let end = buffer.len();
        Self { buffer, at: 0, end }
    }

    /// How many bytes have been written.
    #[inline]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// How many bytes can still be written.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// What has been written.
    #[inline]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.at).unwrap_or_default()
    }

    /// What has been written from position `start` on, to be changed in place.
    #[inline]
    pub fn written_mut(&mut self, start: usize) -> &mut [u8] {
        self.buffer.get_mut(start..self.at).unwrap_or_default()
    }

    /// Gives up the writer for what it has written.
    #[inline]
    pub fn into_written(self) -> &'a mut [u8] {
        self.buffer.get_mut(..self.at).unwrap_or_default()
    }

    /// Takes back everything after `position`; a position ahead of the current one changes nothing.
    #[inline]
    pub fn rewind(&mut self, position: usize) {
        // INVARIANT: The position only falls.
        self.at = self.at.min(position);
    }

    /// Keeps the last `len` of the remaining bytes free until [`Self::release`].
    #[inline(always)]
    pub fn hold_back(&mut self, len: usize) -> Result<(), Full> {
        // INVARIANT: `end` stays at or behind `at`, and falls.
        self.end = self
            .end
            .checked_sub(len)
            .filter(|&end| end >= self.at)
            .ok_or(Full)?;
        Ok(())
    }

    /// Gives back what [`Self::hold_back`] kept.
    #[inline]
    pub fn release(&mut self, len: usize) {
        // INVARIANT: The buffer ends there at the latest.
        self.end = self.end.saturating_add(len).min(self.buffer.len());
    }

    /// Runs `body`, and takes back what it wrote if it fails.
    #[inline(always)]
    pub fn whole(&mut self, body: impl FnOnce(&mut Self) -> Result<(), Full>) -> Result<(), Full> {
        let start = self.at;
        let result = body(self);
        if result.is_err() {
            self.at = start;
        }
        result
    }

    /// Copies `bytes`.
    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        copy(self.skip(bytes.len())?, bytes);
        Ok(())
    }

    /// Copies the `N` bytes of `array`.
    #[inline(always)]
    pub fn array<const N: usize>(&mut self, array: [u8; N]) -> Result<(), Full> {
        let room = self
            .buffer
            .get_mut(self.at..self.end)
            .and_then(|room| room.first_chunk_mut::<N>())
            .ok_or(Full)?;
        *room = array;
        // INVARIANT: There were `N` bytes between `at` and `end`.
        self.at = self.at.wrapping_add(N);
        Ok(())
    }

    /// Writes `len` times `byte`.
    #[inline]
    pub fn fill(&mut self, len: usize, byte: u8) -> Result<(), Full> {
        self.skip(len)?.fill(byte);
        Ok(())
    }

    /// Leaves the next `len` bytes as they are and returns them, for the caller to fill.
    #[inline(always)]
    pub fn skip(&mut self, len: usize) -> Result<&mut [u8], Full> {
        let room = self.buffer.get_mut(self.at..self.end).ok_or(Full)?;
        let (room, _) = room.split_at_mut_checked(len).ok_or(Full)?;
        // INVARIANT: There were `len` bytes between `at` and `end`.
        self.at = self.at.wrapping_add(len);
        Ok(room)
    }

    /// An 8-bit number.
    #[inline(always)]
    pub fn u8(&mut self, value: u8) -> Result<(), Full> {
        self.array([value])
    }

    /// A 16-bit number.
    #[inline]
    pub fn u16(&mut self, value: u16) -> Result<(), Full> {
        self.array(value.to_be_bytes())
    }

    /// A 32-bit number.
    #[inline]
    pub fn u32(&mut self, value: u32) -> Result<(), Full> {
        self.array(value.to_be_bytes())
    }

    /// A 64-bit number.
    #[inline]
    pub fn u64(&mut self, value: u64) -> Result<(), Full> {
        self.array(value.to_be_bytes())
    }
}

/// Copies as much of `from` as `to` has room for.
// `copy_from_slice` panics on different lengths; the zip cannot, and compiles to the same memcpy.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_takes_fields_in_network_order() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 2, 8, 9, 0, 1, 7]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u24(), Ok(0x0004_0506));
        assert_eq!(reader.vec8(), Ok(&[8, 9][..]));
        assert_eq!(reader.vec16(), Ok(&[7][..]));
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), Err(Truncated));
    }

    #[test]
    fn failed_read_takes_nothing() {
        let mut reader = Reader::new(&[3, 1, 2]);
        assert_eq!(reader.vec8(), Err(Truncated));
        assert_eq!(reader.u32(), Err(Truncated));
        assert_eq!(reader.u64(), Err(Truncated));
        assert_eq!(reader.bytes(4), Err(Truncated));
        assert_eq!(reader.bytes_u64(u64::MAX), Err(Truncated));
        assert_eq!(reader.remaining(), 3);
        assert_eq!(reader.take_rest(), &[3, 1, 2]);
        assert_eq!(reader.rest(), &[] as &[u8]);
    }

    #[test]
    fn writer_stops_at_the_end() {
        let mut buffer = [0xee; 8];
        let mut writer = Writer::new(&mut buffer);
        writer.u16(0x0102).unwrap();
        writer.bytes(&[3, 4]).unwrap();
        assert_eq!(writer.u64(0), Err(Full));
        assert_eq!(writer.bytes(&[0; 5]), Err(Full));
        assert_eq!(writer.skip(usize::MAX), Err(Full));
        assert_eq!(writer.remaining(), 4);
        writer.u32(0x0506_0708).unwrap();
        assert_eq!(writer.u8(0), Err(Full));
        assert_eq!(writer.written(), &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(writer.written_mut(6), &[7, 8]);
    }

    #[test]
    fn held_back_bytes_stay_free() {
        let mut buffer = [0; 8];
        let mut writer = Writer::new(&mut buffer);
        writer.u16(1).unwrap();
        assert_eq!(writer.hold_back(7), Err(Full));
        assert_eq!(writer.hold_back(usize::MAX), Err(Full));
        writer.hold_back(4).unwrap();
        assert_eq!(writer.remaining(), 2);
        assert_eq!(writer.bytes(&[0; 3]), Err(Full));
        assert_eq!(writer.u32(2), Err(Full));
        writer.u16(2).unwrap();
        writer.release(4);
        writer.u32(3).unwrap();
        writer.release(usize::MAX);
        assert_eq!(writer.remaining(), 0);
        assert_eq!(buffer, [0, 1, 0, 2, 0, 0, 0, 3]);
    }

    #[test]
    fn whole_takes_back_what_did_not_fit() {
        let mut buffer = [0; 4];
        let mut writer = Writer::new(&mut buffer);
        writer.u8(9).unwrap();
        let result = writer.whole(|writer| {
            writer.u16(1)?;
            writer.u16(2)
        });
        assert_eq!(result, Err(Full));
        assert_eq!(writer.written(), &[9]);
        writer.fill(3, 7).unwrap();
        writer.rewind(2);
        writer.rewind(3);
        assert_eq!(writer.into_written(), &[9, 7]);
    }
}
