// SPDX-License-Identifier: GPL-2.0 OR MIT

use super::super::tests::{acked, config, event};
use super::*;
use crate::congestion::Rtt;
use proptest::prelude::*;

const SIZE: u16 = 1200;

fn at(seconds: f64) -> Instant {
    Instant::from_nanos((seconds * 1e9) as u64)
}

/// In congestion avoidance after a loss at a window of `segments`.
fn after_loss(segments: u64) -> Cubic {
    let mut cubic = Cubic::new(&config(SIZE));
    cubic.window = segments * u64::from(SIZE);
    cubic.on_congestion_event(&event());
    cubic
}

/// One window acknowledged in packets of two, over `rtt` from `start`.
fn round(cubic: &mut Cubic, start: f64, rtt: f64) {
    let window = cubic.window();
    let packets = window / u64::from(SIZE) / 2;
    for n in 0..packets {
        let now = at(start + rtt * n as f64 / packets as f64);
        let rtt = Rtt {
            sample: None,
            smoothed: Duration::from_nanos((rtt * 1e9) as u64),
        };
        cubic.on_ack(&Acked {
            now,
            rtt,
            ..acked(2 * u64::from(SIZE))
        });
    }
}

#[test]
fn the_window_falls_to_seven_tenths() {
    let cubic = after_loss(100);
    assert_eq!(cubic.window(), 70 * 1200);
    assert_eq!(cubic.ssthresh, 70 * 1200);
    assert_eq!(cubic.curve.w_max, 100 * 1200);
}

#[test]
fn fast_convergence_remembers_less_when_the_saturation_point_falls() {
    let mut cubic = after_loss(100);
    cubic.window = 80 * 1200;
    cubic.on_congestion_event(&event());
    assert_eq!(cubic.curve.w_max, 68 * 1200);
    assert_eq!(cubic.curve.cwnd_prior, 80 * 1200);
}

/// K = cbrt(30 / 0.4) = 4.217 s: the window is back at W_max then.
#[test]
fn after_k_the_window_is_w_max() {
    let mut cubic = after_loss(100);
    cubic.start_epoch(at(0.0));
    let k = cubic.curve.k as f64 / f64::from(1 << TICK_SHIFT);
    assert!((k - 4.217).abs() < 0.005, "{k}");
    let windows = [
        (0.0, 70.0),
        (2.0, 95.64),
        (4.217, 100.0),
        (6.0, 102.27),
        (10.0, 177.36),
    ];
    for (t, expected) in windows {
        let got = cubic.w_cubic(ticks(at(t).since(at(0.0)))) as f64 / 1200.0;
        assert!(
            (got - expected).abs() < 0.2,
            "at {t}: {got}, not {expected}"
        );
    }
}

/// The whole loop against the closed formula, on a path long enough to stay out of the
/// Reno-friendly region.
#[test]
fn the_window_follows_the_curve() {
    let mut cubic = after_loss(1000);
    let (mut now, rtt) = (0.0, 0.1);
    while now < 12.0 {
        round(&mut cubic, now, rtt);
        now += rtt;
        let got = cubic.window() as f64;
        let expected = cubic.w_cubic(ticks(at(now).since(at(0.0)))) as f64;
        assert!(
            (got / expected - 1.0).abs() < 0.02,
            "at {now}: {got}, not {expected}"
        );
    }
}

/// At a small window and a short round trip Reno would be faster, and CUBIC is as fast.
#[test]
fn in_the_reno_friendly_region_the_window_grows_as_renos() {
    let mut cubic = after_loss(20);
    let rtt = 0.01;
    for n in 0..40 {
        round(&mut cubic, rtt * f64::from(n), rtt);
    }
    // 14 segments and 9/17 a round until cwnd_prior, 20, is reached after 11.3 rounds; then one a
    // round. The last of the 40 rounds is not complete.
    let segments = cubic.window() as f64 / 1200.0;
    assert!((46.0..=50.0).contains(&segments), "{segments}");
}

#[test]
fn growth_is_at_most_half_a_window_a_round() {
    let mut cubic = after_loss(10);
    round(&mut cubic, 0.0, 0.1);
    let before = cubic.window();
    round(&mut cubic, 500.0, 0.1);
    assert!(
        cubic.window() <= before * 3 / 2 + 2400,
        "{} to {}",
        before,
        cubic.window()
    );
}

