// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Frames that break a rule, and those that only look like it.

use super::*;

// [rfc9000-19.4-1] [rfc9000-19.5-2] [rfc9000-19.8-1] [rfc9000-19.10-2] [rfc9000-19.13-1]
#[test]
fn frames_for_streams_that_go_the_other_way() {
    // RFC 9000 §19.4, §19.5, §19.8, §19.10, §19.13. Stream 3 is ours, stream 2 the peer's.
    for opened in [false, true] {
        let mut end = End::server();
        if opened {
            end.open(3).unwrap();
            end.on_stream(2, 0, 1, false).unwrap();
        }
        for result in [
            end.on_stream(3, 0, 1, false),
            end.on_reset(3, 0),
            end.streams.on_stream_data_blocked(id(3), GFP_KERNEL),
            end.on_stop_sending(2),
            end.on_max_stream_data(2, 10),
        ] {
            assert_eq!(code(result), TransportErrorCode::STREAM_STATE_ERROR);
        }
        let reset_at =
            end.streams
                .on_reset_stream_at(&reset_at_frame(id(3), 0, 0), GFP_KERNEL, &mut |_| ());
        assert_eq!(code(reset_at), TransportErrorCode::STREAM_STATE_ERROR);
    }
}

// [rfc9000-19.5-1] [rfc9000-19.8-1] [rfc9000-19.10-1]
#[test]
fn frames_for_streams_that_we_did_not_open() {
    let mut end = End::server();
    end.open(1).unwrap();
    for result in [
        end.on_stream(5, 0, 1, false),
        end.on_reset(5, 0),
        end.streams.on_stream_data_blocked(id(5), GFP_KERNEL),
        end.on_stop_sending(5),
        end.on_max_stream_data(5, 10),
        end.on_stop_sending(3),
        end.on_max_stream_data(3, 10),
    ] {
        assert_eq!(code(result), TransportErrorCode::STREAM_STATE_ERROR);
    }
    end.on_stream(1, 0, 1, false).unwrap();
}

// [rfc9000-3.2-1] [rfc9000-4.6-3] [rfc9000-19.11-4]
#[test]
fn every_frame_opens_a_stream_of_the_peer_within_the_limit() {
    type Receive = fn(&mut End, u64) -> Result<(), FrameError>;
    let both: [Receive; 3] = [
        |end, stream| end.on_stream(stream, 0, 1, false),
        |end, stream| end.on_reset(stream, 0),
        |end, stream| end.streams.on_stream_data_blocked(id(stream), GFP_KERNEL),
    ];
    let bidirectional: [Receive; 2] = [
        |end, stream| end.on_stop_sending(stream),
        |end, stream| end.on_max_stream_data(stream, 10),
    ];
    for (frame, streams) in both
        .map(|f| (f, &[0, 2][..]))
        .into_iter()
        .chain(bidirectional.map(|f| (f, &[0][..])))
    {
        for stream in streams {
            let mut end = End::server();
            assert_eq!(
                code(frame(&mut end, stream + 400)),
                TransportErrorCode::STREAM_LIMIT_ERROR
            );
            frame(&mut end, stream + 396).unwrap();
            frame(&mut end, stream + 40).unwrap();
            assert_eq!(
                code(frame(&mut end, (1 << 62) - 4 + stream)),
                TransportErrorCode::STREAM_LIMIT_ERROR
            );
        }
    }
}

// [rfc9000-4.1-2] [rfc9000-19.9-2]
#[test]
fn limit_of_the_connection() {
    let mut end = End::new(Role::Server, limits(100, 80, 10), limits(0, 0, 0));
    end.on_stream(0, 0, 60, false).unwrap();
    end.on_stream(0, 30, 30, false).unwrap();
    end.on_stream(4, 0, 40, false).unwrap();
    for result in [
        end.on_stream(4, 40, 1, false),
        end.on_reset(8, 1),
        end.on_stream(8, 0, 1, true),
    ] {
        assert_eq!(code(result), TransportErrorCode::FLOW_CONTROL_ERROR);
    }
    assert_eq!(
        code(end.on_stream(0, 60, 21, false)),
        TransportErrorCode::FLOW_CONTROL_ERROR
    );
    end.on_stream(8, 0, 0, true).unwrap();
    assert_eq!(end.streams.received, 100, "what was refused does not count");
    let beyond = end.on_stream(4, (1 << 62) - 2, 1, false);
    assert_eq!(code(beyond), TransportErrorCode::FLOW_CONTROL_ERROR);
}

