//! How the runner talks with the programs under test: on standard input and output, messages behind
//! their length as four bytes in network order.

use std::io::{self, Read, Write};

use prost::Message;

/// The runner sends nothing larger; more would be a mistake in reading the stream.
const MAX_BYTES: u32 = 64 * 1024 * 1024;

/// Reads one message; `None` at the end of the input.
pub fn read<M: Message + Default>(input: &mut impl Read) -> io::Result<Option<M>> {
    let mut prefix = [0; 4];
    if input.read(&mut prefix[..1])? == 0 {
        return Ok(None);
    }
    input.read_exact(&mut prefix[1..])?;
    let length = u32::from_be_bytes(prefix);
    if length > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {length} bytes"),
        ));
    }
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes)?;
    Ok(Some(M::decode(&bytes[..])?))
}

/// Writes one message and flushes it, so that the runner sees it at once.
pub fn write(output: &mut impl Write, message: &impl Message) -> io::Result<()> {
    let length = u32::try_from(message.encoded_len()).map_err(io::Error::other)?;
    let mut bytes = length.to_be_bytes().to_vec();
    message.encode(&mut bytes)?;
    output.write_all(&bytes)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_and_then_the_end() {
        let mut stream = Vec::new();
        write(&mut stream, &"first".to_owned()).unwrap();
        write(&mut stream, &String::new()).unwrap();
        let mut input = &stream[..];
        assert_eq!(read(&mut input).unwrap(), Some("first".to_owned()));
        assert_eq!(read(&mut input).unwrap(), Some(String::new()));
        assert_eq!(read::<String>(&mut input).unwrap(), None);
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let mut stream = Vec::new();
        write(&mut stream, &"first".to_owned()).unwrap();
        for cut in 1..stream.len() {
            assert!(read::<String>(&mut &stream[..cut]).is_err());
        }
        assert!(read::<String>(&mut &[0xff; 9][..]).is_err());
    }
}
