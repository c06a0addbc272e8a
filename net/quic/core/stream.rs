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
//! Payload stays in chunks of the caller ([`Chunk`](crate::chunk::Chunk)); the chunks of all streams are in one pool for each
//! direction, which counts the memory they hold.

pub(crate) mod assembler;
pub(crate) mod lost;
pub(crate) mod room;
pub(crate) mod send_buffer;

pub use room::Refused;
pub use send_buffer::Piece;
