//! The contract of the halves as properties: any call, cut anywhere, cut off anywhere, garbled anywhere.

mod common;

use bytes::Bytes;
use common::{Events, Frame, accept, clients, feed, request, respond};
use connect_proto::{CallOptions, Code, Error, Limits, RecvEvent, Reset, ServerConfig, StreamType};
use http::HeaderMap;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Call {
    client: usize,
    stream_type: StreamType,
    json: bool,
    compressed: bool,
    messages: Vec<Vec<u8>>,
    fails: bool,
    cut: usize,
    timeout: bool,
}

fn calls() -> impl Strategy<Value = Call> {
    (
        0..clients().len(),
        prop::sample::select(StreamType::ALL.to_vec()),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4),
        any::<bool>(),
        1usize..40,
        any::<bool>(),
    )
        .prop_map(
            |(client, stream_type, json, compressed, messages, fails, cut, timeout)| Call {
                client,
                stream_type,
                json,
                compressed,
                messages,
                fails,
                cut,
                timeout,
            },
        )
}

impl Call {
    fn config(&self) -> connect_proto::ClientConfig {
        let mut config = clients()[self.client]
            .1
            .clone()
            .with_min_compress_bytes(0)
            .with_codec(if self.json { "json" } else { "proto" });
        if self.compressed {
            config = config.with_send_compression("gzip");
        }
        if self.timeout {
            config = config.with_default_timeout(std::time::Duration::from_secs(1));
        }
        config
    }

    fn messages(&self, streams: bool) -> Vec<Bytes> {
        let mut messages: Vec<Bytes> = self.messages.iter().cloned().map(Bytes::from).collect();
        if !streams {
            messages.truncate(1);
            messages.resize(1, Bytes::from_static(b"one"));
        }
        messages
    }

    /// The request as frames, the response as frames, and fresh halves to feed them to.
    fn record(&self) -> Recording {
        let sent = self.messages(self.stream_type.client_streams());
        let (recorded, expect) =
            request(&self.config(), self.stream_type, &CallOptions::new(), &sent);
        let server = ServerConfig::new()
            .with_min_compress_bytes(0)
            .with_limits(Limits::default().with_recv_message_bytes(4096));
        let (recv, mut send) = accept(&recorded.head, self.stream_type, &server);
        let answered = self.messages(self.stream_type.server_streams());
        let (answered, outcome) = if self.fails {
            let error = Error::aborted("ünlucky");
            let kept = if self.stream_type.server_streams() {
                answered
            } else {
                Vec::new()
            };
            (kept, Err(error))
        } else {
            (answered, Ok(HeaderMap::new()))
        };
        let response = respond(&mut send, HeaderMap::new(), &answered, outcome);
        Recording {
            sent,
            answered,
            request: recorded.frames,
            response: response.frames,
            server: recv,
            client: expect.recv_head(response.head),
        }
    }
}

struct Recording {
    sent: Vec<Bytes>,
    answered: Vec<Bytes>,
    request: Vec<Frame>,
    response: Vec<Frame>,
    server: connect_proto::RecvHalf,
    client: connect_proto::RecvHalf,
}

fn messages_of(events: &Events) -> Vec<Bytes> {
    events
        .iter()
        .filter_map(|event| match event {
            Ok(RecvEvent::Message(message)) => Some(message.clone()),
            _ => None,
        })
        .collect()
}

/// The frames up to a byte of the data, then a loss of the stream.
fn cut_off(frames: &[Frame], at: usize) -> Vec<Frame> {
    let mut left = at;
    let mut kept = Vec::new();
    for frame in frames {
        if let Frame::Data(data) = frame {
            let take = left.min(data.len());
            kept.push(Frame::Data(data.slice(..take)));
            left -= take;
            if left == 0 {
                break;
            }
        }
    }
    kept.push(Frame::Reset(Error::canceled("")));
    kept
}

fn data_len(frames: &[Frame]) -> usize {
    frames
        .iter()
        .map(|frame| match frame {
            Frame::Data(data) => data.len(),
            _ => 0,
        })
        .sum()
}

/// Point 6: a half that allows one message yields it only before a clean end.
fn one_message_only_with_a_clean_end(events: &Events, single: bool) -> Result<(), TestCaseError> {
    if single && events.last().is_some_and(Result::is_err) {
        prop_assert_eq!(messages_of(events).len(), 0);
    }
    Ok(())
}

