// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Streams (RFC 9000 §2, §3, §4): [`Streams`] holds all of a connection.
//!
//! ```text
//!   write -> SendPart -> poll_stream -> packet -> on_stream -> RecvPart -> consume
//!              ^  |                                             ^  |
//!              |  +-- SendBuffer: in flight, acked, lost        |  +-- Assembler: holes
//!           Schedule: whose turn it is                       Arrivals: what came first
//! ```
//!
//! Payload stays in chunks of the caller ([`Chunk`](crate::chunk::Chunk)); the chunks of all
//! streams are in one pool for each direction, which counts the memory they hold.
//!
//! # How a connection uses this
//!
//! It holds a [`Streams`], a [`CryptoStream`] for each encryption level, a [`DatagramSender`] and a
//! [`DatagramReceiver`], [`LocalCids`] and [`RemoteCids`]. None of them keeps a packet or a clock.
//!
//! **Transport parameters.** [`Streams::new`] takes our own, as [`StreamLimits`] made of
//! [`TransportParameters`]. Those of the peer go to [`Streams::set_peer_limits`],
//! [`DatagramSender::set_peer_limit`] and [`LocalCids::set_peer_limit`]: a client that sends 0-RTT
//! gives the remembered ones first, and those of the handshake when they come, for limits only
//! rise. If the server rejects 0-RTT, the client first reports the records of all 0-RTT packets to
//! [`Streams::on_lost`], then calls [`Streams::on_early_data_rejected`] in place of
//! `set_peer_limits`. After a Retry or a change of version, [`CryptoStream::rewind`] sends the
//! ClientHello again, and 0-RTT packets are reported lost.
//!
//! **A received frame**, parsed by [`Frames`](crate::frame::Frames):
//!
//! | frame | what to call |
//! |---|---|
//! | STREAM | [`Streams::on_stream`], with the data as a chunk |
//! | RESET_STREAM | [`Streams::on_reset_stream`] |
//! | RESET_STREAM_AT | [`Streams::on_reset_stream_at`] |
//! | STOP_SENDING | [`Streams::on_stop_sending`] |
//! | MAX_DATA | [`Streams::on_max_data`]; if it returns true, wake writers |
//! | MAX_STREAM_DATA | [`Streams::on_max_stream_data`] |
//! | MAX_STREAMS | [`Streams::on_max_streams`] |
//! | STREAM_DATA_BLOCKED | [`Streams::on_stream_data_blocked`] |
//! | DATA_BLOCKED, STREAMS_BLOCKED | nothing: limits move when data is consumed |
//! | CRYPTO | [`CryptoStream::on_crypto`], then `peek` and `consume` for TLS |
//! | DATAGRAM | [`DatagramReceiver::on_datagram`], stamped by [`Streams::interject`] |
//! | NEW_CONNECTION_ID | [`RemoteCids::on_new`]; see [`Displaced`](crate::cid_set::Displaced) |
//! | RETIRE_CONNECTION_ID | [`LocalCids::on_retire`]; then issue [`LocalCids::wanted`] |
//!
//! [`FrameError::Transport`] closes the connection. After [`FrameError::Refused`] the packet is
//! treated as if it had not arrived: it is not acknowledged, and the frames before the refused one
//! may be taken up a second time. [`StreamEvent`]s come while the frame is taken up; whether
//! anything can be read, [`Streams::next_readable`] tells after the batch.
//!
//! **Filling a packet**, in this order, each with the space that is left, until it returns `None`:
//! [`CryptoStream::poll`]; in 1-RTT packets [`RemoteCids::poll`] and, after as many
//! [`LocalCids::issue`] as are wanted, [`LocalCids::poll`]; in 0-RTT and 1-RTT packets
//! [`Streams::poll_control`], [`DatagramSender::poll`], and [`Streams::poll_stream`]. A
//! [`Frame`](crate::frame::Frame) is written with `emit`; a [`StreamFrame`] or
//! [`CryptoFrame`](crate::crypto_stream::CryptoFrame) with `header().emit`, and behind it the bytes
//! of its `pieces`, which are to be copied or encrypted before anything else is called. What a
//! `poll` returned counts as sent. With each packet a [`SentFrame`](crate::sent_frame::SentFrame)
//! for each of its frames is stored: `SentFrame::of` or `record`.
//!
//! Polling for STREAM frames may find that a limit blocks, and so `poll_control` have another frame
//! after `poll_stream`: it is for the same packet, if there is space, or the next.
//!
//! **A packet acknowledged or lost**: [`Streams::on_acked`] or [`Streams::on_lost`] for each record
//! of it, and likewise for the other owners that `SentFrame` names. A packet declared lost may be
//! acknowledged later: both are reported, in this order. When acknowledgements have freed memory,
//! [`Streams::send_held`] falls: wake writers.
//!
//! **The user writes**: [`Streams::choose`] or [`Streams::open`], [`Streams::write`] with chunks as
//! long as `send_held` is below the send buffer, [`Streams::push`] unless more is to come,
//! [`Streams::finish`] for the end. [`Streams::reset`] abandons a stream. Whoever sleeps for credit
//! or for a stream calls [`Streams::signal_blocked`] or [`Streams::signal_streams_blocked`].
//!
//! **The user reads**: [`Streams::next_readable`] and [`DatagramReceiver::peek`], of which the one
//! with the earlier [`Stamp`] is next; [`Streams::peek`] for the chunks, and [`Streams::consume`],
//! which moves the limits: a packet may have to be sent. [`Streams::stop`] asks the peer to stop.
//!
//! [`CryptoStream`]: crate::crypto_stream::CryptoStream
//! [`CryptoStream::on_crypto`]: crate::crypto_stream::CryptoStream::on_crypto
//! [`CryptoStream::poll`]: crate::crypto_stream::CryptoStream::poll
//! [`CryptoStream::rewind`]: crate::crypto_stream::CryptoStream::rewind
//! [`DatagramReceiver`]: crate::datagram::DatagramReceiver
//! [`DatagramReceiver::on_datagram`]: crate::datagram::DatagramReceiver::on_datagram
//! [`DatagramReceiver::peek`]: crate::datagram::DatagramReceiver::peek
//! [`DatagramSender`]: crate::datagram::DatagramSender
//! [`DatagramSender::poll`]: crate::datagram::DatagramSender::poll
//! [`DatagramSender::set_peer_limit`]: crate::datagram::DatagramSender::set_peer_limit
//! [`LocalCids`]: crate::cid_set::LocalCids
//! [`LocalCids::issue`]: crate::cid_set::LocalCids::issue
//! [`LocalCids::on_retire`]: crate::cid_set::LocalCids::on_retire
//! [`LocalCids::poll`]: crate::cid_set::LocalCids::poll
//! [`LocalCids::set_peer_limit`]: crate::cid_set::LocalCids::set_peer_limit
//! [`LocalCids::wanted`]: crate::cid_set::LocalCids::wanted
//! [`RemoteCids`]: crate::cid_set::RemoteCids
//! [`RemoteCids::on_new`]: crate::cid_set::RemoteCids::on_new
//! [`RemoteCids::poll`]: crate::cid_set::RemoteCids::poll
//! [`TransportParameters`]: crate::transport_parameters::TransportParameters

mod arrivals;
pub(crate) mod assembler;
mod entry;
mod event;
pub(crate) mod frame;
mod index;
mod input;
mod limits;
pub(crate) mod lost;
mod open;
mod output;
mod read;
mod recv;
pub(crate) mod room;
mod schedule;
mod send;
pub(crate) mod send_buffer;
mod state;
mod table;
mod write;

#[cfg(test)]
mod tests;

pub use arrivals::Stamp;
pub use event::StreamEvent;
pub use frame::StreamFrame;
pub use input::FrameError;
pub use limits::StreamLimits;
pub use open::{Choice, OpenError};
pub use read::Readable;
pub use recv::StopError;
pub use room::Refused;
pub use schedule::{DEFAULT_URGENCY, URGENCIES};
pub use send::{ResetError, Tail, WriteError};
pub use send_buffer::Piece;
pub use state::{RecvState, SendState};
pub use table::{StreamConfig, Streams};
