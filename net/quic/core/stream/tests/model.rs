// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The table against a map from stream to what has happened to it.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A stream as a program would describe it.
#[derive(Clone, Debug, Default)]
struct Model {
    send_over: bool,
    finished: bool,
    recv_over: bool,
}

const STREAMS: u64 = 24;
const LIMIT: u64 = 4;

proptest! {
    #[test]
    fn agrees_with_a_map(steps in proptest::collection::vec((0..7_u8, 0..STREAMS), 0..200)) {
        let mut end = End::new(Role::Server, limits(1 << 20, 1 << 20, LIMIT), limits(1 << 20, 1 << 20, 100));
        let mut open: BTreeMap<u64, Model> = BTreeMap::new();
        let mut next = [0_u64; 4];
        let mut closed = [0_u64; 4];
        for (action, stream) in steps {
            let kind = (stream & 3) as usize;
            let (ours, one_way) = (stream & 1 == 1, stream & 2 == 2);
            let (sends, receives) = (ours || !one_way, !ours || !one_way);
            let known = stream >> 2 < next[kind];
            let limit = LIMIT + closed[kind];
            let mut open_up_to = |open: &mut BTreeMap<u64, Model>| {
                for number in next[kind]..=stream >> 2 {
                    let model = Model { send_over: !sends, finished: !sends, recv_over: !receives };
                    open.insert((number << 2) | (stream & 3), model);
                }
                next[kind] = next[kind].max((stream >> 2) + 1);
            };
            match action {
                0 if ours => {
                    let result = end.open(stream);
                    match open.get(&stream) {
                        Some(model) if model.finished => prop_assert_eq!(result, Err(OpenError::InUse)),
                        Some(_) => prop_assert_eq!(result, Ok(())),
                        None if known => prop_assert_eq!(result, Err(OpenError::Closed)),
                        None => {
                            prop_assert_eq!(result, Ok(()));
                            open_up_to(&mut open);
                        }
                    }
                }
                // A frame with the end of the stream, or a reset.
                1 | 2 if receives => {
                    let result = if action == 1 { end.on_stream(stream, 0, 0, true) } else { end.on_reset(stream, 0) };
                    if !known && ours {
                        prop_assert_eq!(code(result), TransportErrorCode::STREAM_STATE_ERROR);
                    } else if !known && stream >> 2 >= limit {
                        prop_assert_eq!(code(result), TransportErrorCode::STREAM_LIMIT_ERROR);
                    } else {
                        prop_assert_eq!(result, Ok(()));
                        if !known {
                            open_up_to(&mut open);
                        }
                        if let Some(model) = open.get_mut(&stream) {
                            model.recv_over = true;
                        }
                    }
                }
                3 => {
                    let result = end.finish(stream);
                    match open.get_mut(&stream) {
                        _ if !sends => prop_assert_eq!(result, Err(WriteError::NotOpen)),
                        Some(model) if model.finished => prop_assert_eq!(result, Err(WriteError::Finished)),
                        Some(model) => {
                            prop_assert_eq!(result, Ok(()));
                            model.finished = true;
                        }
                        None if known => prop_assert_eq!(result, Err(WriteError::Closed)),
                        None => prop_assert_eq!(result, Err(WriteError::NotOpen)),
                    }
                }
                4 => {
                    let result = end.reset(stream);
                    match open.get_mut(&stream) {
                        _ if !sends => prop_assert_eq!(result, Err(ResetError::NotOpen)),
                        Some(model) if model.send_over => prop_assert_eq!(result, Err(ResetError::Finished)),
                        Some(model) => {
                            model.finished = true;
                            prop_assert!(matches!(result, Ok(()) | Err(ResetError::Finished)));
                        }
                        None if known => prop_assert_eq!(result, Err(ResetError::Closed)),
                        None => prop_assert_eq!(result, Err(ResetError::NotOpen)),
                    }
                }
                5 => {
                    end.send_and_ack();
                    for model in open.values_mut() {
                        model.send_over |= model.finished;
                    }
                }
                6 => while end.read().is_some() {},
                _ => {}
            }
            open.retain(|stream, model| {
                let over = model.send_over && model.recv_over;
                closed[(*stream & 3) as usize] += u64::from(over);
                !over
            });
            for stream in 0..STREAMS {
                // A stream that was only opened by a higher one has no state yet.
                prop_assert!(end.streams.states(id(stream)).is_none() || open.contains_key(&stream));
            }
            prop_assert_eq!(end.streams.remote[0].limit, LIMIT + closed[0]);
            prop_assert_eq!(end.streams.remote[1].limit, LIMIT + closed[2]);
        }
        // Close everything: no memory stays.
        for stream in open.keys() {
            let _ = end.on_reset(*stream, 0);
            let _ = end.reset(*stream);
        }
        end.send_and_ack();
        while end.read().is_some() {}
        prop_assert_eq!(end.streams.slab.len(), 0);
        prop_assert_eq!((end.streams.recv_held(), end.streams.send_held()), (0, 0));
    }
}
