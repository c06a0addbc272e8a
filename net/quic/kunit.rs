// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what guards a socket: the lock in its three forms, the backlog, the timer. They
//! run when the module is loaded into a kernel with KUnit.

use kernel::prelude::*;

#[kunit_tests(quic_sock)]
mod tests {
    use crate::{
        family::Quic,
        sys::testing::{as_softirq, count, packet, TestSocket},
    };
    use kernel::{
        prelude::*,
        time::{delay::fsleep, Delta},
    };

    const JIFFIES: u64 = 20_000_000;

    fn socket() -> Result<TestSocket<Quic>> {
        TestSocket::new()
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
        assert!(as_softirq(|| socket.sock().deliver(packet, 1 << 16)));
        assert_eq!(guard.seen.packets, 0);
        drop(guard);
        assert_eq!(socket.sock().lock().seen.packets, 1);
        Ok(())
    }

    #[test]
    fn the_backlog_has_a_limit() -> Result {
        let socket = socket()?;
        let mut guard = socket.sock().lock();
        guard.set_receive_buffer(0);
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
        socket.sock().lock().set_timer(JIFFIES);
        assert_eq!(count(socket.sock()), before + 1);
        fsleep(Delta::from_millis(200));
        assert_eq!(socket.sock().lock().seen.timeouts, 1);
        assert_eq!(count(socket.sock()), before);
        Ok(())
    }

    #[test]
    fn the_timer_waits_for_the_owner() -> Result {
        let socket = socket()?;
        let before = count(socket.sock());
        let mut guard = socket.sock().lock();
        guard.set_timer(JIFFIES);
        fsleep(Delta::from_millis(200));
        assert_eq!(guard.seen.timeouts, 0);
        assert_eq!(count(socket.sock()), before + 1);
        drop(guard);
        assert_eq!(socket.sock().lock().seen.timeouts, 1);
        assert_eq!(count(socket.sock()), before);
        Ok(())
    }

    #[test]
    fn a_stopped_timer_stays_silent() -> Result {
        let socket = socket()?;
        let before = count(socket.sock());
        let mut guard = socket.sock().lock();
        guard.set_timer(JIFFIES);
        guard.stop_timer();
        drop(guard);
        assert_eq!(count(socket.sock()), before);
        fsleep(Delta::from_millis(200));
        assert_eq!(socket.sock().lock().seen.timeouts, 0);
        Ok(())
    }

    #[test]
    fn a_pending_timer_outlives_the_file() -> Result {
        let socket = socket()?;
        socket.sock().lock().set_timer(JIFFIES);
        drop(socket);
        // KASAN, kmemleak and the object debugger watch what happens now.
        fsleep(Delta::from_millis(200));
        Ok(())
    }
}
