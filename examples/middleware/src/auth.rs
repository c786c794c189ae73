//! Who calls, by a bearer token.

use connect_tokio::Error;

/// The author of a note.
#[derive(Clone, Debug)]
pub(crate) struct Author(pub(crate) String);

/// Stands for a look-up in a database, or the check of a signed token's signature, audience and time.
pub(crate) async fn author(token: String) -> Result<Author, Error> {
    match &*token {
        "token-of-ada" => Ok(Author("Ada".into())),
        _ => Err(Error::unauthenticated("the token is not known")),
    }
}
