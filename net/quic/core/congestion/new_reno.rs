// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`NewReno`]: the congestion controller of RFC 9002 §7 and its Appendix B.

use super::{
    initial_window, minimum_window, window_rate, Acked, Config, CongestionEvent, Controller,
};
use crate::rate::Rate;
use crate::time::Duration;

/// The state of the controller.
#[derive(Clone, Debug)]
pub struct NewReno {
    window: u64,
    /// Slow start below, congestion avoidance from here on; infinite before the first loss.
    ssthresh: u64,
    /// Bytes acknowledged in congestion avoidance that have not yet enlarged the window.
    acked: u64,
    max_window: u64,
    max_datagram_size: u16,
    undo: Option<Undo>,
}

/// What a congestion event changed, to be restored if it was an error.
#[derive(Copy, Clone, Debug)]
struct Undo {
    window: u64,
    ssthresh: u64,
}

impl NewReno {
    /// In slow start, with the initial window.
    pub fn new(config: &Config) -> Self {
        Self {
            window: initial_window(config.max_datagram_size).min(config.max_window),
            ssthresh: u64::MAX,
            acked: 0,
            max_window: config.max_window,
            max_datagram_size: config.max_datagram_size,
            undo: None,
        }
    }
}

impl Controller for NewReno {
    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self, smoothed_rtt: Duration) -> Option<Rate> {
        window_rate(self.window, smoothed_rtt, self.in_slow_start())
    }

    fn in_slow_start(&self) -> bool {
        self.window < self.ssthresh
    }

    fn on_congestion_event(&mut self, _event: &CongestionEvent) {
        self.undo = Some(Undo {
            window: self.window,
            ssthresh: self.ssthresh,
        });
        // RFC 9002 §7.3.2: a sender MUST set the slow start threshold to half the value of the
        // congestion window when loss is detected. The window is reduced at once.
        self.ssthresh = self.window / 2;
        // RFC 9002 §7.3.2: The congestion window MUST be set to the reduced value of the slow start
        // threshold before exiting the recovery period.
        self.window = self.ssthresh.max(minimum_window(self.max_datagram_size));
        self.acked = 0;
    }

    fn on_ack(&mut self, acked: &Acked) {
        // RFC 9002 §7.8: When this occurs, the congestion window SHOULD NOT be increased in either
        // slow start or congestion avoidance.
        if !acked.cwnd_limited {
            return;
        }
        if self.in_slow_start() {
            // RFC 9002 §7.3.1: by the number of bytes acknowledged.
            self.window = self
                .window
                .saturating_add(acked.bytes_outside_recovery)
                .min(self.max_window);
            return;
        }
        // RFC 9002 §7.3.3: MUST limit the increase to the congestion window to at most one maximum
        // datagram size for each congestion window that is acknowledged.
        self.acked = self.acked.saturating_add(acked.bytes_outside_recovery);
        if self.acked >= self.window {
            self.acked = self.acked.saturating_sub(self.window);
            let step = u64::from(self.max_datagram_size);
            self.window = self.window.saturating_add(step).min(self.max_window);
        }
    }

    fn on_persistent_congestion(&mut self) {
        // RFC 9002 §7.6.2: the sender's congestion window MUST be reduced to the minimum congestion
        // window.
        self.window = minimum_window(self.max_datagram_size);
        self.acked = 0;
        self.undo = None;
    }

    fn on_spurious_loss(&mut self) {
        if let Some(undo) = self.undo.take() {
            self.window = self.window.max(undo.window);
            self.ssthresh = self.ssthresh.max(undo.ssthresh);
        }
    }

    fn on_mtu_update(&mut self, max_datagram_size: u16) {
        // RFC 9002 §7.2: If the maximum datagram size changes during the connection, the initial
        // congestion window SHOULD be recalculated with the new size. A window that has not left it
        // follows; every other only keeps its minimum.
        if self.window == initial_window(self.max_datagram_size) && self.ssthresh == u64::MAX {
            self.window = initial_window(max_datagram_size).min(self.max_window);
        }
        self.max_datagram_size = max_datagram_size;
        self.window = self.window.max(minimum_window(max_datagram_size));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{acked, config, event};
    use super::*;
    use proptest::prelude::*;

    // [rfc9002-7.3.2-1] [rfc9002-7.3.2-2] [rfc9002-7.3.3-1]
    #[test]
    fn slow_start_until_loss_then_a_datagram_a_window() {
        let mut reno = NewReno::new(&config(1200));
        assert_eq!(reno.window(), 12_000);
        reno.on_ack(&acked(12_000));
        assert_eq!(reno.window(), 24_000);
        reno.on_congestion_event(&event());
        assert_eq!((reno.window(), reno.in_slow_start()), (12_000, false));
        reno.on_ack(&acked(6_000));
        assert_eq!(reno.window(), 12_000);
        reno.on_ack(&acked(6_000));
        assert_eq!(reno.window(), 13_200);
    }

    // [rfc9002-7.6.2-2]
    #[test]
    fn persistent_congestion_slow_starts_again() {
        let mut reno = NewReno::new(&config(1200));
        reno.on_ack(&acked(88_000));
        reno.on_congestion_event(&event());
        reno.on_persistent_congestion();
        assert_eq!((reno.window(), reno.in_slow_start()), (2_400, true));
        reno.on_spurious_loss();
        assert_eq!(reno.window(), 2_400);
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        let mut reno = NewReno::new(&config(1200));
        reno.on_ack(&Acked {
            cwnd_limited: false,
            ..acked(12_000)
        });
        assert_eq!(reno.window(), 12_000);
    }

    #[test]
    fn a_spurious_loss_is_undone() {
        let mut reno = NewReno::new(&config(1200));
        reno.on_congestion_event(&event());
        assert_eq!(reno.window(), 6_000);
        reno.on_spurious_loss();
        assert_eq!((reno.window(), reno.in_slow_start()), (12_000, true));
    }

    #[test]
    fn a_larger_datagram_enlarges_the_initial_window() {
        let mut reno = NewReno::new(&config(1200));
        reno.on_mtu_update(1452);
        assert_eq!(reno.window(), 14_520);
        reno.on_congestion_event(&event());
        reno.on_mtu_update(9000);
        assert_eq!(reno.window(), 18_000);
    }

    proptest! {
        #[test]
        fn the_window_stays_in_its_limits(steps in proptest::collection::vec((0_u8..5, any::<u64>(), any::<u16>()), 0..60)) {
            let mut reno = NewReno::new(&config(1200));
            let mut size = 1200;
            for (step, bytes, mtu) in steps {
                match step {
                    0 => reno.on_congestion_event(&event()),
                    1 => reno.on_persistent_congestion(),
                    2 => reno.on_spurious_loss(),
                    3 => { size = mtu.max(1200); reno.on_mtu_update(size) },
                    _ => reno.on_ack(&acked(bytes)),
                }
                prop_assert!(reno.window() >= minimum_window(size));
                prop_assert!(reno.window() <= config(1200).max_window);
            }
        }
    }
}
