// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is sent: order, limits, losses.

use super::*;
use kernel::alloc::inject;

fn summary(frames: &[StreamFrame]) -> Vec<(u64, u64, usize, bool)> {
    frames
        .iter()
        .map(|frame| {
            (
                frame.id.get().get(),
                frame.offset.get(),
                frame.len,
                frame.fin,
            )
        })
        .collect()
}

#[test]
fn many_short_streams_share_a_packet() {
    let mut end = End::client();
    for stream in (2..42).step_by(4) {
        end.open(stream).unwrap();
        end.write(stream, 32).unwrap();
        end.finish(stream).unwrap();
    }
    let mut space: usize = 1200;
    let mut frames = vec![];
    while let Some(frame) = end.streams.poll_stream(space, Tail::Held, GFP_KERNEL) {
        space -= frame.size();
        frames.push(frame);
    }
    assert_eq!(
        summary(&frames),
        (2..42)
            .step_by(4)
            .map(|id| (id, 0, 32, true))
            .collect::<Vec<_>>()
    );
    assert_eq!(space, 1200 - 10 * (1 + 1 + 1 + 32));
}

#[test]
fn contents_are_what_was_written() {
    let mut end = End::client();
    end.open(0).unwrap();
    for offset in (0..5000).step_by(500) {
        end.streams
            .write(id(0), Bytes::pattern(0, offset, 500), GFP_KERNEL)
            .unwrap();
    }
    for frame in end.frames(1200, Tail::All) {
        let data: Vec<u8> = end
            .streams
            .pieces(&frame)
            .flat_map(|piece| piece.chunk.as_slice()[piece.range].to_vec())
            .collect();
        assert_eq!(data, pattern(0, frame.offset.get(), frame.len));
    }
}

// [rfc9000-2.2-3] [rfc9000-4.1-1] [rfc9000-19.9-1]
#[test]
fn the_limit_of_the_connection_stops_new_data_only() {
    let mut end = End::new(Role::Client, limits(0, 0, 0), limits(100, 80, 10));
    for stream in [0, 4, 8] {
        end.open(stream).unwrap();
        end.write(stream, 90).unwrap();
    }
    let frames = end.frames(1200, Tail::All);
    assert_eq!(summary(&frames), [(0, 0, 80, false), (4, 0, 20, false)]);
    let blocked = Frame::DataBlocked { maximum: v(100) };
    assert_eq!(
        end.control(),
        [
            blocked.clone(),
            Frame::StreamDataBlocked {
                id: id(0),
                maximum: v(80)
            }
        ]
    );
    assert!(
        !end.streams.has_stream(Tail::All),
        "nobody looks at the others again"
    );
    end.on_lost(&frames[0].record());
    assert_eq!(summary(&end.frames(1200, Tail::All)), [(0, 0, 80, false)]);
    assert_eq!(end.control(), [], "told once");
    end.on_lost(&sent(&blocked));
    assert_eq!(end.control(), [blocked.clone()]);
    end.streams.on_max_data(v(110));
    end.on_lost(&sent(&blocked));
    assert_eq!(end.control(), [], "that limit is history");
    assert_eq!(summary(&end.frames(1200, Tail::All)), [(4, 20, 10, false)]);
    assert_eq!(end.control(), [Frame::DataBlocked { maximum: v(110) }]);
    end.streams.on_max_data(v(1000));
    end.on_max_stream_data(0, 1000).unwrap();
    assert_eq!(
        summary(&end.frames(1200, Tail::All)),
        [(4, 30, 50, false), (8, 0, 80, false), (0, 80, 10, false)],
        "nothing is forgotten"
    );
}

