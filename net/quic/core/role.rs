// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Role`]: which of the two endpoints of a connection one is.

/// The client opens the connection, the server accepts it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// Sent the first packet.
    Client,
    /// Answers it.
    Server,
}

impl Role {
    /// The other endpoint.
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_the_peer_of_the_other() {
        assert_eq!(Role::Client.peer(), Role::Server);
        assert_eq!(Role::Server.peer(), Role::Client);
    }
}
