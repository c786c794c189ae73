//! One batch of 100 log records, as the generated message and as structs with serde's derive that somebody wrote
//! for the same JSON: what the generated code's JSON costs beside the least that serde can do.

pub mod by_hand;

use bytes::{Bytes, BytesMut};
use connect_codec::{Codec, Decode as _, Encode as _, Prost};

use proto::{LogBatch, LogRecord, Severity, SourceLocation};

/// The generated messages.
#[allow(missing_docs)]
pub mod proto {
    connect_codec::include_proto!("bench.v1");
}

/// The batch, and its JSON.
#[derive(Debug)]
pub struct Batch {
    message: LogBatch,
    by_hand: by_hand::LogBatch,
    json: Bytes,
    codec: Codec,
}

impl Default for Batch {
    /// # Panics
    /// If the two ways do not agree on the JSON.
    fn default() -> Self {
        let message = LogBatch {
            records: (0..100).map(record).collect(),
        };
        let codec = Codec::Json(Default::default());
        let mut json = BytesMut::new();
        Prost::encode(&message, &codec, &mut json).expect("the batch has a JSON form");
        let by_hand: by_hand::LogBatch =
            serde_json::from_slice(&json).expect("both read the same JSON");
        let again = serde_json::to_vec(&by_hand).expect("the batch has a JSON form");
        let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("JSON");
        assert_eq!(value(&again), value(&json), "both write the same JSON");
        Self {
            message,
            by_hand,
            json: json.freeze(),
            codec,
        }
    }
}

impl Batch {
    /// The generated message.
    #[must_use]
    pub fn message(&self) -> &LogBatch {
        &self.message
    }

    /// The length of the JSON in bytes.
    #[must_use]
    pub fn json_len(&self) -> usize {
        self.json.len()
    }

    /// The generated message as JSON.
    #[must_use]
    pub fn encode(&self) -> BytesMut {
        let mut out = BytesMut::new();
        Prost::encode(&self.message, &self.codec, &mut out).expect("the batch has a JSON form");
        out
    }

    /// The structs as JSON.
    #[must_use]
    pub fn encode_by_hand(&self) -> Vec<u8> {
        serde_json::to_vec(&self.by_hand).expect("the batch has a JSON form")
    }

    /// The generated message from JSON.
    #[must_use]
    pub fn decode(&self) -> LogBatch {
        Prost::decode(self.json.clone(), &self.codec).expect("valid JSON")
    }

    /// The structs from JSON.
    #[must_use]
    pub fn decode_by_hand(&self) -> by_hand::LogBatch {
        serde_json::from_slice(&self.json).expect("valid JSON")
    }
}

fn record(index: u32) -> LogRecord {
    let number = u64::from(index);
    let labels = [
        ("region", "eu-central-1".to_owned()),
        ("version", format!("1.{}.{}", index / 10, index % 10)),
        ("shard", format!("{index:03}")),
    ];
    LogRecord {
        service_name: ["checkout", "catalogue", "payments"][index as usize % 3].to_owned(),
        instance_id: format!("pod-{:08x}", number.wrapping_mul(0x9e37_79b9) as u32),
        time_unix_nano: 1_795_000_000_000_000_000 + i64::from(index) * 1_234_567,
        severity: Severity::try_from(1 + (index % 3) as i32).unwrap_or_default() as i32,
        message: format!("order {index} was \"taken\" in {} steps\n", index % 7),
        labels: labels.map(|(key, value)| (key.to_owned(), value)).into(),
        duration_seconds: f64::from(index) * 0.001_25 + 0.000_5,
        status_code: 200 + index % 5,
        sampled: index.is_multiple_of(2),
        source: Some(SourceLocation {
            file: "src/orders/handler.rs".to_owned(),
            line: 100 + index,
        }),
        span_ids: vec![number * 0x1234_5678_9abc, number + (1 << 60)],
    }
}