#[test]
fn a_blocked_signal_that_is_overtaken_is_not_sent() {
    let mut end = End::new(Role::Client, limits(0, 0, 0), limits(100, 100, 10));
    end.open(0).unwrap();
    end.write(0, 200).unwrap();
    end.frames(1200, Tail::All);
    end.open(4).unwrap();
    end.write(4, 1).unwrap();
    end.frames(1200, Tail::All);
    assert!(end.streams.has_control());
    end.streams.on_max_data(v(400));
    end.on_max_stream_data(0, 300).unwrap();
    assert_eq!(end.control(), []);
    // A writer that stays below the limits asks for it.
    end.streams.signal_blocked(id(0));
    assert_eq!(end.control(), []);
    end.write(0, 100).unwrap();
    end.streams.signal_blocked(id(0));
    end.streams.signal_blocked(id(0));
    assert_eq!(
        end.control(),
        [Frame::StreamDataBlocked {
            id: id(0),
            maximum: v(300)
        }]
    );
}

#[test]
fn credit_for_writers() {
    let mut end = End::new(Role::Client, limits(0, 0, 0), limits(100, 80, 10));
    assert_eq!(
        end.streams.write_credit(id(0), GFP_KERNEL),
        Err(WriteError::NotOpen)
    );
    end.open(4).unwrap();
    assert_eq!(end.streams.write_credit(id(4), GFP_KERNEL), Ok(80));
    end.write(4, 30).unwrap();
    assert_eq!(end.streams.write_credit(id(4), GFP_KERNEL), Ok(50));
    assert_eq!(end.streams.write_credit(id(0), GFP_KERNEL), Ok(70));
    assert_eq!((end.streams.credit(), end.streams.unsent()), (70, 30));
    end.frames(1200, Tail::All);
    assert_eq!((end.streams.credit(), end.streams.unsent()), (70, 0));
    end.write(4, 50).unwrap();
    assert_eq!(end.streams.write_credit(id(4), GFP_KERNEL), Ok(0));
    end.reset(4).unwrap();
    assert_eq!(
        end.streams.write_credit(id(4), GFP_KERNEL),
        Err(WriteError::Finished)
    );
    assert_eq!(
        (end.streams.credit(), end.streams.unsent()),
        (70, 0),
        "what was not sent costs nothing"
    );
}

#[test]
fn urgent_streams_first_others_in_turns() {
    let mut end = End::client();
    for stream in [0, 4, 8] {
        end.open(stream).unwrap();
        end.write(stream, 40_000).unwrap();
    }
    end.streams
        .set_priority(id(8), 0, true, GFP_KERNEL)
        .unwrap();
    let order: Vec<u64> = end
        .frames(1200, Tail::All)
        .iter()
        .map(|frame| frame.id.get().get())
        .collect();
    let mut turns = order.clone();
    turns.dedup();
    assert_eq!(turns, [8, 0, 4, 0, 4, 0, 4]);
    assert_eq!(
        end.streams.set_priority(id(12), 0, true, GFP_KERNEL),
        Err(WriteError::NotOpen)
    );
}

#[test]
fn tails_wait_and_are_found_again() {
    let mut end = End::client();
    for stream in [0, 4] {
        end.open(stream).unwrap();
        end.streams
            .write(id(stream), Bytes::new(&[0; 100]), GFP_KERNEL)
            .unwrap();
    }
    end.streams.push(id(4));
    assert!(end.frames(1200, Tail::Held).is_empty());
    assert!(!end.streams.has_stream(Tail::Held));
    assert!(end.streams.has_stream(Tail::Pushed));
    assert_eq!(
        summary(&end.frames(1200, Tail::Pushed)),
        [(4, 0, 100, false)]
    );
    assert!(!end.streams.has_stream(Tail::Pushed));
    // A following write without MSG_MORE pushes what was held (§18.4 of the contract).
    end.streams
        .write(id(0), Bytes::new(&[0; 10]), GFP_KERNEL)
        .unwrap();
    assert!(end.frames(1200, Tail::Pushed).is_empty());
    end.streams.push(id(0));
    assert_eq!(
        summary(&end.frames(1200, Tail::Pushed)),
        [(0, 0, 110, false)]
    );
    // And so does the end.
    end.streams
        .write(id(0), Bytes::new(&[0; 10]), GFP_KERNEL)
        .unwrap();
    assert!(end.frames(1200, Tail::Pushed).is_empty());
    end.finish(0).unwrap();
    assert_eq!(summary(&end.frames(1200, Tail::Held)), [(0, 110, 10, true)]);
}

