// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Opening and choosing streams: the rules that programs rely on.

use super::*;

fn choose(
    end: &mut End,
    stream: Option<u64>,
    new: bool,
    directionality: Directionality,
) -> Result<u64, OpenError> {
    let choice = Choice {
        id: stream.map(id),
        new,
        directionality,
    };
    end.streams
        .choose(choice, GFP_KERNEL)
        .map(|id| id.get().get())
}

#[test]
fn nothing_is_open_until_it_is_opened() {
    let mut end = End::client();
    assert_eq!(
        choose(&mut end, None, false, Bidirectional),
        Err(OpenError::NotOpen)
    );
    assert_eq!(
        choose(&mut end, Some(0), false, Bidirectional),
        Err(OpenError::NotOpen)
    );
    assert_eq!(end.write(0, 10), Err(WriteError::NotOpen));
    assert_eq!(end.finish(0), Err(WriteError::NotOpen));
    assert_eq!(end.reset(0), Err(ResetError::NotOpen));
    assert_eq!(end.stop(0), Err(StopError::NotOpen));
    assert_eq!(choose(&mut end, None, true, Bidirectional), Ok(0));
    assert_eq!(
        choose(&mut end, None, false, Bidirectional),
        Ok(0),
        "the active one"
    );
}

// [rfc9000-3.2-1]
#[test]
fn a_high_id_opens_the_lower_ones() {
    let mut end = End::client();
    assert_eq!(choose(&mut end, Some(12), true, Bidirectional), Ok(12));
    for stream in [0, 4, 8] {
        assert_eq!(
            choose(&mut end, Some(stream), false, Bidirectional),
            Ok(stream)
        );
    }
    assert_eq!(
        end.streams.active(),
        Some(id(12)),
        "they become known, not active"
    );
    assert_eq!(
        choose(&mut end, Some(16), false, Bidirectional),
        Err(OpenError::NotOpen)
    );
    assert_eq!(end.streams.next(Bidirectional), Ok(id(16)));
    assert_eq!(end.streams.next(Unidirectional), Ok(id(2)));
    // Also without having been chosen before.
    assert_eq!(choose(&mut end, Some(10), true, Bidirectional), Ok(10));
    assert_eq!(end.write(2, 10), Ok(()));
    assert_eq!(end.reset(6), Ok(()));
}

#[test]
fn new_is_accepted_until_something_is_written() {
    let mut end = End::client();
    assert_eq!(choose(&mut end, Some(0), true, Bidirectional), Ok(0));
    assert_eq!(choose(&mut end, Some(0), true, Bidirectional), Ok(0));
    assert_eq!(end.open(0), Ok(()));
    end.write(0, 1).unwrap();
    assert_eq!(
        choose(&mut end, Some(0), true, Bidirectional),
        Err(OpenError::InUse)
    );
    assert_eq!(
        choose(&mut end, None, true, Bidirectional),
        Err(OpenError::InUse),
        "the active stream is meant"
    );
    assert_eq!(end.open(0), Err(OpenError::InUse));
    assert_eq!(choose(&mut end, Some(0), false, Bidirectional), Ok(0));
    end.finish(0).unwrap();
    assert_eq!(
        choose(&mut end, None, true, Bidirectional),
        Ok(4),
        "there is no active stream any more"
    );
    assert_eq!(
        choose(&mut end, None, true, Unidirectional),
        Ok(4),
        "the kind is for new streams"
    );
    end.finish(4).unwrap();
    assert_eq!(choose(&mut end, None, true, Unidirectional), Ok(2));
}

