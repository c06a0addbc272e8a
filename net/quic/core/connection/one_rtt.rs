// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Datagrams that hold one 1-RTT packet, on a path that is known: what comes in once the handshake
//! is over.
//!
//! [`receive`](super::receive) takes what else there is: several packets in a datagram, of any type
//! and version. A short header has no Length field, so its packet reaches to the end of the datagram
//! (RFC 9000 §12.2), and nothing of that is to be asked for.

use super::close::State;
use super::keys::PhaseChange;
use super::receive::{Arrival, Fate, Processed, Progress};
use super::{Connection, Context, Environment, ReceiveBuffer};
use crate::frame::Frames;
use crate::packet::{
    OpenError, OpenedPacket, PacketNumber, PacketType, ProtectedPacket, ShortHeader, ShortPacket,
    UnprotectedHeader,
};

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
            Ok(Fate::Processed) if self.state == State::Open => self.on_heard(cx),
            Ok(_) => {}
            Err(error) => self.on_short_error(cx, error, bytes),
        }
    }

    #[cold]
    fn on_short_error(&mut self, cx: &mut Context<'_, E>, error: OpenError, bytes: &[u8]) {
        match error {
            OpenError::Discard(discard) => {
                self.on_discard(cx, discard);
                if self.state == State::Open {
                    self.check_stateless_reset(cx, bytes);
                    self.update_amplification(cx.now);
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
    ) -> Result<Fate, OpenError> {
        let cid_len = self.local_cid.len();
        let packet = ProtectedPacket::short(bytes, cid_len, self.fixed_bit_rule())?;
        let largest = self.body.application.receiver.largest_received();
        let header = self.keys.unprotect(packet, largest)?;
        if header.key_phase() != self.keys.phase() {
            let header = header.into_parts();
            return self.on_other_phase(cx, arrival, path, header, largest, buffer);
        }
        let (opened, phase) = self.keys.open_same_phase(header)?;
        if self.body.application.receiver.is_duplicate(opened.number) {
            self.on_duplicate();
            return Ok(Fate::Dropped);
        }
        if phase == PhaseChange::Begun {
            self.on_key_phase(cx);
        }
        // Most packets are one STREAM frame.
        let mut progress = Progress::default();
        if let Some((frame, len)) = Frames::first_stream(opened.payload) {
            if let Err(error) = self.on_stream(cx, &frame, opened.payload_offset, buffer) {
                return self.on_frame_error(error);
            }
            progress = Progress::after_stream(len);
            if len >= opened.payload.len() && self.state == State::Open {
                let processed = Processed::new(&opened, path, largest, arrival.ecn);
                self.on_processed(cx, &processed, &progress);
                return Ok(Fate::Processed);
            }
        }
        let packet = opened.into_parts();
        self.process_rest(cx, arrival, path, packet, largest, progress, buffer)
    }

    // RFC 9000 §12.3: Duplicate suppression MUST happen after removing packet protection.
    #[cold]
    fn on_duplicate(&mut self) {
        self.stats.packets_duplicate = self.stats.packets_duplicate.saturating_add(1);
    }

    /// A packet with another key phase bit than those before.
    #[inline(never)]
    fn on_other_phase(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        path: u8,
        header: ShortHeader<'_>,
        largest: Option<PacketNumber>,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<Fate, OpenError> {
        let header = UnprotectedHeader::from_parts(header, self.local_cid.len());
        let crypto = cx.env.crypto();
        let (opened, phase) = self.keys.open_other_phase(crypto, header, largest)?;
        if self.body.application.receiver.is_duplicate(opened.number) {
            self.on_duplicate();
            return Ok(Fate::Dropped);
        }
        if phase == PhaseChange::Begun {
            self.on_key_phase(cx);
        }
        let packet = opened.into_parts();
        self.process_rest(
            cx,
            arrival,
            path,
            packet,
            largest,
            Progress::default(),
            buffer,
        )
    }

    /// Processes the frames of a packet from `progress` on. It comes in parts, so that they can be
    /// in registers before.
    #[inline(never)]
    #[allow(clippy::too_many_arguments)] // what is known of the packet, and who is to hear of it
    fn process_rest(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        path: u8,
        packet: ShortPacket<'_>,
        largest: Option<PacketNumber>,
        progress: Progress,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<Fate, OpenError> {
        if self.state != State::Open {
            return Ok(Fate::Processed);
        }
        let packet = OpenedPacket::from_parts(packet, self.local_cid.len());
        let processed = Processed::new(&packet, path, largest, arrival.ecn);
        self.process_frames(cx, &processed, &packet, progress, buffer)
    }
}
