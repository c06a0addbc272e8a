// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The connection IDs of a connection (RFC 9000 §5.1): [`LocalCids`] are those that we issued and
//! the peer puts into its packets, [`RemoteCids`] those that the peer issued and we put into ours.
//!
//! ```text
//!   LocalCids:   issue -> NEW_CONNECTION_ID ->  ...in use...  <- RETIRE_CONNECTION_ID
//!   RemoteCids:           NEW_CONNECTION_ID ->  unused, reserved or active -> RETIRE_CONNECTION_ID
//! ```

mod local;
mod remote;

pub use local::LocalCids;
pub use remote::{Displaced, RemoteCids};

/// The most connection IDs of either side that are active at a time. A path needs one, and a second
/// while it changes; more serve a peer that probes several paths at once.
pub const MAX_CIDS: usize = 8;

/// What a program sees of a set (QUIC_SOCKOPT_CONNECTION_ID).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct CidInfo {
    /// The sequence number of the one in use.
    pub active: u64,
    /// The lowest sequence number that was issued and is still held.
    pub prior_to: u64,
}

/// Why a program cannot change a set.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum CidError {
    /// There is no such connection ID, or it is not a newer one. EINVAL.
    Invalid,
    /// A path is being changed, or too many are being retired. EAGAIN.
    InProgress,
}

/// How many sequence numbers there can be. A program passes them in 32 bits.
const SEQUENCES: u64 = 1 << 32;
