// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`PacketNumberSpace`]: the three contexts in which packets are numbered, acknowledged and lost (RFC 9000 §12.3).

/// A packet number in full, below 2^62.
pub type PacketNumber = u64;

/// One of the packet number spaces.
///
/// A space is not a path: packets of one space may travel over several paths, and RTT and congestion belong to the path.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PacketNumberSpace {
    /// Initial packets.
    Initial,
    /// Handshake packets.
    Handshake,
    /// 0-RTT and 1-RTT packets.
    ApplicationData,
}

impl PacketNumberSpace {
    /// All, in the order in which a connection uses them.
    pub const ALL: [Self; 3] = [Self::Initial, Self::Handshake, Self::ApplicationData];
}
