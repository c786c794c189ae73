//! Who calls, by a bearer token.

use connect_tokio::{CallHead, CallPolicy, Error, Gate};
use http::header::AUTHORIZATION;

/// The author of a note.
#[derive(Clone, Debug)]
pub(crate) struct Author(pub(crate) String);

/// Refuses calls without a token that it knows, before anything of their message is read.
pub(crate) struct BearerToken;

impl Gate for BearerToken {
    async fn gate(&self, head: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
        let header = head.headers().get(AUTHORIZATION);
        let token = header
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| {
                Error::unauthenticated("call with the header `authorization: Bearer …`")
            })?;
        let author = check(token).await?;
        head.extensions_mut().insert(author);
        Ok(())
    }
}

/// Stands for a look-up in a database, or the check of a signed token's signature, audience and time.
async fn check(token: &str) -> Result<Author, Error> {
    match token {
        "token-of-ada" => Ok(Author("Ada".into())),
        _ => Err(Error::unauthenticated("the token is not known")),
    }
}
