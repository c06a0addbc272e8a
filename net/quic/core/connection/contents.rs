// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Content`]: what a sent packet contained, in 24 bytes, and [`Contents`]: the rest of it.
//!
//! Most packets contain one frame that matters: a piece of one stream. It is kept in the record of
//! the packet. Of a packet with more, the frames are in a list in a pool, until the packet is
//! acknowledged or lost.

use crate::chunk::Weight;
use crate::pool::{List, Pool, Slot};
use crate::sent_frame::SentFrame;
use kernel::alloc::{AllocError, Flags};

/// What a sent packet contained that is sent again if the packet is lost.
#[derive(Copy, Clone, Debug, Default)]
pub(super) enum Content {
    /// Nothing.
    #[default]
    Nothing,
    /// One frame.
    One(SentFrame),
    /// The frames in the list from `head` to `tail`.
    Several {
        /// The first.
        head: Slot,
        /// The last.
        tail: Slot,
    },
}

impl Weight for SentFrame {
    fn weight(&self) -> usize {
        0
    }
}

/// The lists of frames of packets that contained several.
pub(super) struct Contents(Pool<SentFrame>);

impl Contents {
    pub(super) const fn new() -> Self {
        Self(Pool::new())
    }

    /// Makes room for `frames` more, which may then be added without fail.
    pub(super) fn reserve(&mut self, frames: u32, flags: Flags) -> Result<(), AllocError> {
        self.0.reserve(frames, flags)
    }

    /// Adds `frame` to `content`. Fails, without effect, if no room was reserved.
    pub(super) fn add(
        &mut self,
        content: &mut Content,
        frame: SentFrame,
    ) -> Result<(), AllocError> {
        let mut list = match *content {
            Content::Nothing => {
                *content = Content::One(frame);
                return Ok(());
            }
            Content::One(first) => {
                let mut list = List::EMPTY;
                self.0.push_back(&mut list, first).map_err(|_| AllocError)?;
                list
            }
            Content::Several { head, tail } => List::between(head, tail),
        };
        let added = self.0.push_back(&mut list, frame);
        *content = Content::Several {
            head: list.head(),
            tail: list.tail(),
        };
        added.map_err(|_| AllocError)
    }

    /// Steps through the frames of `content`, which stay where they are: `rest` is what follows.
    pub(super) fn next(&self, rest: &mut Content) -> Option<SentFrame> {
        match *rest {
            Content::Nothing => None,
            Content::One(frame) => {
                *rest = Content::Nothing;
                Some(frame)
            }
            Content::Several { head, tail } => {
                let frame = *self.0.get(head)?;
                *rest = match head == tail {
                    true => Content::Nothing,
                    false => Content::Several {
                        head: self.0.next(head),
                        tail,
                    },
                };
                Some(frame)
            }
        }
    }

    /// Takes the frames of `content` out, one after the other.
    #[inline]
    pub(super) fn take(&mut self, content: &mut Content) -> Option<SentFrame> {
        match *content {
            Content::Nothing => None,
            Content::One(frame) => {
                *content = Content::Nothing;
                Some(frame)
            }
            Content::Several { head, tail } => {
                let mut list = List::between(head, tail);
                let frame = self.0.pop_front(&mut list);
                *content = match list.is_empty() {
                    true => Content::Nothing,
                    false => Content::Several {
                        head: list.head(),
                        tail: list.tail(),
                    },
                };
                frame
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream_id::StreamId;
    use crate::varint::VarInt;
    use kernel::alloc::flags::GFP_KERNEL;

    fn frame(id: u32) -> SentFrame {
        SentFrame::StopSending {
            id: StreamId::new(VarInt::from_u32(id)),
        }
    }

    #[test]
    fn a_record_has_24_bytes() {
        assert_eq!(core::mem::size_of::<Content>(), 24);
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        for count in 0..5 {
            let mut contents = Contents::new();
            let mut content = Content::default();
            contents.reserve(5, GFP_KERNEL).unwrap();
            for id in 0..count {
                contents.add(&mut content, frame(id)).unwrap();
            }
            let mut rest = content;
            for id in 0..count {
                assert_eq!(contents.next(&mut rest), Some(frame(id)));
            }
            assert_eq!(contents.next(&mut rest), None);
            for id in 0..count {
                assert_eq!(contents.take(&mut content), Some(frame(id)));
            }
            assert_eq!(contents.take(&mut content), None);
            assert_eq!(contents.0.len(), 0);
        }
    }

    #[test]
    fn without_room_nothing_changes() {
        let mut contents = Contents::new();
        let mut content = Content::default();
        contents.add(&mut content, frame(0)).unwrap();
        assert!(contents.add(&mut content, frame(1)).is_err());
        assert_eq!(contents.take(&mut content), Some(frame(0)));
    }
}
