// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`AckedRun`]: newly acknowledged packets, counted together where they do not differ in anything
//! that matters to their path.
//!
//! An ACK frame typically acknowledges a batch or two. Its packets have the same path, properties
//! and delivery snapshot, so that the path is told once and not for each of them.

use super::Paths;
use crate::packet::PacketNumber;
use crate::sent::{Alike, Key, SentPacket, Tally};
use crate::time::{Duration, Instant};

/// Newly acknowledged packets of one path and burst, with the same properties.
pub(super) struct AckedRun {
    alike: Alike,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) largest_size: u16,
    /// The largest packet number, and when that packet was sent.
    pub(super) last: PacketNumber,
    pub(super) newest_sent: Instant,
}

impl AckedRun {
    /// Without packets.
    pub(super) const EMPTY: Self = Self {
        alike: Alike {
            key: Key::NONE,
            since: Instant::FAR_FUTURE,
            is_later: true,
        },
        packets: 0,
        bytes: 0,
        largest_size: 0,
        newest_sent: Instant::from_nanos(0),
        last: PacketNumber::ZERO,
    };

    /// Without packets, for those like `packet`.
    #[cold]
    pub(super) fn like<T>(packet: &SentPacket<T>, paths: &mut impl Paths) -> Self {
        let recovery_start = paths
            .path(packet.path())
            .and_then(|path| path.recovery_start());
        // Packets sent from then on are outside of the recovery period of the path.
        let recovered = match recovery_start {
            Some(start) => start + Duration::from_nanos(1),
            None => Instant::from_nanos(0),
        };
        Self {
            alike: Alike {
                key: packet.key().for_path(),
                since: recovered,
                is_later: packet.time_sent >= recovered,
            },
            ..Self::EMPTY
        }
    }

    /// Path, flags and burst.
    pub(super) fn key(&self) -> Key {
        self.alike.key
    }

    /// Whether the packets were sent outside of the recovery period of their path.
    pub(super) fn outside_recovery(&self) -> bool {
        self.alike.is_later
    }

    /// Whether the packet is like the others. The empty run is like none: all packets are in
    /// flight.
    #[inline]
    pub(super) fn includes<T>(&self, packet: &SentPacket<T>) -> bool {
        self.alike.includes(packet)
    }

    /// What they have in common.
    pub(super) fn alike(&self) -> Alike {
        self.alike
    }

    /// Counts packets like the others, which have larger numbers than those before.
    #[inline(always)]
    pub(super) fn add(&mut self, tally: &Tally) {
        self.packets = self.packets.wrapping_add(tally.packets);
        self.bytes = self.bytes.wrapping_add(tally.bytes);
        self.largest_size = self.largest_size.max(tally.largest_size);
        self.last = tally.last;
        self.newest_sent = tally.newest_sent;
    }
}

/// Packets that arrived after they had been declared lost.
#[derive(Default)]
pub(super) struct LateArrivals {
    pub(super) any: bool,
    pub(super) ack_eliciting: bool,
    /// The largest packet number, and where and when that packet was sent.
    pub(super) largest: Option<PacketNumber>,
    pub(super) newest: Option<(u8, Instant)>,
}

impl LateArrivals {
    /// Tells the path.
    #[cold]
    pub(super) fn on_acked<T>(
        &mut self,
        pn: PacketNumber,
        packet: &SentPacket<T>,
        largest_acked: PacketNumber,
        now: Instant,
        paths: &mut impl Paths,
    ) {
        self.any = true;
        self.ack_eliciting |= packet.is_ack_eliciting();
        if self.largest.is_none_or(|largest| pn > largest) {
            self.largest = Some(pn);
            self.newest = Some((packet.path(), packet.time_sent));
        }
        if let Some(path) = paths.path(packet.path()) {
            path.on_lost_packet_acked(pn, packet, largest_acked, now);
        }
    }
}
