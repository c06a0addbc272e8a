// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SentPacket`]: what is remembered of a sent packet, in 40 bytes.

use crate::time::Instant;

/// Properties of a sent packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct SentFlags(pub(crate) u8);

impl SentFlags {
    /// Nothing special.
    pub const NONE: Self = Self(0);
    /// RFC 9002 §2: contains a frame other than ACK, PADDING and CONNECTION_CLOSE.
    pub const ACK_ELICITING: Self = Self(1);
    /// RFC 9002 §2: ack-eliciting or with PADDING; counts towards bytes in flight.
    pub const IN_FLIGHT: Self = Self(2);
    /// Its datagram was marked ECT(0).
    pub const ECT0: Self = Self(4);
    /// A PMTU probe: RFC 9000 §14.4, its loss is no sign of congestion.
    pub const MTU_PROBE: Self = Self(8);
    /// Carried an ACK frame; see [`crate::ack::Receiver::on_ack_acked`].
    pub const HAS_ACK: Self = Self(16);
    /// A 0-RTT packet, discarded if the server rejects them.
    pub const ZERO_RTT: Self = Self(32);

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum State {
    /// Sent, and its fate unknown.
    Outstanding,
    /// Declared lost, remembered in case it was not.
    Lost,
    /// Never sent: an acknowledgment of it is a lie.
    #[default]
    Skipped,
    /// Sent, but neither acknowledged nor lost in a way that matters.
    Untracked,
}

/// What is remembered of a sent packet.
#[derive(Copy, Clone, Debug, Default)]
pub struct SentPacket<T> {
    /// When it was sent.
    pub time_sent: Instant,
    /// What was in it.
    pub content: T,
    /// In bytes, with QUIC's overhead and without that of UDP and IP.
    pub size: u16,
    pub(super) state: State,
    key: Key,
}

/// The path, flags and burst of a packet in one word, so that packets which agree in them are found
/// by one comparison.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Key(u32);

impl Key {
    /// Of no packet: it is not in flight.
    pub(crate) const NONE: Self = Self(0);

    const PATH_SHIFT: u32 = 8;
    const BURST_SHIFT: u32 = 16;

    fn new(path: u8, flags: SentFlags) -> Self {
        Self(u32::from(flags.0) | (u32::from(path) << Self::PATH_SHIFT))
    }

    /// The path.
    pub(crate) const fn path(self) -> u8 {
        (self.0 >> Self::PATH_SHIFT) as u8
    }

    /// The flags.
    pub(crate) const fn flags(self) -> SentFlags {
        SentFlags(self.0 as u8)
    }

    /// The delivery snapshot that the packet belongs to.
    pub(crate) const fn burst(self) -> u16 {
        (self.0 >> Self::BURST_SHIFT) as u16
    }

    /// Without the flags that are no concern of the path.
    pub(crate) fn for_path(self) -> Self {
        Self(self.0 & !u32::from(SentFlags::HAS_ACK.with(SentFlags::ZERO_RTT).0))
    }
}

impl<T> SentPacket<T> {
    /// A packet of `size` bytes that leaves now on the path with index `path`.
    pub fn new(time_sent: Instant, size: u16, path: u8, flags: SentFlags, content: T) -> Self {
        Self {
            time_sent,
            content,
            size,
            state: State::Outstanding,
            key: Key::new(path, flags),
        }
    }

    /// On which path it was sent.
    pub const fn path(&self) -> u8 {
        self.key.path()
    }

    /// Its properties.
    pub const fn flags(&self) -> SentFlags {
        self.key.flags()
    }

    /// Path, flags and burst.
    pub(crate) const fn key(&self) -> Key {
        self.key
    }

    /// Joins it to a delivery snapshot.
    pub(crate) fn set_burst(&mut self, burst: u16) {
        let rest = self.key.0 & ((1 << Key::BURST_SHIFT) - 1);
        self.key.0 = rest | (u32::from(burst) << Key::BURST_SHIFT);
    }

    /// The packet in another state.
    #[inline]
    pub(super) const fn with_state(&self, state: State) -> Self
    where
        T: Copy,
    {
        Self { state, ..*self }
    }

    /// Whether it was declared lost before it was acknowledged.
    pub const fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// Whether it elicits an acknowledgment.
    pub const fn is_ack_eliciting(&self) -> bool {
        self.flags().has(SentFlags::ACK_ELICITING)
    }

    /// Whether it counts, or counted, towards bytes in flight.
    pub const fn is_in_flight(&self) -> bool {
        self.flags().has(SentFlags::IN_FLIGHT)
    }
}
