// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Datagrams that hold one 1-RTT packet, on a path that is known: what comes in once the handshake
//! is over.
//!
//! [`receive`](super::receive) takes what else there is: several packets in a datagram, of any type
//! and version. A short header has no Length field, so its packet reaches to the end of the datagram
//! (RFC 9000 §12.2), and nothing of that is to be asked for.

use super::close::State;
use super::keys::PhaseChange;
use super::receive::{Arrival, PacketContext};
use super::{Connection, Context, Environment, ReceiveBuffer};
use crate::packet::{OpenError, PacketNumberSpace, PacketType, ProtectedPacket};

const SPACE: PacketNumberSpace = PacketNumberSpace::ApplicationData;

impl<E: Environment> Connection<E> {
    /// Whether a datagram that begins with `first` is for [`Self::on_short_datagram`].
    #[inline]
    pub(super) fn is_short_datagram(&self, bytes: &[u8]) -> bool {
        ProtectedPacket::is_short(bytes)
            && self.complete
            && !self.keys.unencrypted
            && self.keys.can_receive(PacketType::OneRtt)
    }

    /// Takes a datagram that came on `path`.
    #[inline]
    pub(super) fn on_short_datagram(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        path: u8,
        bytes: &mut [u8],
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) {
        match self.on_short_packet(cx, arrival, path, bytes, buffer) {
            Ok(()) if self.state == State::Open => self.on_heard(cx),
            Ok(()) => {}
            Err(error) => self.on_short_error(cx, error, bytes),
        }
    }

    #[cold]
    fn on_short_error(&mut self, cx: &mut Context<'_, E>, error: OpenError, bytes: &[u8]) {
        match error {
            OpenError::Discard(discard) => {
                let suspicious = self.on_discard(cx, discard);
                if suspicious && self.state == State::Open {
                    self.check_stateless_reset(cx, bytes);
                }
            }
            OpenError::Close(error) => self.close_with(cx, error),
        }
    }

    #[inline(always)]
    fn on_short_packet(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        path: u8,
        bytes: &mut [u8],
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<(), OpenError> {
        let packet = ProtectedPacket::short(bytes, self.local_cid.len(), self.fixed_bit_rule())?;
        let largest = self.body.space(SPACE).receiver.largest_received();
        let (opened, phase) = self.keys.open_one_rtt(cx.env.crypto(), packet, largest)?;
        // RFC 9000 §12.3: Duplicate suppression MUST happen after removing packet protection.
        if self.body.space(SPACE).receiver.is_duplicate(opened.number) {
            self.stats.packets_duplicate = self.stats.packets_duplicate.saturating_add(1);
            return Ok(());
        }
        if phase == PhaseChange::Begun {
            self.on_key_phase(cx);
        }
        let context = PacketContext::new(&opened, path);
        self.process_frames(cx, &context, &opened, largest, arrival.ecn, buffer)
    }
}
