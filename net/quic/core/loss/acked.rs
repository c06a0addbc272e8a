// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`AckedRun`]: newly acknowledged packets, counted together where they do not differ in anything
//! that matters to their path.
//!
//! An ACK frame typically acknowledges a batch or two. Its packets have the same path, properties
//! and delivery snapshot, so that the path is told once and not for each of them.

use super::Paths;
use crate::packet::PacketNumber;
use crate::sent::{Key, SentPacket};
use crate::time::{Duration, Instant};

/// Newly acknowledged packets of one path and burst, with the same properties.
pub(super) struct AckedRun {
    /// Path, flags and burst.
    pub(super) key: Key,
    /// Packets sent from then on are outside of the recovery period of the path.
    recovered: Instant,
    /// Whether these are.
    pub(super) outside_recovery: bool,
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
        key: Key::NONE,
        recovered: Instant::FAR_FUTURE,
        outside_recovery: true,
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
        let recovered = match recovery_start {
            Some(start) => start + Duration::from_nanos(1),
            None => Instant::from_nanos(0),
        };
        Self {
            key: packet.key().for_path(),
            recovered,
            outside_recovery: packet.time_sent >= recovered,
            ..Self::EMPTY
        }
    }

    /// Whether the packet is like the others. The empty run is like none: all packets are in
    /// flight.
    #[inline]
    pub(super) fn includes<T>(&self, packet: &SentPacket<T>) -> bool {
        self.key == packet.key().for_path()
            && self.outside_recovery == (packet.time_sent >= self.recovered)
    }

    /// Counts the packet, which has a larger number than those before.
    #[inline]
    pub(super) fn add<T>(&mut self, pn: PacketNumber, packet: &SentPacket<T>) {
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(u64::from(packet.size));
        self.largest_size = self.largest_size.max(packet.size);
        self.last = pn;
        self.newest_sent = packet.time_sent;
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