#[test]
fn reset_at_is_sent_behind_what_it_promises() {
    let mut end = End::client();
    end.open(0).unwrap();
    end.write(0, 3000).unwrap();
    let first = end
        .streams
        .poll_stream(1200, Tail::All, GFP_KERNEL)
        .unwrap();
    end.streams
        .reset(id(0), CODE, at(2000), GFP_KERNEL)
        .unwrap();
    assert_eq!(end.control(), []);
    let rest = end.frames(1200, Tail::All);
    assert_eq!(
        rest.iter().map(|frame| frame.len).sum::<usize>() + first.len,
        2000
    );
    let reset = Frame::ResetStreamAt(reset_at_frame(id(0), 2000, 2000));
    assert_eq!(end.control(), [reset.clone()]);
    end.on_lost(&first.record());
    assert_eq!(summary(&end.frames(1200, Tail::All)), summary(&[first]));
    assert_eq!(
        end.control(),
        [],
        "it is in flight, and a retransmission does not send it again"
    );
    end.on_lost(&sent(&reset));
    assert_eq!(end.control(), [reset.clone()]);
}

#[test]
fn what_a_reset_promises_waits_for_the_limit() {
    let mut end = End::new(Role::Client, limits(0, 0, 0), limits(1000, 100, 10));
    end.open(0).unwrap();
    end.write(0, 300).unwrap();
    end.streams.reset(id(0), CODE, at(200), GFP_KERNEL).unwrap();
    assert_eq!(summary(&end.frames(1200, Tail::All)), [(0, 0, 100, false)]);
    assert_eq!(
        end.control(),
        [Frame::StreamDataBlocked {
            id: id(0),
            maximum: v(100)
        }]
    );
    end.on_max_stream_data(0, 1000).unwrap();
    assert_eq!(end.take_events(), [], "nobody can write to it");
    assert_eq!(
        summary(&end.frames(1200, Tail::All)),
        [(0, 100, 100, false)]
    );
    assert_eq!(end.control().len(), 1);
    // After a plain reset the limit does not matter, even if it was used up.
    end.open(4).unwrap();
    end.write(4, 100).unwrap();
    end.frames(1200, Tail::All);
    end.reset(4).unwrap();
    end.streams.signal_blocked(id(4));
    let reset = Frame::ResetStream(reset_frame(id(4), 100));
    assert_eq!(end.control(), [reset.clone()]);
}

#[test]
fn what_cannot_be_noted_for_want_of_memory_is_sent_again() {
    let mut end = End::client();
    end.open(0).unwrap();
    end.write(0, 3000).unwrap();
    let sent = end.send_all();
    inject::fail_nth(0, || end.on_acked(&sent[1]));
    assert_eq!(end.send_all(), [sent[1]]);
}

#[test]
fn control_frames_that_do_not_fit_wait() {
    let mut end = End::server();
    for stream in [0, 4] {
        end.on_stream(stream, 0, 5, false).unwrap();
        end.reset(stream).unwrap();
    }
    assert_eq!(end.streams.poll_control(3), None);
    assert!(end.streams.poll_control(4).is_some());
    assert_eq!(end.streams.poll_control(0), None);
    assert!(end.streams.poll_control(4).is_some());
    assert!(!end.streams.has_control());
}

// [rfc9001-4.6.2-2]
#[test]
fn early_data_that_was_rejected_is_sent_again_within_the_new_limits() {
    let mut end = End::new(Role::Client, limits(0, 0, 0), limits(1000, 500, 10));
    for stream in [0, 4] {
        end.open(stream).unwrap();
        end.write(stream, 400).unwrap();
        end.finish(stream).unwrap();
    }
    for record in end.send_all() {
        end.on_lost(&record);
    }
    end.streams.on_early_data_rejected(&limits(600, 300, 10));
    assert_eq!(
        summary(&end.frames(1200, Tail::All)),
        [(0, 0, 300, false), (4, 0, 300, false)]
    );
    end.streams.on_max_data(v(1000));
    for stream in [0, 4] {
        end.on_max_stream_data(stream, 400).unwrap();
    }
    assert_eq!(
        summary(&end.frames(1200, Tail::All)),
        [(0, 300, 100, true), (4, 300, 100, true)]
    );
}