fn one_ending(events: &Events) -> Result<(), TestCaseError> {
    let is_ending = |e: &Result<RecvEvent, Error>| !matches!(e, Ok(RecvEvent::Message(_)));
    prop_assert_eq!(events.iter().filter(|e| is_ending(e)).count(), 1);
    prop_assert!(is_ending(events.last().unwrap()), "the ending is last");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// 1, 2 and 6: whole calls, cut anywhere.
    #[test]
    fn events_do_not_depend_on_cuts(call in calls()) {
        let mut recording = call.record();
        let events = feed(&mut recording.server, &recording.request, call.cut);
        one_ending(&events)?;
        prop_assert_eq!(&messages_of(&events), &recording.sent);
        prop_assert_eq!(events.last(), Some(&Ok(RecvEvent::End(HeaderMap::new()))));

        let events = feed(&mut recording.client, &recording.response, call.cut);
        one_ending(&events)?;
        prop_assert_eq!(&messages_of(&events), &recording.answered);
        let ending = events.last().unwrap();
        if call.fails {
            let error = ending.as_ref().unwrap_err();
            prop_assert_eq!((error.code(), error.message()), (Code::Aborted, "ünlucky"));
        } else {
            prop_assert!(ending.is_ok());
        }
        let whole = feed(&mut call.record().client, &recording.response, usize::MAX);
        prop_assert_eq!(&events, &whole);
    }

    /// 2: a stream that is cut off never ends cleanly, unless its end was already said.
    #[test]
    fn truncation_is_never_a_clean_end(call in calls(), at in any::<prop::sample::Index>()) {
        let mut recording = call.record();
        let len = data_len(&recording.request);
        let frames = cut_off(&recording.request, at.index(len + 1));
        let events = feed(&mut recording.server, &frames, call.cut);
        one_ending(&events)?;
        let get = recording.request.len() == 1 && len == 0 && !call.stream_type.client_streams();
        if !get {
            prop_assert!(events.last().unwrap().is_err());
        }
        prop_assert!(recording.sent.starts_with(&messages_of(&events)));
        one_message_only_with_a_clean_end(&events, !call.stream_type.client_streams())?;

        let len = data_len(&recording.response);
        let at = at.index(len + 1);
        let events = feed(&mut recording.client, &cut_off(&recording.response, at), call.cut);
        one_ending(&events)?;
        if events.last().unwrap().is_ok() {
            prop_assert_eq!(at, len, "the end was said in the body");
        }
        prop_assert!(recording.answered.starts_with(&messages_of(&events)));
        one_message_only_with_a_clean_end(&events, !call.stream_type.server_streams())?;
    }

    /// 3 and 5: garbled bytes never panic, never yield more than the limit, and end once, the same at any cut.
    #[test]
    fn garbled_bytes_end_once(call in calls(), noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut recording = call.record();
        let garble = |frames: &[Frame]| -> Vec<Frame> {
            frames.iter().map(|frame| match frame {
                Frame::Data(data) => {
                    let mut data = data.to_vec();
                    for (at, byte) in &noise {
                        if !data.is_empty() {
                            let at = at.index(data.len());
                            data[at] ^= byte;
                        }
                    }
                    Frame::Data(Bytes::from(data))
                }
                other => other.clone(),
            }).collect()
        };
        let request = garble(&recording.request);
        let events = feed(&mut recording.server, &request, call.cut);
        one_ending(&events)?;
        prop_assert_eq!(&events, &feed(&mut call.record().server, &request, usize::MAX));
        prop_assert!(messages_of(&events).iter().all(|m| m.len() <= 4096));

        let response = garble(&recording.response);
        let events = feed(&mut recording.client, &response, call.cut);
        one_ending(&events)?;
        prop_assert_eq!(&events, &feed(&mut call.record().client, &response, usize::MAX));
    }

    /// 2 and 5: any order of inputs is survived, and after the ending there is nothing.
    #[test]
    fn any_order_of_inputs_is_survived(call in calls(), inputs in prop::collection::vec((0u8..7, prop::collection::vec(any::<u8>(), 0..20)), 0..12)) {
        let recording = call.record();
        let sides = [
            (recording.server, recording.request, !call.stream_type.client_streams()),
            (recording.client, recording.response, !call.stream_type.server_streams()),
        ];
        for (mut half, frames, single) in sides {
            let mut events = Events::new();
            let mut frames = frames.iter();
            for (kind, data) in &inputs {
                match kind {
                    0 => half.recv_data(Bytes::from(data.clone())),
                    1 => if let Some(Frame::Data(data)) = frames.next() {
                        half.recv_data(data.clone());
                    },
                    2 => half.recv_eof(),
                    3 => half.recv_trailers(HeaderMap::new()),
                    4 => half.recv_reset(Reset::ConnectionLost),
                    5 => half.fail(Error::internal("broken below")),
                    _ => half.handle_timeout(connect_proto::Time::MAX),
                }
                while let Some(event) = half.poll_event() {
                    prop_assert!(!half.is_ended() || !matches!(event, Ok(RecvEvent::Message(_))));
                    events.push(event);
                }
                prop_assert_eq!(half.is_ended(), !events.is_empty() && !matches!(events.last(), Some(Ok(RecvEvent::Message(_)))));
            }
            if half.is_ended() {
                one_ending(&events)?;
                one_message_only_with_a_clean_end(&events, single)?;
            }
        }
    }
}
