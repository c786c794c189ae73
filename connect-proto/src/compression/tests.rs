//! The contract of every algorithm, the registry and the choice.

use proptest::{collection::vec, prelude::*};

use super::*;

/// A stand-in for a user's own algorithm.
#[derive(Debug)]
struct Named(&'static str);

impl Compression for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn compress(&self, input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError> {
        output.extend_from_slice(input);
        Ok(())
    }

    fn decompress(
        &self,
        input: &[u8],
        limit: usize,
        output: &mut BytesMut,
    ) -> Result<(), CompressionError> {
        if input.len() > limit {
            return Err(CompressionError::TooLarge { limit });
        }
        self.compress(input, output)
    }
}

fn known(names: &[&'static str]) -> Compressions {
    names.iter().fold(Compressions::none(), |known, name| {
        known.with(Named(name)).unwrap()
    })
}

fn built_in() -> Vec<Arc<dyn Compression>> {
    let known = Compressions::default();
    let algorithms = known.0.algorithms.iter();
    algorithms.map(|known| known.compression.clone()).collect()
}

fn compressed(algorithm: &dyn Compression, input: &[u8]) -> BytesMut {
    let mut output = BytesMut::new();
    algorithm.compress(input, &mut output).unwrap();
    output
}

fn decompressed(
    algorithm: &dyn Compression,
    input: &[u8],
    limit: usize,
) -> Result<BytesMut, CompressionError> {
    let mut output = BytesMut::from("before");
    let result = algorithm.decompress(input, limit, &mut output);
    assert_eq!(output.split_to(6), "before");
    match result {
        Ok(()) => {
            assert!(output.len() <= limit);
            Ok(output)
        }
        Err(error) => {
            assert!(output.is_empty(), "an error leaves no output behind");
            Err(error)
        }
    }
}

/// Bytes that compress well, badly or not at all, up to a few windows' steps.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..2_000),
        (vec(any::<u8>(), 1..40), 1_usize..2_000).prop_map(|(word, times)| word.repeat(times)),
        vec(b'a'..=b'd', 0..20_000),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn round_trips_at_exactly_the_limit(message in messages()) {
        for algorithm in built_in() {
            let small = compressed(&*algorithm, &message);
            let back = decompressed(&*algorithm, &small, message.len());
            prop_assert_eq!(back.as_deref(), Ok(&message[..]));
            if let Some(limit) = message.len().checked_sub(1) {
                let over = decompressed(&*algorithm, &small, limit);
                prop_assert_eq!(over, Err(CompressionError::TooLarge { limit }));
            }
        }
    }

    #[test]
    fn a_cut_stream_is_malformed(message in messages(), at in any::<prop::sample::Index>()) {
        for algorithm in built_in() {
            let small = compressed(&*algorithm, &message);
            let cut = decompressed(&*algorithm, &small[..at.index(small.len())], message.len());
            prop_assert!(matches!(cut, Err(CompressionError::Malformed(_))), "{cut:?}");
        }
    }

    #[test]
    fn bytes_after_the_stream_are_malformed(message in messages(), garbage in vec(any::<u8>(), 1..20)) {
        for algorithm in built_in() {
            let mut small = compressed(&*algorithm, &message);
            small.extend_from_slice(&garbage);
            let result = decompressed(&*algorithm, &small, usize::MAX);
            prop_assert!(matches!(result, Err(CompressionError::Malformed(_))), "{result:?}");
        }
    }

    #[test]
    fn corrupt_streams_stay_within_the_limit(
        message in messages(),
        flips in vec((any::<prop::sample::Index>(), 0_u8..8), 1..4),
        limit in 0_usize..40_000,
    ) {
        for algorithm in built_in() {
            let mut small = compressed(&*algorithm, &message);
            for (at, bit) in &flips {
                let at = at.index(small.len());
                small[at] ^= 1 << bit;
            }
            // `decompressed` asserts the limit; a context that saw garbage works again.
            let _ = decompressed(&*algorithm, &small, limit);
            let again = compressed(&*algorithm, &message);
            let back = decompressed(&*algorithm, &again, message.len());
            prop_assert_eq!(back.as_deref(), Ok(&message[..]));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300), limit in 0_usize..1_000) {
        for algorithm in built_in() {
            // Past the magic number, too.
            let mut valid = compressed(&*algorithm, b"");
            let _ = decompressed(&*algorithm, &bytes, limit);
            valid.truncate(4);
            valid.extend_from_slice(&bytes);
            let _ = decompressed(&*algorithm, &valid, limit);
        }
    }

    #[test]
    fn any_accept_header_is_survived(bytes in vec(b' '..=b'~', 0..200)) {
        let known = known(&["gzip", "zstd"]);
        let value = HeaderValue::from_bytes(&bytes).unwrap();
        let choice = known.negotiate([&value].into_iter());
        // Whatever is chosen was named, or `*` was.
        if let Some(choice) = choice {
            let text = value.to_str().unwrap().to_ascii_lowercase();
            prop_assert!(text.contains(choice.name()) || text.contains('*'));
        }
    }
}

/// The limit holds before memory is taken: the capacity never passes it.
#[test]
fn memory_follows_the_limit_and_the_output() {
    for algorithm in built_in() {
        let zeros = compressed(&*algorithm, &vec![0; 3_000_000]);
        for limit in [0, 1, 255, 256, 100_000, 2_999_999] {
            let mut output = BytesMut::new();
            let result = algorithm.decompress(&zeros, limit, &mut output);
            assert_eq!(result, Err(CompressionError::TooLarge { limit }));
            assert!(output.is_empty());
            assert!(output.capacity() <= limit, "{algorithm:?} {limit}");
        }
        let mut output = BytesMut::new();
        algorithm
            .decompress(&zeros, usize::MAX, &mut output)
            .unwrap();
        assert!(output.capacity() <= 2 * 3_000_000);
    }
}

#[test]
fn output_is_appended_and_contexts_are_reused() {
    for algorithm in built_in() {
        let mut output = BytesMut::from("12345");
        for message in [&b"first"[..], b"", b"third"] {
            output.truncate(5);
            algorithm.compress(message, &mut output).unwrap();
            assert_eq!(output[..5], *b"12345");
            let back = decompressed(&*algorithm, &output[5..], 5).unwrap();
            assert_eq!(back, message);
        }
    }
}

#[test]
fn threads_share_one_value() {
    for algorithm in built_in() {
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let algorithm = &algorithm;
                scope.spawn(move || {
                    for round in 0..50 {
                        let message = vec![thread; 1_000 + round];
                        let small = compressed(&**algorithm, &message);
                        let back = decompressed(&**algorithm, &small, message.len());
                        assert_eq!(back.as_deref(), Ok(&message[..]));
                    }
                });
            }
        });
    }
}

