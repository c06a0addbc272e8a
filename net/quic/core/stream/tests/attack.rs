// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a peer can make us hold, and how much work it can make us do.

use super::*;
use crate::stream::entry::Stream;
use kernel::alloc::inject;

const LIMIT: usize = 100_000;

fn victim(streams: u64) -> End {
    let mut end = End::new(
        Role::Server,
        limits(1 << 30, 1 << 30, streams),
        limits(1 << 20, 1 << 20, 100),
    );
    end.streams.set_recv_limits(LIMIT, 1 << 30);
    end
}

#[test]
fn one_frame_does_not_make_us_allocate_thousands_of_streams() {
    // RFC 9000 §21.8.
    let mut end = victim(1 << 60);
    let before = inject::count();
    end.on_stream(4_000_000, 0, 1, false).unwrap();
    assert!(inject::count() - before < 12);
    assert_eq!(end.streams.slab.len(), 1);
    let before = inject::count();
    end.on_stream((1 << 62) - 4, 0, 1, false).unwrap();
    assert!(inject::count() - before < 6);
}

#[test]
fn tiny_fragments_out_of_order() {
    // RFC 9000 §21.7.
    let mut end = victim(100);
    let mut refused = 0;
    for round in 0..5_000_u64 {
        for stream in [0, 4, 8] {
            let result = end.on_stream(stream, 2 + round * 2, 1, false);
            refused += usize::from(result == Err(FrameError::Refused));
            assert!(end.streams.recv_held() <= LIMIT / 4 * 3);
        }
    }
    assert!(refused > 14_000);
    // What fills the holes still comes through.
    for stream in [0, 4, 8] {
        end.on_stream(stream, 0, 2, false).unwrap();
    }
    while end.read().is_some() {}
}

#[test]
fn tiny_fragments_in_order_that_nobody_reads() {
    let mut end = victim(100);
    // Alternating streams, so that every byte also needs a run.
    for offset in 0..10_000_u64 {
        for stream in [0, 4] {
            let _ = end.on_stream(stream, offset, 1, false);
            assert!(end.streams.recv_held() <= LIMIT + 1024);
        }
    }
    assert!(end.streams.rx.len() < 1_000);
    while end.read().is_some() {}
    assert_eq!(end.streams.recv_held(), 0);
}

#[test]
fn empty_streams_that_nobody_reads() {
    // They need no flow control credit, and each that closes permits another.
    let mut end = victim(100);
    let mut refused = 0;
    for number in 0..10_000 {
        match end.on_stream(2 + 4 * number, 0, 0, true) {
            Ok(()) => {}
            Err(FrameError::Refused) => refused += 1,
            Err(FrameError::Transport(error)) => {
                assert_eq!(
                    (error.code, refused),
                    (TransportErrorCode::STREAM_LIMIT_ERROR, 100)
                );
                break;
            }
        }
        let slab = end.streams.slab.len() as usize * core::mem::size_of::<Stream>();
        assert!(
            slab <= LIMIT + 100 * core::mem::size_of::<Stream>() + 1024,
            "{slab}"
        );
    }
    assert_eq!(
        refused, 100,
        "no more than the open streams that the limit allows"
    );
    while end.read().is_some() {}
    assert_eq!(end.streams.recv_held(), 0);
}

#[test]
fn streams_opened_and_reset_behind_data_that_nobody_reads() {
    let mut end = victim(100);
    end.on_stream(0, 0, 1, false).unwrap();
    for number in 0..50_000 {
        let stream = 2 + 4 * number;
        end.on_stream(stream, 0, 1, false).unwrap();
        end.on_reset(stream, 1).unwrap();
        end.control();
    }
    assert!(
        end.streams.recv_held() < 10_000,
        "{}",
        end.streams.recv_held()
    );
    assert_eq!(end.streams.slab.len(), 1);
    assert_eq!((end.read(), end.read()), (Some((0, 1, false)), None));
}

#[test]
fn resets_without_data_cost_no_memory() {
    let mut end = victim(100);
    for number in 0..50_000 {
        end.on_reset(2 + 4 * number, 0).unwrap();
    }
    assert_eq!((end.streams.slab.len(), end.streams.recv_held()), (0, 0));
    assert_eq!(end.control().len(), 1, "one MAX_STREAMS for all");
}

#[test]
fn streams_left_half_open_are_bounded_by_the_limit() {
    let mut end = victim(100);
    let mut last = Ok(());
    for number in 0..200 {
        last = end.on_stream(4 * number, 0, 0, true);
        while end.read().is_some() {}
        if last.is_err() {
            break;
        }
    }
    assert_eq!(code(last), TransportErrorCode::STREAM_LIMIT_ERROR);
    assert_eq!(end.streams.slab.len(), 100);
}

#[test]
fn an_acknowledgement_for_a_stream_that_does_not_exist() {
    let mut end = End::client();
    end.open(0).unwrap();
    for record in [
        SentFrame::Stream {
            id: id(0),
            offset: at(1 << 61),
            len: 65535,
            fin: true,
        },
        SentFrame::Stream {
            id: id(4),
            offset: at(0),
            len: 10,
            fin: true,
        },
        SentFrame::ResetStream {
            id: id(0),
            reliable: at(0),
        },
        SentFrame::StopSending { id: id(0) },
        SentFrame::StopSending { id: id(400) },
    ] {
        end.on_lost(&record);
        if !matches!(record, SentFrame::Stream { id: stream, .. } if stream == id(0)) {
            end.on_acked(&record);
        }
    }
    assert_eq!(end.send_all(), []);
    assert_eq!(end.take_events(), []);
}

#[test]
fn memory_for_data_to_send_is_counted_and_freed_by_a_reset() {
    let mut end = End::client();
    end.open(0).unwrap();
    for _ in 0..100 {
        end.write(0, 1000).unwrap();
    }
    assert!(end.streams.send_held() > 100 * 1000);
    end.send_all();
    // The peer never acknowledges, and asks to stop.
    end.on_stop_sending(0).unwrap();
    assert_eq!(end.streams.send_held(), 0);
}
