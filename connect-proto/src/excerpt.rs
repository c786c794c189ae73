//! What a peer sent, as error messages show it.

/// Enough to recognise a value in a log.
const MAX_BYTES: usize = 64;

/// The beginning of a value, in quotes, with what cannot be printed escaped: a message must not grow with what a peer
/// sends.
pub(crate) fn excerpt(value: impl AsRef<[u8]>) -> String {
    let value = value.as_ref();
    let shown = value.get(..MAX_BYTES).unwrap_or(value);
    let is_cut = shown.len() < value.len();
    let mut text = String::from('"');
    let mut chunks = shown.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.extend(chunk.valid().escape_debug());
        // The cut may have gone through a character.
        if !is_cut || chunks.peek().is_some() {
            text.extend(chunk.invalid().escape_ascii().map(char::from));
        }
    }
    text.push_str(if is_cut { "...\"" } else { "\"" });
    text
}

/// Text of a parser that may quote a peer's bytes, without its middle if it is long: what went wrong stands at the start,
/// and where at the end.
pub(crate) fn shorten(text: String) -> String {
    const HEAD: usize = 192;
    const TAIL: usize = 64;
    if text.len() <= HEAD + TAIL {
        return text;
    }
    let boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=HEAD).rev().find(boundary).unwrap_or(0);
    let tail = (text.len() - TAIL..=text.len()).find(boundary);
    let tail = tail.unwrap_or(text.len());
    format!("{}...{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_lose_their_middle() {
        let whole = "a".repeat(256);
        assert_eq!(shorten(whole.clone()), whole);
        let cut = shorten(format!("{} at line 1", "ü".repeat(1_000)));
        assert_eq!(
            cut,
            format!("{}...{} at line 1", "ü".repeat(96), "ü".repeat(27))
        );
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(excerpt("gzip"), r#""gzip""#);
        assert_eq!(excerpt(b"a\n\"\xff"), r#""a\n\"\xff""#);
        assert_eq!(excerpt("a".repeat(64)), format!("{:?}", "a".repeat(64)));
        assert_eq!(
            excerpt("a".repeat(65)),
            format!("\"{}...\"", "a".repeat(64))
        );
        let umlauts = "a".to_owned() + &"ü".repeat(40);
        assert_eq!(excerpt(&umlauts), format!("\"a{}...\"", "ü".repeat(31)));
    }
}