/// RFC 9110, section 5.6.2 (token) and section 8.4.1 (content codings).
#[test]
fn names_are_tokens() {
    for name in ["gzip", "x-snappy-framed", "GZIP", "a", "!#$%&'*+-.^_`|~0"] {
        assert!(Compressions::none().with(Named(name)).is_ok(), "{name}");
    }
    for name in [
        "", "g zip", "gzip,br", "a;q=1", "é", "a\n", "identity", "Identity", "*",
    ] {
        let error = Compressions::none().with(Named(name)).unwrap_err();
        assert!(error.to_string().contains("cannot be the name"), "{error}");
    }
}

#[test]
fn registry_keeps_order_and_replaces_by_name() {
    let none = Compressions::none();
    assert!(none.accept_header().is_none());
    assert!(none.get("gzip").is_none());
    assert_eq!(none.names().count(), 0);

    let known = known(&["gzip", "br", "GZIP", "x"]);
    assert_eq!(known.names().collect::<Vec<_>>(), ["GZIP", "br", "x"]);
    assert_eq!(known.accept_header().unwrap(), "GZIP,br,x");
    assert_eq!(known.get("gzip").unwrap().name(), "GZIP");
    assert!(known.get("identity").is_none());

    // A clone that is changed leaves the other as it was.
    let more = known.clone().with(Named("y")).unwrap();
    assert_eq!(more.accept_header().unwrap(), "GZIP,br,x,y");
    assert_eq!(known.accept_header().unwrap(), "GZIP,br,x");
}