#[test]
fn after_a_rejection_streams_above_the_limit_wait() {
    let mut end = End::new(Role::Client, limits(0, 0, 0), limits(1000, 500, 3));
    for stream in [0, 4, 8] {
        end.open(stream).unwrap();
        end.write(stream, 10).unwrap();
    }
    end.reset(8).unwrap();
    end.stop(4).unwrap();
    for record in end.send_all() {
        end.on_lost(&record);
    }
    end.streams.on_early_data_rejected(&limits(600, 300, 1));
    let blocked = Frame::StreamsBlocked {
        directionality: Bidirectional,
        maximum: v(1),
    };
    assert_eq!(summary(&end.frames(1200, Tail::All)), [(0, 0, 10, false)]);
    assert_eq!(end.control(), [blocked]);
    end.on_max_streams(Bidirectional, 2);
    assert_eq!(summary(&end.frames(1200, Tail::All)), [(4, 0, 10, false)]);
    assert_eq!(end.control().len(), 1, "the request to stop");
    end.on_max_streams(Bidirectional, 3);
    assert_eq!(
        end.control(),
        [Frame::ResetStream(reset_frame(id(8), 0))],
        "of a stream on which nothing was sent"
    );
    assert_eq!(end.frames(1200, Tail::All).len(), 0);
    assert_eq!(end.streams.unsent(), 0);
}

#[test]
fn a_rejection_takes_back_what_resets_promised_in_vain() {
    for understood in [true, false] {
        let mut end = End::new(Role::Client, limits(0, 0, 0), limits(1000, 500, 3));
        end.open(0).unwrap();
        end.write(0, 100).unwrap();
        let early = end.send_all();
        end.streams.reset(id(0), CODE, at(40), GFP_KERNEL).unwrap();
        let reset = end.control();
        assert_eq!(
            reset,
            [Frame::ResetStreamAt(reset_at_frame(id(0), 100, 40))]
        );
        for record in early.into_iter().chain(reset.iter().map(sent)) {
            end.on_lost(&record);
        }
        end.streams.on_early_data_rejected(&StreamLimits {
            reset_stream_at: understood,
            ..limits(90, 90, 1)
        });
        let data = summary(&end.frames(1200, Tail::All));
        let control = end.control();
        if understood {
            assert_eq!(data, [(0, 0, 40, false)]);
            let reset = Frame::ResetStreamAt(reset_at_frame(id(0), 40, 40));
            assert_eq!(control, [reset]);
        } else {
            assert_eq!(data, []);
            assert_eq!(control, [Frame::ResetStream(reset_frame(id(0), 0))]);
        }
        assert_eq!(end.streams.unsent(), 0);
    }
}

#[test]
fn reset_at_is_a_plain_reset_for_a_peer_that_does_not_know_it() {
    let plain = StreamLimits {
        reset_stream_at: false,
        ..limits(1000, 500, 3)
    };
    let mut end = End::new(Role::Client, limits(0, 0, 0), plain);
    end.open(0).unwrap();
    end.write(0, 100).unwrap();
    end.send_all();
    end.streams.reset(id(0), CODE, at(40), GFP_KERNEL).unwrap();
    assert_eq!(end.control(), [Frame::ResetStream(reset_frame(id(0), 100))]);
}

#[test]
fn limits_that_come_with_the_handshake_set_early_data_free() {
    let mut end = End::new(Role::Client, limits(0, 0, 0), limits(0, 0, 0));
    assert_eq!(end.open(0), Err(OpenError::Limit(id(0))));
    end.streams.set_peer_limits(&limits(100, 50, 2));
    end.open(0).unwrap();
    end.open(4).unwrap();
    end.write(0, 80).unwrap();
    end.write(4, 80).unwrap();
    end.frames(1200, Tail::All);
    end.streams.set_peer_limits(&limits(200, 80, 4));
    assert_eq!(
        summary(&end.frames(1200, Tail::All)),
        [(0, 50, 30, false), (4, 50, 30, false)]
    );
    end.open(12).unwrap();
}
