// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what guards a socket: the lock in its three forms, the backlog, the timer. They
//! run when the module is loaded into a kernel with KUnit.

use kernel::prelude::*;

#[kunit_tests(quic_sock)]
mod tests {
    use crate::{
        family::Quic,
        sys::{
            addr,
            proto::Family,
            testing::{as_softirq, count, packet, TestSocket},
        },
    };
    use kernel::{
        prelude::*,
        time::{delay::fsleep, Delta},
    };

    /// A timeout, in nanoseconds.
    const SOON: u64 = 20_000_000;

    fn socket() -> Result<TestSocket<Quic>> {
        TestSocket::new()
    }

    /// Waits until `condition` holds; a VM may be slow.
    fn eventually(condition: impl Fn() -> bool) -> bool {
        (0..200).any(|_| {
            fsleep(Delta::from_millis(25));
            condition()
        })
    }

    #[test]
    fn a_packet_is_handled_at_once_when_nobody_owns_the_socket() -> Result {
        let socket = socket()?;
        let packet = packet()?;
        assert!(as_softirq(|| socket.sock().deliver(packet, 0)));
        assert_eq!(socket.sock().lock().seen.packets, 1);
        Ok(())
    }

    #[test]
    fn a_packet_waits_for_the_owner() -> Result {
        let socket = socket()?;
        let packet = packet()?;
        let guard = socket.sock().lock();
        assert!(as_softirq(|| socket.sock().deliver(packet, 0)));
        assert_eq!(guard.seen.packets, 0);
        drop(guard);
        assert_eq!(socket.sock().lock().seen.packets, 1);
        Ok(())
    }

    #[test]
    fn the_backlog_has_a_limit() -> Result {
        let socket = socket()?;
        let mut guard = socket.sock().lock();
        guard.held().set_receive_buffer(0);
        let mut accepted: u32 = 0;
        for _ in 0..64 {
            let packet = packet()?;
            accepted += u32::from(as_softirq(|| socket.sock().deliver(packet, 4096)));
        }
        drop(guard);
        assert!(accepted >= 1 && accepted < 64);
        assert_eq!(socket.sock().lock().seen.packets, accepted);
        Ok(())
    }

    #[test]
    fn the_timer_goes_off_once_and_gives_up_its_count() -> Result {
        let socket = socket()?;
        let before = count(socket.sock());
        socket.sock().lock().held().set_timer(SOON);
        assert_eq!(count(socket.sock()), before + 1);
        assert!(eventually(|| socket.sock().lock().seen.timeouts == 1));
        assert!(eventually(|| count(socket.sock()) == before));
        fsleep(Delta::from_millis(200));
        assert_eq!(socket.sock().lock().seen.timeouts, 1);
        Ok(())
    }

    #[test]
    fn the_timer_waits_for_the_owner() -> Result {
        let socket = socket()?;
        let before = count(socket.sock());
        let mut guard = socket.sock().lock();
        guard.held().set_timer(SOON);
        fsleep(Delta::from_millis(200));
        assert_eq!(guard.seen.timeouts, 0);
        assert_eq!(count(socket.sock()), before + 1);
        drop(guard);
        assert_eq!(socket.sock().lock().seen.timeouts, 1);
        assert_eq!(count(socket.sock()), before);
        Ok(())
    }

    #[test]
    fn a_note_of_the_timer_is_torn_up_when_it_is_stopped() -> Result {
        let socket = socket()?;
        let before = count(socket.sock());
        let mut guard = socket.sock().lock();
        guard.held().set_timer(SOON);
        fsleep(Delta::from_millis(500));
        guard.held().stop_timer();
        drop(guard);
        assert_eq!(socket.sock().lock().seen.timeouts, 0);
        assert_eq!(count(socket.sock()), before);
        Ok(())
    }

    #[test]
    fn a_socket_of_the_kernel_binds_and_listens() -> Result {
        // The lock of its UDP socket is taken inside its own.
        let (socket, other) = (socket()?, socket()?);
        Quic::listen(socket.sock(), 1)?;
        let address = Quic::name(socket.sock(), false)?;
        let (bytes, len) = addr::emit(&address);
        Quic::bind(other.sock(), bytes.get(..len).unwrap_or_default())?;
        assert!(Quic::listen(other.sock(), 1).is_err());
        Quic::listen(socket.sock(), 0)?;
        Quic::listen(other.sock(), 1)
    }

    #[test]
    fn a_stopped_timer_stays_silent() -> Result {
        let socket = socket()?;
        let before = count(socket.sock());
        let mut guard = socket.sock().lock();
        guard.held().set_timer(SOON);
        guard.held().stop_timer();
        drop(guard);
        assert_eq!(count(socket.sock()), before);
        fsleep(Delta::from_millis(200));
        assert_eq!(socket.sock().lock().seen.timeouts, 0);
        Ok(())
    }

    #[test]
    fn a_pending_timer_outlives_the_file() -> Result {
        let socket = socket()?;
        socket.sock().lock().held().set_timer(SOON);
        drop(socket);
        // KASAN, kmemleak and the object debugger watch what happens now.
        fsleep(Delta::from_millis(200));
        Ok(())
    }
}
