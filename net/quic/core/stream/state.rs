// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SendState`] and [`RecvState`]: the states of the two parts of a stream (RFC 9000 §3), as
//! programs see them.

/// The state of the sending part of a stream (RFC 9000 §3.1), with the number it has in the socket
/// interface.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum SendState {
    /// Nothing has been sent.
    Ready = 0,
    /// Data is being sent.
    Send = 1,
    /// FIN has been sent.
    DataSent = 2,
    /// Everything has been acknowledged.
    DataRecvd = 3,
    /// It is being reset.
    ResetSent = 4,
    /// The reset has been acknowledged.
    ResetRecvd = 5,
}

/// The state of the receiving part of a stream (RFC 9000 §3.2), with the number it has in the
/// socket interface.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum RecvState {
    /// Data may arrive.
    Recv = 6,
    /// The final size is known.
    SizeKnown = 7,
    /// All data has arrived.
    DataRecvd = 8,
    /// All data has been read.
    DataRead = 9,
    /// The peer has reset it.
    ResetRecvd = 10,
    /// The application knows of the reset.
    ResetRead = 11,
}

impl SendState {
    /// Whether nothing will be sent any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::DataRecvd | Self::ResetRecvd)
    }
}

impl RecvState {
    /// Whether nothing will be received any more. What has been received may be unread.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Recv | Self::SizeKnown)
    }
}
