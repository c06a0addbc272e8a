// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Host`] and [`Application`]: what an endpoint offers to the network below and to the program above.
//!
//! An endpoint has one connection in its life. The simulation calls it in this order, whenever it
//! has something for it:
//!
//! ```text
//! receive()*  on_timeout()?  (next_event()  open()  write() ...)*  transmit()  timeout()
//! ```
//!
//! All datagrams that arrive at one instant are received before anything is transmitted. Every call
//! has the virtual time, which never goes back.

use crate::datagram::Datagram;
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::Instant;
use std::net::SocketAddr;

/// The network's side of an endpoint.
pub trait Host {
    /// A datagram arrives.
    fn receive(&mut self, now: Instant, datagram: Datagram);

    /// Appends to `out` all that the endpoint wants to send now, in order.
    fn transmit(&mut self, now: Instant, out: &mut Vec<Datagram>);

    /// When [`Self::on_timeout`] wants to be called. It may be in the past.
    fn timeout(&mut self) -> Option<Instant>;

    /// An instant that [`Self::timeout`] gave is reached.
    fn on_timeout(&mut self, now: Instant);

    /// ICMP says that `datagram` was an IP packet larger than the `mtu` of a link.
    fn packet_too_big(&mut self, now: Instant, datagram: &Datagram, mtu: u32) {
        let _ = (now, datagram, mtu);
    }

    /// What a human wants to know who looks for an error, each line with four spaces before it.
    fn describe(&self) -> String {
        String::new()
    }

    /// How much memory received data and data to send take, and how much they may.
    fn memory(&mut self) -> [Memory; 2] {
        [Memory::default(); 2]
    }

    /// If nothing more can come of a connection that lives, because of a known defect: which.
    fn defect(&self) -> Option<&'static str> {
        None
    }

    /// Which known defects are not to be reported. None, except for those who cannot be mended here.
    fn tolerance(&self) -> Tolerance {
        Tolerance::default()
    }
}

/// How much memory something takes, and how much it may, in bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// It takes.
    pub held: usize,
    /// It may take.
    pub limit: usize,
}

/// What an endpoint may do although it must not.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Tolerance {
    /// So many bytes more than the anti-amplification limit in the handshake.
    pub amplification: u64,
    /// Anything to an address to which the client has migrated.
    pub new_paths: bool,
    /// To answer packets in the draining state.
    pub draining: bool,
    /// Not to come away from a Retry packet that is not authentic. What the network changes so that
    /// there is one is lost instead.
    pub corrupt_retry: bool,
}

/// The program's side of an endpoint.
///
/// Nothing blocks. What cannot be done now is tried again after the event that says so; a missing
/// event is an error of the endpoint and ends the simulation at its deadline.
pub trait Application {
    /// How far the connection is.
    fn status(&self) -> Status;

    /// What happened, in order; `None` if that is all.
    fn next_event(&mut self) -> Option<Event>;

    /// What became of early data.
    fn early_data(&self) -> EarlyData;

    /// Opens the next stream; `None` if the peer does not permit it now, see [`Event::Available`].
    fn open(&mut self, now: Instant, directionality: Directionality) -> Option<StreamId>;

    /// The next stream that the peer opened, in the order of their IDs.
    fn accept(&mut self, now: Instant, directionality: Directionality) -> Option<StreamId>;

    /// Writes as much of `data` as there is room for, at least a byte. Else it is an error.
    fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> Result<usize, WriteError>;

    /// Nothing more will be written.
    fn finish(&mut self, now: Instant, stream: StreamId) -> Result<(), WriteError>;

    /// Abandons sending.
    fn reset(&mut self, now: Instant, stream: StreamId, code: u64) -> Result<(), ClosedStream>;

    /// Abandons receiving.
    fn stop(&mut self, now: Instant, stream: StreamId, code: u64) -> Result<(), ClosedStream>;

    /// Appends at most `max` bytes to `into`, in order.
    fn read(
        &mut self,
        now: Instant,
        stream: StreamId,
        max: usize,
        into: &mut Vec<u8>,
    ) -> Result<Progress, ReadError>;