#[test]
fn the_peer_opens_the_active_stream_of_an_echo_server() {
    let mut end = End::server();
    end.on_stream(0, 0, 5, true).unwrap();
    assert_eq!(end.read(), Some((0, 5, true)));
    assert_eq!(choose(&mut end, None, true, Bidirectional), Ok(0));
    end.write(0, 5).unwrap();
    end.finish(0).unwrap();
    assert_eq!(end.streams.active(), None);
    // A unidirectional one cannot be written to; of bidirectional ones the last opened counts.
    end.on_stream(2, 0, 5, false).unwrap();
    assert_eq!(end.streams.active(), None);
    end.on_stream(12, 0, 5, false).unwrap();
    end.on_stream(8, 0, 5, false).unwrap();
    assert_eq!(end.streams.active(), Some(id(12)));
    end.reset(12).unwrap();
    assert_eq!(end.streams.active(), None);
    end.on_stream(16, 0, 5, false).unwrap();
    end.on_stop_sending(16).unwrap();
    assert_eq!(end.streams.active(), None);
}

#[test]
fn streams_of_the_peer() {
    let mut end = End::server();
    end.on_stream(8, 0, 5, false).unwrap();
    assert_eq!(
        choose(&mut end, Some(2), false, Bidirectional),
        Err(OpenError::ReceiveOnly)
    );
    assert_eq!(
        choose(&mut end, Some(2), true, Bidirectional),
        Err(OpenError::ReceiveOnly)
    );
    assert_eq!(
        choose(&mut end, Some(12), true, Bidirectional),
        Err(OpenError::NotOpen)
    );
    assert_eq!(
        choose(&mut end, Some(4), false, Bidirectional),
        Ok(4),
        "opened with stream 8"
    );
    assert_eq!(choose(&mut end, Some(4), true, Bidirectional), Ok(4));
    assert_eq!(end.stop(0), Ok(()));
    assert_eq!(end.stop(1), Err(StopError::NotOpen));
    assert_eq!(end.stop(3), Err(StopError::NotOpen), "only we send");
    assert_eq!(end.write(2, 1), Err(WriteError::NotOpen));
}

// [rfc9000-2.1-1]
#[test]
fn closed_is_not_the_same_as_never_opened() {
    let mut end = End::client();
    end.open(2).unwrap();
    end.write(2, 10).unwrap();
    end.finish(2).unwrap();
    assert_eq!(end.write(2, 1), Err(WriteError::Finished));
    assert_eq!(end.finish(2), Err(WriteError::Finished));
    end.send_and_ack();
    assert_eq!(
        choose(&mut end, Some(2), false, Bidirectional),
        Err(OpenError::Closed)
    );
    assert_eq!(
        choose(&mut end, Some(2), true, Bidirectional),
        Err(OpenError::Closed)
    );
    assert_eq!(end.write(2, 1), Err(WriteError::Closed));
    assert_eq!(end.reset(2), Err(ResetError::Closed));
    assert_eq!(end.streams.states(id(2)), None);
    // Received and not read: closed for all but the reader.
    end.on_stream(3, 0, 5, true).unwrap();
    assert_eq!(end.stop(3), Err(StopError::Closed));
    assert_eq!(end.streams.states(id(3)), None);
    assert_eq!(end.read(), Some((3, 5, true)));
    assert_eq!(end.stop(3), Err(StopError::Closed));
    // A bidirectional one is closed when both parts are.
    end.open(0).unwrap();
    end.finish(0).unwrap();
    end.send_and_ack();
    assert_eq!(end.reset(0), Err(ResetError::Finished));
    end.on_stream(0, 0, 0, true).unwrap();
    assert_eq!(end.reset(0), Err(ResetError::Closed));
    end.on_stream(0, 0, 0, true).unwrap();
}

#[test]
fn stop_and_reset_are_accepted_once() {
    let mut end = End::server();
    end.on_stream(0, 0, 5, false).unwrap();
    assert_eq!(end.stop(0), Ok(()));
    assert_eq!(end.stop(0), Err(StopError::InProgress));
    end.on_reset(0, 5).unwrap();
    assert_eq!(end.stop(0), Err(StopError::InProgress));
    assert_eq!(end.reset(0), Ok(()));
    assert_eq!(end.reset(0), Err(ResetError::Finished));
    end.send_and_ack();
    assert_eq!(
        (end.stop(0), end.reset(0)),
        (Err(StopError::Closed), Err(ResetError::Closed))
    );
    // A unidirectional stream is gone as soon as the peer has answered.
    end.on_stream(2, 0, 5, false).unwrap();
    assert_eq!(end.stop(2), Ok(()));
    end.on_reset(2, 5).unwrap();
    assert_eq!(end.stop(2), Err(StopError::Closed));
}