#[test]
fn defaults_follow_the_features() {
    let mut expected: Vec<&str> = Vec::new();
    if cfg!(feature = "gzip") {
        expected.push("gzip");
    }
    if cfg!(feature = "zstd") {
        expected.push("zstd");
    }
    assert_eq!(
        Compressions::default().names().collect::<Vec<_>>(),
        expected
    );
}

/// Connect, "Unary-Request" (ordered list); RFC 9110, section 12.5.3 (quality values and `*`).
#[test]
fn the_peers_order_decides() {
    let known = known(&["gzip", "zstd", "br"]);
    for (lines, expected) in [
        (&[][..], None),
        (&[""], None),
        (&["gzip"], Some("gzip")),
        (&["GZip"], Some("gzip")),
        (&["zstd, gzip"], Some("zstd")),
        (&["zstd,gzip"], Some("zstd")),
        (&["snappy", "br\t, gzip"], Some("br")),
        (&[" , ,, gzip ,"], Some("gzip")),
        (&["deflate"], None),
        // The least preferred, wherever it stands.
        (&["identity"], None),
        (&["identity,deflate,gzip"], Some("gzip")),
        (&["identity;q=0, gzip"], Some("gzip")),
        (&["gzip;q=0.5, identity"], Some("gzip")),
        (&["gzip;q=0.5, identity;q=0.8"], None),
        (&["gzip;q=0.5, identity;q=0.5"], Some("gzip")),
        // Quality values.
        (&["gzip;q=0.1, zstd;q=0.9"], Some("zstd")),
        (&["gzip ; q=0.999 , zstd"], Some("zstd")),
        (&["gzip;Q=0.5", "zstd;q=0.5"], Some("gzip")),
        (&["gzip;q=1.000, zstd;q=1"], Some("gzip")),
        (&["gzip;q=0"], None),
        (&["gzip;q=0.000, zstd;q=0.001"], Some("zstd")),
        (&["gzip;level=1;q=0, br"], Some("br")),
        // The star: what is not named.
        (&["*"], Some("gzip")),
        (&["*;q=0"], None),
        (&["gzip;q=0, *"], Some("zstd")),
        (&["br, *"], Some("br")),
        (&["br;q=0.5, *"], Some("gzip")),
        (&["br, *;q=0.5"], Some("br")),
        (&["gzip;q=0, zstd;q=0, br;q=0, *"], None),
        // Broken elements are skipped.
        (&["gzip;q=2, zstd"], Some("zstd")),
        (&["gzip;q=1.001, zstd"], Some("zstd")),
        (&["gzip;q=0.0001, zstd"], Some("zstd")),
        (&["gzip;q=, zstd;q=x, br;q=-1"], None),
        (&["gz ip, gzip/1, zstd"], Some("zstd")),
        (&["gzip;q=.5"], None),
    ] {
        let lines: Vec<HeaderValue> = lines.iter().map(|line| line.parse().unwrap()).collect();
        let choice = known.negotiate(lines.iter()).map(|choice| choice.name());
        assert_eq!(choice, expected, "{lines:?}");
    }
}

#[test]
fn bytes_outside_ascii_are_skipped() {
    let value = HeaderValue::from_bytes(b"\xff\xfe, gzip").unwrap();
    let known = known(&["gzip"]);
    assert!(known.negotiate([&value].into_iter()).is_some());
}

#[test]
fn huge_lists_are_read_to_the_end() {
    let mut list = "x,".repeat(100_000);
    list.push_str("zstd");
    let value = HeaderValue::try_from(list).unwrap();
    let known = known(&["gzip", "zstd"]);
    let choice = known.negotiate([&value].into_iter());
    assert_eq!(choice.unwrap().name(), "zstd");
}

#[test]
fn more_algorithms_than_a_word_has_bits() {
    let names: Vec<&'static str> = (0..70)
        .map(|i| &*Box::leak(format!("c{i}").into_boxed_str()))
        .collect();
    let known = known(&names);
    let value = HeaderValue::from_static("c69;q=0.5, *;q=0.1");
    let choice = known.negotiate([&value].into_iter());
    assert_eq!(choice.unwrap().name(), "c69");

    let mut list: String = (0..64).map(|i| format!("c{i};q=0,")).collect();
    list.push('*');
    let value = HeaderValue::try_from(list).unwrap();
    assert!(known.negotiate([&value].into_iter()).is_none());
}
