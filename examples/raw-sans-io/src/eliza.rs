//! What Eliza says: plain functions of messages.

use connect_proto::Error;

connect_codec::include_proto!("connectrpc.eliza.v1");

/// One answer to one sentence.
pub fn say(request: SayRequest) -> Result<Option<SayResponse>, Error> {
    let SayRequest { sentence } = request;
    let sentence = format!("Why do you say \"{sentence}\"?");
    Ok(Some(SayResponse { sentence }))
}

/// Several answers, each of which is sent before the next is made.
///
/// # Errors
///
/// `invalid_argument` for nobody.
pub fn introduce(
    request: IntroduceRequest,
) -> Result<impl Iterator<Item = IntroduceResponse>, Error> {
    let IntroduceRequest { name } = request;
    if name.is_empty() {
        return Err(Error::invalid_argument("name must not be empty"));
    }
    let hello = format!("Hello, {name}.");
    let sentences = [hello, "I am Eliza.".into(), "How are you?".into()];
    Ok(sentences
        .map(|sentence| IntroduceResponse { sentence })
        .into_iter())
}