#[test]
fn unused_time_does_not_count() {
    let mut cubic = after_loss(100);
    round(&mut cubic, 0.0, 0.1);
    let before = cubic.window();
    cubic.on_ack(&Acked {
        now: at(0.1),
        cwnd_limited: false,
        ..acked(2400)
    });
    cubic.on_ack(&Acked {
        now: at(100.0),
        cwnd_limited: false,
        ..acked(2400)
    });
    round(&mut cubic, 100.1, 0.1);
    assert!(
        cubic.window() - before < 6 * 1200,
        "{} to {}",
        before,
        cubic.window()
    );
}

#[test]
fn a_spurious_loss_is_undone_unless_the_window_has_recovered() {
    let mut cubic = after_loss(100);
    cubic.on_spurious_loss();
    assert_eq!((cubic.window(), cubic.in_slow_start()), (120_000, true));
    let mut cubic = after_loss(100);
    cubic.window = 120_001;
    cubic.on_spurious_loss();
    assert_eq!(cubic.window(), 120_001);
}

#[test]
fn persistent_congestion_slow_starts_to_the_old_threshold() {
    let mut cubic = after_loss(100);
    cubic.on_persistent_congestion();
    assert_eq!((cubic.window(), cubic.in_slow_start()), (2400, true));
    for _ in 0..100 {
        cubic.on_ack(&acked(1200));
    }
    assert!(!cubic.in_slow_start());
    assert_eq!(cubic.curve.k, 0);
}

#[test]
fn a_rising_rtt_ends_slow_start_without_loss() {
    let mut cubic = Cubic::new(&config(SIZE));
    let mut sent = 0.0;
    for rtt in [0.05_f64, 0.05, 0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.06] {
        let now = sent + rtt;
        for n in 0..10 {
            let newest_sent = if n == 0 { at(sent) } else { at(sent - 0.001) };
            let rtt = Rtt {
                sample: Some(Duration::from_nanos((rtt * 1e9) as u64)),
                ..Rtt::default()
            };
            cubic.on_ack(&Acked {
                now: at(now),
                newest_sent,
                rtt,
                ..acked(1200)
            });
        }
        sent = now;
    }
    assert!(!cubic.in_slow_start());
    assert_eq!(cubic.curve.cwnd_prior, cubic.ssthresh);
    assert_eq!(cubic.curve.k, 0);
}

#[test]
fn cube_roots() {
    for (value, root) in [
        (0, 0),
        (1, 1),
        (7, 1),
        (8, 2),
        (26, 2),
        (27, 3),
        (1 << 120, 1 << 40),
    ] {
        assert_eq!(cube_root(value), root);
    }
    assert_eq!(cube_root(u128::MAX), 6_981_463_658_331);
}

#[test]
fn the_object_is_small() {
    assert_eq!(size_of::<Cubic>(), 216);
}

proptest! {
    #[test]
    fn a_cube_root_is_the_largest(value in 0_u128..1 << 126) {
        let root = u128::from(cube_root(value));
        prop_assert!(root.pow(3) <= value && (root + 1).pow(3) > value);
    }

    #[test]
    fn k_leads_back_to_w_max(below in 1200_u64..1 << 30, size in 1200_u16..) {
        let ticks = k(below, size) as f64 / f64::from(1 << TICK_SHIFT);
        let exact = (below as f64 / f64::from(size) / (410.0 / 1024.0)).cbrt();
        prop_assert!((ticks / exact - 1.0).abs() < 1e-3, "{ticks} {exact}");
    }

    #[test]
    fn the_window_stays_in_its_limits(
        steps in proptest::collection::vec((0_u8..6, any::<u64>(), any::<u64>(), any::<u16>()), 0..100),
    ) {
        let mut cubic = Cubic::new(&config(SIZE));
        let mut size = SIZE;
        for (step, bytes, nanos, mtu) in steps {
            let now = Instant::from_nanos(nanos);
            match step {
                0 => cubic.on_congestion_event(&event()),
                1 => cubic.on_persistent_congestion(),
                2 => cubic.on_spurious_loss(),
                3 => { size = mtu.max(1200); cubic.on_mtu_update(size) },
                4 => cubic.on_ack(&Acked { cwnd_limited: false, now, ..acked(bytes) }),
                _ => {
                    let rtt = Rtt { sample: Some(Duration::from_nanos(bytes)), smoothed: Duration::from_nanos(nanos) };
                    cubic.on_ack(&Acked { now, rtt, ..acked(bytes) });
                }
            }
            prop_assert!(cubic.window() >= minimum_window(size));
            prop_assert!(cubic.window() <= config(SIZE).max_window);
        }
    }
}
