// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Host`] for quinn.

use super::Foreign;
use crate::datagram::{Datagram, Ecn};
use crate::host::{Host, Tolerance};
use bytes::BytesMut;
use quic_core::role::Role;
use quic_core::time::{Duration, Instant};
use quinn_proto::{DatagramEvent, EcnCodepoint, Transmit};

/// How many datagrams quinn may build at once.
const BATCH: usize = 10;

impl Foreign {
    /// The virtual instant on quinn's clock.
    pub(super) fn clock(&self, now: Instant) -> std::time::Instant {
        self.epoch + std::time::Duration::from_nanos(now.as_nanos())
    }

    /// Cuts what quinn built into datagrams.
    fn cut<'a>(
        &self,
        transmit: &Transmit,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Datagram> + use<'a> {
        let (from, to) = (self.local, transmit.destination);
        let ecn = match transmit.ecn {
            None => Ecn::NotEct,
            Some(EcnCodepoint::Ect0) => Ecn::Ect0,
            Some(EcnCodepoint::Ect1) => Ecn::Ect1,
            Some(EcnCodepoint::Ce) => Ecn::Ce,
        };
        let size = transmit.segment_size.unwrap_or(transmit.size);
        bytes[..transmit.size]
            .chunks(size)
            .map(move |payload| Datagram {
                from,
                to,
                ecn,
                payload: payload.to_vec(),
            })
    }

    fn on_datagram_event(
        &mut self,
        now: std::time::Instant,
        event: DatagramEvent,
        mut bytes: Vec<u8>,
    ) {
        let response = match event {
            DatagramEvent::ConnectionEvent(to, event) => {
                if let Some((handle, connection)) = &mut self.connection {
                    if *handle == to {
                        connection.handle_event(event);
                    }
                }
                return;
            }
            DatagramEvent::Response(transmit) => Some(transmit),
            DatagramEvent::NewConnection(incoming) if self.connection.is_some() => {
                self.endpoint.ignore(incoming);
                return;
            }
            DatagramEvent::NewConnection(incoming) => {
                bytes.clear();
                let validated = incoming.remote_address_validated() || !incoming.may_retry();
                if self.settings.retry && !validated {
                    self.endpoint.retry(incoming, &mut bytes).ok()
                } else {
                    match self.endpoint.accept(incoming, now, &mut bytes, None) {
                        Ok(connection) => {
                            self.connection = Some(connection);
                            None
                        }
                        Err(error) => error.response,
                    }
                }
            }
        };
        if let Some(transmit) = response {
            let datagrams = self.cut(&transmit, &bytes);
            self.responses.extend(datagrams);
        }
    }
}

impl Host for Foreign {
    fn receive(&mut self, now: Instant, datagram: Datagram) {
        let now = self.clock(now);
        let ecn = match datagram.ecn {
            Ecn::NotEct => None,
            Ecn::Ect0 => Some(EcnCodepoint::Ect0),
            Ecn::Ect1 => Some(EcnCodepoint::Ect1),
            Ecn::Ce => Some(EcnCodepoint::Ce),
        };
        // An address that it had before.
        if self.role == Role::Client && datagram.to != self.local {
            return;
        }
        let payload = BytesMut::from(&datagram.payload[..]);
        let mut bytes = Vec::new();
        let endpoint = &mut self.endpoint;
        if let Some(event) = endpoint.handle(now, datagram.from, None, ecn, payload, &mut bytes) {
            self.on_datagram_event(now, event, bytes);
        }
        self.exchange();
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        let now = self.clock(now);
        out.append(&mut self.responses);
        let Some((handle, mut connection)) = self.connection.take() else {
            return;
        };
        let mut bytes = Vec::new();
        while let Some(transmit) = connection.poll_transmit(now, BATCH, &mut bytes) {
            out.extend(self.cut(&transmit, &bytes));
            bytes.clear();
        }
        if let Some(timer) = connection
            .poll_timeout()
            .filter(|_| !connection.is_closed())
        {
            let rest = timer.saturating_duration_since(now).as_nanos();
            self.rest = Duration::from_nanos(rest as u64);
        }
        self.connection = Some((handle, connection));
        self.exchange();
    }

    fn timeout(&mut self) -> Option<Instant> {
        let (_, connection) = self.connection.as_mut()?;
        let nanos = connection
            .poll_timeout()?
            .saturating_duration_since(self.epoch)
            .as_nanos();
        Some(Instant::default() + Duration::from_nanos(nanos as u64))
    }

    fn on_timeout(&mut self, now: Instant) {
        let now = self.clock(now);
        if let Some((_, connection)) = &mut self.connection {
            connection.handle_timeout(now);
        }
        self.exchange();
    }

    fn describe(&self) -> String {
        let Some((_, connection)) = &self.connection else {
            return String::new();
        };
        let (settings, stats) = (&self.settings, connection.stats());
        let path = stats.path;
        format!("\n    {settings:?}\n    {path:?}\n    {:?}", stats.udp_rx)
    }

    // As of quinn-proto 0.11.19. When a server has lost packets of the handshake while application
    // data fills its window, or when a client has gone back to where it was, no timer is left but
    // that of the idle timeout, and nothing is sent again (`pto_time_and_space()` gives nothing
    // while `is_handshaking()`). A sender with data in flight or to be sent again must have one.
    fn defect(&self) -> Option<&'static str> {
        let (_, connection) = self.connection.as_ref()?;
        let idle = self.settings.idle_timeout;
        let no_timer = self.rest >= idle.mul_div(3, 4);
        let sent = connection.stats().frame_tx;
        let blocked = sent.data_blocked + sent.stream_data_blocked > 0;
        let in_flight = !self.finishing.is_empty() && !blocked;
        let stuck = no_timer && (in_flight || connection.has_pending_retransmits());
        stuck.then_some("quinn has data to send again, but no timer")
    }

    // As of quinn-proto 0.11.19.
    fn tolerance(&self) -> Tolerance {
        Tolerance {
            // It begins a datagram as long as a single byte may be sent.
            amplification: 1_472,
            // It pads PATH_CHALLENGE to 1200 bytes, whatever it received.
            new_paths: true,
            // Two of them can answer CONNECTION_CLOSE with CONNECTION_CLOSE for a while.
            draining: true,
            // After a Retry packet that is not authentic, its client ignores all others. Its server
            // closes the connection for what looks like one.
            corrupt_retry: true,
        }
    }
}