// [rfc9000-4.2-1]
#[test]
fn credit_comes_back_with_the_value_of_now() {
    let mut end = End::new(Role::Server, limits(100, 80, 10), limits(0, 0, 0));
    end.on_stream(0, 0, 80, false).unwrap();
    assert_eq!(end.control(), [], "nothing was read");
    assert_eq!(end.read(), Some((0, 80, false)));
    let updates = [
        Frame::MaxData { maximum: v(200) },
        Frame::MaxStreamData {
            id: id(0),
            maximum: v(160),
        },
    ];
    assert_eq!(
        end.control(),
        updates.clone(),
        "80 read and a window of 120, one and a half of that of the stream"
    );
    for update in &updates {
        end.on_lost(&sent(update));
    }
    end.on_stream(0, 80, 40, false).unwrap();
    end.read();
    let newer = [
        Frame::MaxData { maximum: v(240) },
        Frame::MaxStreamData {
            id: id(0),
            maximum: v(200),
        },
    ];
    assert_eq!(end.control(), newer.clone());
    for update in &updates {
        end.on_lost(&sent(update));
    }
    assert_eq!(end.control(), [], "only the loss of the latest matters");
    for update in &newer {
        end.on_lost(&sent(update));
    }
    // RFC 9000 §13.3: no more MAX_STREAM_DATA once the size is known.
    end.on_stream(0, 120, 0, true).unwrap();
    assert_eq!(end.control(), [newer[0].clone()]);
}

// [rfc9000-4.5-1]
#[test]
fn a_reset_returns_the_credit_of_the_whole_stream_and_purges_it() {
    let mut end = End::new(Role::Server, limits(100, 80, 10), limits(0, 0, 0));
    end.on_stream(2, 0, 20, false).unwrap();
    end.on_stream(2, 30, 20, false).unwrap();
    end.on_stream(0, 0, 5, false).unwrap();
    end.on_reset(2, 80).unwrap();
    assert_eq!(end.streams.consumed, 80);
    assert!(end.control().contains(&Frame::MaxData { maximum: v(180) }));
    assert_eq!(end.read(), Some((0, 5, false)));
    assert_eq!(end.read(), None);
    assert_eq!(end.streams.recv_held(), 0);
}

#[test]
fn after_stop_the_credit_comes_back_at_once() {
    let mut end = End::new(Role::Server, limits(100, 80, 10), limits(0, 0, 0));
    end.on_stream(0, 0, 40, false).unwrap();
    end.stop(0).unwrap();
    assert_eq!(end.read(), None);
    assert_eq!((end.streams.consumed, end.streams.recv_held()), (40, 0));
    end.on_stream(0, 50, 30, true).unwrap();
    assert_eq!(end.streams.consumed, 80);
    let stop = Frame::StopSending(StopSending {
        id: id(0),
        error: CODE,
    });
    assert_eq!(
        end.control(),
        [Frame::MaxData { maximum: v(180) }, stop.clone()]
    );
    end.on_lost(&sent(&stop));
    assert_eq!(end.control(), [stop.clone()]);
    end.on_acked(&sent(&stop));
    end.on_lost(&sent(&stop));
    assert_eq!(end.control(), []);
}

#[test]
fn late_frames_of_closed_streams_are_ignored() {
    let mut end = End::server();
    end.on_stream(2, 0, 10, true).unwrap();
    end.read();
    end.on_stream(2, 0, 10, true).unwrap();
    end.on_reset(2, 10).unwrap();
    end.streams
        .on_stream_data_blocked(id(2), GFP_KERNEL)
        .unwrap();
    end.open(3).unwrap();
    end.finish(3).unwrap();
    end.send_and_ack();
    end.on_stop_sending(3).unwrap();
    end.on_max_stream_data(3, 1 << 30).unwrap();
    assert_eq!(
        (end.read(), end.streams.recv_held(), end.streams.slab.len()),
        (None, 0, 0)
    );
}