    /// The longest datagram (RFC 9221) that can be sent now, 0 if none can.
    fn max_datagram(&mut self) -> usize;

    /// Sends a datagram, or says that there is no room for it: see [`Event::DatagramsWritable`].
    fn send_datagram(&mut self, now: Instant, data: &[u8]) -> bool;

    /// The next datagram that arrived.
    fn receive_datagram(&mut self, now: Instant) -> Option<Vec<u8>>;

    /// Closes the connection with an error code of the application.
    fn close(&mut self, now: Instant, code: u64, reason: &[u8]);

    /// Begins the next key phase, if that is permitted now. Not before [`Status::Confirmed`].
    fn update_keys(&mut self, now: Instant);

    /// The endpoint, a client, has another address from now on. Not before [`Status::Confirmed`].
    fn migrate(&mut self, now: Instant, local: SocketAddr);
}

/// Both sides.
pub trait Endpoint: Host + Application {
    /// The program's side alone.
    fn application(&mut self) -> &mut dyn Application;
}

impl<T: Host + Application> Endpoint for T {
    fn application(&mut self) -> &mut dyn Application {
        self
    }
}

/// How far a connection is (RFC 9000 §4, §10.2).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// A server that waits for its client.
    Idle,
    /// The TLS handshake is not complete.
    Handshaking,
    /// It is complete.
    Established,
    /// It is confirmed (RFC 9001 §4.1.2): keys may be updated, the client may migrate.
    Confirmed,
    /// Closed by this endpoint, which answers packets with CONNECTION_CLOSE.
    Closing,
    /// Closed by the peer. Nothing is sent any more.
    Draining,
    /// All state is gone.
    Drained,
}

/// What an application is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The handshake is complete.
    Connected,
    /// The peer opened streams: see [`Application::accept`].
    Opened(Directionality),
    /// More streams can be opened.
    Available(Directionality),
    /// There is something to read: bytes, the end, or a reset.
    Readable(StreamId),
    /// After [`WriteError::Blocked`]: there is room again.
    Writable(StreamId),
    /// The peer has acknowledged all that was written, and the end.
    Finished(StreamId),
    /// The peer does not want to receive more.
    Stopped(StreamId, u64),
    /// Datagrams arrived.
    DatagramReceived,
    /// There is room for datagrams again.
    DatagramsWritable,
    /// The connection is over, but not because this application closed it.
    Closed(Cause),
}

/// Why a connection is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The application of the peer closed it.
    Application {
        /// Its error code.
        code: u64,
        /// Its reason phrase.
        reason: Vec<u8>,
    },
    /// The transport of the peer closed it.
    Peer {
        /// The error code.
        code: u64,
        /// The reason phrase.
        reason: Vec<u8>,
    },
    /// The transport of this endpoint closed it, because of the peer.
    Error {
        /// The error code.
        code: u64,
        /// What was wrong.
        reason: String,
    },
    /// The idle timeout.
    TimedOut,
    /// A stateless reset.
    Reset,
    /// The endpoints have no version in common.
    VersionMismatch,
}

/// What became of 0-RTT.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum EarlyData {
    /// There is none.
    None,
    /// It can be sent; whether the server takes it is not known yet.
    Offered,
    /// The server took it.
    Accepted,
    /// The server did not: all streams that were opened are gone, their numbers free again.
    Rejected,
    /// The server did not, and the endpoint sends it once more by itself: nothing is gone.
    Repeated,
}

/// How a read went.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There may be more.
    More,
    /// Nothing more for now: see [`Event::Readable`].
    Blocked,
    /// This was all that the peer wrote.
    End,
}

/// Why nothing was written.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// No room: see [`Event::Writable`].
    Blocked,
    /// The peer sent STOP_SENDING with this code.
    Stopped(u64),
    /// The stream is finished, reset, or does not exist.
    Closed,
}

/// Why nothing can be read any more.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ReadError {
    /// The peer sent RESET_STREAM with this code.
    Reset(u64),
    /// The stream is at its end, stopped, or does not exist.
    Closed,
}

/// The stream is closed in this direction already.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ClosedStream;
