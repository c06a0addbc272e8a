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
