//! A gate that asks for a bearer token.

use std::{fmt, future::Future};

use connect_proto::{CallPolicy, Code, Error};
use http::{HeaderMap, HeaderValue, header};

use crate::server::gate::{CallHead, Gate};

/// A gate that lets in calls with a token, and leaves what is known of the caller for the handler: see [`bearer`].
pub struct Bearer<F> {
    verify: F,
}

/// A [`Gate`] that takes the token out of `authorization: Bearer …` (RFC 6750, section 2.1), and asks the function whose it
/// is. What that answers with is in the extensions of the handler's request.
///
/// The function looks the token up, or checks its signature, audience and time; where it compares secrets, in constant
/// time. Its error is what the caller gets. A call without a token, with several or with a broken one is `unauthenticated`; that
/// error says in `www-authenticate` what is asked for (RFC 6750, section 3), and so does the function's if it is of that code.
///
/// ```
/// use connect_tower::{Error, Request, Router, bearer};
///
/// #[derive(Clone)]
/// struct User(String);
///
/// async fn verify(token: String) -> Result<User, Error> {
///     // Stands for a look-up in a database.
///     match token.as_str() {
///         "token-of-ada" => Ok(User("Ada".into())),
///         _ => Err(Error::unauthenticated("the token is not known")),
///     }
/// }
///
/// let router = Router::new().add_gate(bearer(verify));
///
/// // In a handler:
/// fn user<T>(request: &Request<T>) -> Option<&User> {
///     request.extensions().get()
/// }
/// ```
pub const fn bearer<F, Fut, I>(verify: F) -> Bearer<F>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<I, Error>> + Send,
    I: Clone + Send + Sync + 'static,
{
    Bearer { verify }
}

impl<F, Fut, I> Gate for Bearer<F>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<I, Error>> + Send,
    I: Clone + Send + Sync + 'static,
{
    async fn gate(&self, head: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
        let token = token(head.headers())?;
        let caller = (self.verify)(token).await.map_err(|error| {
            let refused = error.code() == Code::Unauthenticated;
            if refused && !error.metadata().contains_key(header::WWW_AUTHENTICATE) {
                return challenge(error, "Bearer error=\"invalid_token\"");
            }
            error
        })?;
        head.extensions_mut().insert(caller);
        Ok(())
    }
}

/// The one token of a request.
fn token(headers: &HeaderMap) -> Result<String, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        let error =
            Error::unauthenticated("call with a token, in the header `authorization: Bearer …`");
        return Err(challenge(error, "Bearer"));
    };
    let token = value
        .to_str()
        .ok()
        .and_then(read)
        .filter(|_| values.next().is_none());
    token.map(String::from).ok_or_else(|| {
        let error =
            Error::unauthenticated("call with one token, in one header `authorization: Bearer …`");
        challenge(error, "Bearer error=\"invalid_request\"")
    })
}

/// The token of a value: after the scheme, in any case, and spaces (RFC 9110, section 11.4), in characters of RFC 6750, section
/// 2.1.
fn read(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let is_token = !token.is_empty() && token.bytes().all(allowed);
    (scheme.eq_ignore_ascii_case("bearer") && is_token).then_some(token)
}

fn challenge(mut error: Error, text: &'static str) -> Error {
    let mut metadata = HeaderMap::new();
    metadata.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(text));
    error.add_metadata(metadata);
    error
}

impl<F> fmt::Debug for Bearer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").finish_non_exhaustive()
    }
}