// [rfc9000-4.6-2] [rfc9000-4.6-4] [rfc9000-19.11-2] [rfc9000-19.11-3] [rfc9000-13.3-3]
#[test]
fn the_limit_of_the_peer_holds() {
    let mut end = End::new(Role::Client, limits(1000, 1000, 10), limits(1000, 1000, 3));
    assert_eq!(end.open(12), Err(OpenError::Limit(id(12))));
    assert_eq!(end.open(8), Ok(()));
    end.reset(8).unwrap();
    assert_eq!(
        choose(&mut end, None, true, Bidirectional),
        Err(OpenError::Limit(id(12)))
    );
    assert_eq!(
        end.control().len(),
        1,
        "the reset; nobody asked to tell the peer"
    );
    end.streams.signal_streams_blocked(Bidirectional);
    end.streams.signal_streams_blocked(Bidirectional);
    let blocked = Frame::StreamsBlocked {
        directionality: Bidirectional,
        maximum: v(3),
    };
    assert_eq!(end.control(), [blocked.clone()]);
    end.on_lost(&sent(&blocked));
    assert_eq!(end.control(), [blocked.clone()]);
    let mut events = vec![];
    for limit in [3, 2, 5, 4] {
        end.streams
            .on_max_streams(Bidirectional, v(limit), &mut |event| events.push(event));
    }
    assert_eq!(
        events,
        [StreamEvent::MaxStreams { highest: id(16) }],
        "only what raises the limit counts"
    );
    end.on_lost(&sent(&blocked));
    assert_eq!(end.control(), []);
    assert_eq!(end.open(16), Ok(()));
    assert_eq!(end.open(20), Err(OpenError::Limit(id(20))));
    assert_eq!(end.open(2), Ok(()), "the other kind has its own");
}

// [rfc9000-2.1-1]
#[test]
fn stream_ids_end_somewhere() {
    let mut end = End::new(
        Role::Client,
        limits(1000, 1000, 10),
        limits(1000, 1000, 1 << 60),
    );
    assert_eq!(end.open((1 << 62) - 4), Ok(()));
    assert_eq!(end.streams.next(Bidirectional), Err(OpenError::Exhausted));
}

// [rfc9000-4.6-5]
#[test]
fn the_peer_may_open_as_many_as_at_first_and_one_for_each_that_closed() {
    let mut end = End::server();
    for stream in (0..24).step_by(4) {
        end.on_stream(stream, 0, 3, true).unwrap();
        end.write(stream, 3).unwrap();
        end.finish(stream).unwrap();
        assert_eq!(
            end.streams.poll_control(100),
            None,
            "the sending part is not over"
        );
        for record in end.send_all() {
            end.on_acked(&record);
        }
        let maximum = v(101 + stream / 4);
        let update = Frame::MaxStreams {
            directionality: Bidirectional,
            maximum,
        };
        assert_eq!(end.control(), [update], "whether it was read or not");
    }
    // 100 at first, six closed: the highest is 4 * (106 - 1).
    assert_eq!(
        code(end.on_stream(424, 0, 1, false)),
        TransportErrorCode::STREAM_LIMIT_ERROR
    );
    end.on_stream(420, 0, 1, false).unwrap();
    // A unidirectional one closes with its receiving part.
    end.on_stream(2, 0, 3, true).unwrap();
    end.on_reset(6, 10).unwrap();
    let update = Frame::MaxStreams {
        directionality: Unidirectional,
        maximum: v(102),
    };
    assert_eq!(end.control(), [update]);
    // Those opened here do not count.
    end.open(3).unwrap();
    end.finish(3).unwrap();
    end.send_and_ack();
    assert_eq!(end.control(), []);
}
