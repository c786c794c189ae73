//! The bytes of every message, and of what answers it.

use std::{io::Write, sync::LazyLock};

use bytes::{BufMut, Bytes, BytesMut};
use connect_benches_json::Batch;
use flate2::{Compression, write::GzEncoder};
use prost::Message as _;

use crate::{
    proto::{Count, EchoMessage, LogBatch},
    scenario::{MESSAGES, Message, Protocol, Scenario},
};

/// The length of an envelope's prefix.
pub const PREFIX: usize = 5;

/// Messages of a stream that the client, and the server without a library, put into one piece: about 16 KiB.
pub const MESSAGES_A_PIECE: usize = 400;

/// 32 bytes of Protobuf.
pub fn small() -> EchoMessage {
    EchoMessage {
        text: "twenty-five bytes of text".to_owned(),
        number: i64::try_from(MESSAGES).expect("the number is small"),
        flag: true,
        data: Bytes::new(),
    }
}

/// [`small`] in its envelope.
pub static SMALL: LazyLock<Bytes> = LazyLock::new(|| enveloped(&small().encode_to_vec(), false));

/// [`MESSAGES_A_PIECE`] of [`SMALL`].
pub static PIECE: LazyLock<Bytes> = LazyLock::new(|| SMALL.repeat(MESSAGES_A_PIECE).into());

/// The batch of logs.
pub static LOGS: LazyLock<Bytes> =
    LazyLock::new(|| Batch::default().message().encode_to_vec().into());

/// How a batch of logs is answered.
pub fn summary(batch: &LogBatch) -> Count {
    let texts = batch.records.iter().map(|record| {
        let labels = record
            .labels
            .iter()
            .map(|(key, value)| key.len() + value.len());
        let file = record.source.as_ref().map_or(0, |source| source.file.len());
        let own = record.service_name.len() + record.instance_id.len() + record.message.len();
        own + file + labels.sum::<usize>()
    });
    count(texts.sum())
}

/// A count as the service answers it.
pub fn count(number: usize) -> Count {
    Count {
        number: i64::try_from(number).expect("counts are small"),
    }
}

/// A message in its envelope.
pub fn enveloped(message: &[u8], is_compressed: bool) -> Bytes {
    let mut body = BytesMut::with_capacity(PREFIX + message.len());
    body.put_u8(u8::from(is_compressed));
    body.put_u32(u32::try_from(message.len()).expect("the message is short"));
    body.put_slice(message);
    body.freeze()
}

/// The message of a scenario as it stands in the body of its request.
pub fn request(scenario: &Scenario) -> Bytes {
    let message = message(scenario);
    match (scenario.protocol, scenario.gzip) {
        (Protocol::Grpc, false) => enveloped(&message, false),
        (Protocol::Grpc, true) => enveloped(&gzip(&message), true),
        (Protocol::Connect | Protocol::Json, _) => message,
    }
}

/// The message that answers it, without envelope and compression.
pub fn answer(scenario: &Scenario) -> Bytes {
    match scenario.message {
        Message::Logs => {
            let batch = LogBatch::decode(&LOGS[..]).expect("encoded above");
            summary(&batch).encode_to_vec().into()
        }
        _ => message(scenario),
    }
}

fn message(scenario: &Scenario) -> Bytes {
    let data = |bytes: usize| EchoMessage {
        data: vec![b'm'; bytes].into(),
        ..EchoMessage::default()
    };
    let message = match scenario.message {
        Message::Small => small(),
        Message::Kib16 => data(16 * 1024),
        Message::Mib1 => data(1024 * 1024),
        Message::Text => EchoMessage {
            text: log_lines(64 * 1024),
            ..EchoMessage::default()
        },
        Message::Logs => return LOGS.clone(),
    };
    if scenario.protocol == Protocol::Json {
        let small = r#"{"text":"twenty-five bytes of text","number":"10000","flag":true}"#;
        assert_eq!(scenario.message, Message::Small, "written out above");
        return Bytes::from_static(small.as_bytes());
    }
    message.encode_to_vec().into()
}

/// The records of the batch as lines, over and over, each with another number.
fn log_lines(bytes: usize) -> String {
    let batch = Batch::default();
    let mut lines = String::new();
    for (number, record) in batch.message().records.iter().cycle().enumerate() {
        let line = format!(
            "{} {} {} {}\n",
            record.time_unix_nano + 7919 * number as i64,
            record.service_name,
            record.instance_id,
            record.message.trim_end(),
        );
        lines.push_str(&line);
        if lines.len() >= bytes {
            break;
        }
    }
    lines.truncate(bytes);
    lines
}

/// At the level that most clients use.
fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}
