// SPDX-License-Identifier: GPL-2.0

//! [`Counters`]: what happened in a network namespace, `/proc/net/quic/snmp`.

use crate::sys::percpu;
use kernel::prelude::*;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What is counted.
        #[derive(Copy, Clone)]
        // Counters of connections are at zero until there are connections.
        #[allow(dead_code)]
        pub(crate) enum Counter {
            $($(#[$doc])* $name,)+
        }

        impl Counter {
            /// All counters with their names, in the order of the file.
            const ALL: &'static [(Counter, &'static str)] = &[$((Counter::$name, $text),)+];
        }
    };
}

counters! {
    /// Connections that are established now.
    Established = "QuicConnCurrentEstabs",
    /// Connections that were accepted.
    PassiveEstablished = "QuicConnPassiveEstabs",
    /// Connections that were opened from here.
    ActiveEstablished = "QuicConnActiveEstabs",
    /// Packets received that were handled at once.
    PacketReceiveFast = "QuicPktRcvFastpaths",
    /// Packets decrypted at once.
    PacketDecryptFast = "QuicPktDecFastpaths",
    /// Packets encrypted at once.
    PacketEncryptFast = "QuicPktEncFastpaths",
    /// Packets received while a process owned the socket.
    PacketReceiveBacklog = "QuicPktRcvBacklogs",
    /// Packets decrypted later.
    PacketDecryptBacklog = "QuicPktDecBacklogs",
    /// Packets encrypted later.
    PacketEncryptBacklog = "QuicPktEncBacklogs",
    /// Packets dropped for their header.
    PacketHeaderDrop = "QuicPktInvHdrDrop",
    /// Packets dropped for their number.
    PacketNumberDrop = "QuicPktInvNumDrop",
    /// Packets dropped for a frame.
    PacketFrameDrop = "QuicPktInvFrmDrop",
    /// Packets dropped because nobody wanted them, or no memory was left for them.
    PacketReceiveDrop = "QuicPktRcvDrop",
    /// Packets dropped because they did not decrypt.
    PacketDecryptDrop = "QuicPktDecDrop",
    /// Packets that could not be encrypted.
    PacketEncryptDrop = "QuicPktEncDrop",
    /// Frames dropped because the receive buffer was full.
    FrameReceiveBufferDrop = "QuicFrmRcvBufDrop",
    /// Frames sent again.
    FrameRetransmit = "QuicFrmRetrans",
    /// CONNECTION_CLOSE frames sent.
    FrameOutCloses = "QuicFrmOutCloses",
    /// CONNECTION_CLOSE frames received.
    FrameInCloses = "QuicFrmInCloses",
}

/// The counters of a network namespace.
pub(crate) struct Counters(percpu::Counters<{ Counter::ALL.len() }>);

impl Counters {
    /// All at zero. May sleep.
    pub(crate) fn new() -> Result<Self> {
        percpu::Counters::new().map(Self)
    }

    /// Counts one event. Any context.
    pub(crate) fn count(&self, counter: Counter) {
        self.0.increment(counter as usize);
    }

    /// The names and values, in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        Counter::ALL
            .iter()
            .map(|(counter, name)| (*name, self.0.sum(*counter as usize)))
    }
}
