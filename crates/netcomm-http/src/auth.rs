//! Credentials: what is sent as `Authorization`, and to whom.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use http::HeaderValue;
use netcomm_core::{Clock, Error, ErrorKind, Event, Interest, Observation, Pattern, Result, Secret, Tap};

use crate::origin::Origin;

/// A token for `Authorization: Bearer` (RFC 6750).
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    expires: Option<Instant>,
}

impl Token {
    /// A token that is good until the server refuses it.
    pub fn new(secret: impl Into<Secret>) -> Self {
        Self { secret: secret.into(), expires: None }
    }

    /// The same, fetched anew from this time on, by the environment's clock.
    #[must_use]
    pub fn with_expiry(mut self, expires: Instant) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The secret itself.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// Where tokens come from.
pub trait ProvideToken: Send + Sync + 'static {
    /// A token. `rejected` is the one that the server has answered with 401, or that has expired.
    ///
    /// At most one such call is under way at a time for all calls of a client and its clones: the others wait for its
    /// outcome. If the call that caused it is called off, the next one that waits starts it again.
    ///
    /// # Errors
    ///
    /// The calls that wait fail with an error of kind `Auth` that has this one as its source.
    fn token(&self, rejected: Option<&Token>) -> impl Future<Output = Result<Token>> + Send;
}

type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<Token>> + Send + 'a>>;

trait ProvideTokenDyn: Send + Sync {
    fn token<'a>(&'a self, rejected: Option<&'a Token>) -> TokenFuture<'a>;
}

impl<T: ProvideToken> ProvideTokenDyn for T {
    fn token<'a>(&'a self, rejected: Option<&'a Token>) -> TokenFuture<'a> {
        Box::pin(ProvideToken::token(self, rejected))
    }
}

/// What a client proves itself with. Cheap to clone; clones share the token.
#[derive(Clone)]
pub struct Credentials {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Fixed(HeaderValue),
    Provided(Arc<Provided>),
}

struct Provided {
    provider: Box<dyn ProvideTokenDyn>,
    current: Mutex<Option<Current>>,
    refreshing: tokio::sync::Mutex<()>,
    /// How often the provider has answered, and what it said last if that was no token.
    answers: Mutex<(u64, Option<Arc<Error>>)>,
}

/// An error that several calls have in common.
#[derive(Debug)]
struct SharedError(Arc<Error>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

#[derive(Clone)]
struct Current {
    generation: u64,
    token: Token,
    value: HeaderValue,
}

impl Credentials {
    /// User name and password (RFC 7617), in UTF-8.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the name has a colon or either has a control character.
    pub fn basic(user: &str, password: &Secret) -> Result<Self> {
        if user.contains(':') || user.chars().chain(password.expose().chars()).any(char::is_control) {
            return Err(Error::new(ErrorKind::Invalid, "build credentials")
                .with_detail("a user name has no colon, and neither name nor password a control character"));
        }
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.expose()));
        Ok(Self { kind: Kind::Fixed(sensitive(&format!("Basic {text}"))?) })
    }

    /// A fixed bearer token (RFC 6750).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it cannot stand in a header field.
    pub fn bearer(token: &Secret) -> Result<Self> {
        Ok(Self { kind: Kind::Fixed(sensitive(&format!("Bearer {}", token.expose()))?) })
    }

    /// Bearer tokens from a provider, which is asked once for all calls whenever the server answers 401 or a token
    /// expires. A call that met 401 is sent once more with the new token.
    #[must_use]
    pub fn provider(provider: impl ProvideToken) -> Self {
        let provided = Provided {
            provider: Box::new(provider),
            current: Mutex::new(None),
            refreshing: tokio::sync::Mutex::new(()),
            answers: Mutex::new((0, None)),
        };
        Self { kind: Kind::Provided(Arc::new(provided)) }
    }

    /// The value that is always sent, if there is one.
    pub(crate) fn fixed(&self) -> Option<HeaderValue> {
        match &self.kind {
            Kind::Fixed(value) => Some(value.clone()),
            Kind::Provided(_) => None,
        }
    }

    /// The value to send now, and the generation of its token if another could be had.
    pub(crate) async fn value(&self, clock: &Arc<dyn Clock>, tap: &Tap) -> Result<(HeaderValue, Option<u64>)> {
        match &self.kind {
            Kind::Fixed(value) => Ok((value.clone(), None)),
            Kind::Provided(provided) => {
                let current = match provided.current() {
                    Some(current) if current.token.expires.is_none_or(|expires| clock.now() < expires) => current,
                    Some(stale) => provided.refresh(Some(stale.generation), clock, tap).await?,
                    None => provided.refresh(None, clock, tap).await?,
                };
                Ok((current.value, Some(current.generation)))
            }
        }
    }

    /// Fetches another token in place of the one of that generation, unless that has been done meanwhile.
    pub(crate) async fn refresh(&self, rejected: u64, clock: &Arc<dyn Clock>, tap: &Tap) -> Result<()> {
        match &self.kind {
            Kind::Fixed(_) => Ok(()),
            Kind::Provided(provided) => provided.refresh(Some(rejected), clock, tap).await.map(drop),
        }
    }
}

impl Provided {
    fn current(&self) -> Option<Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answers(&self) -> (u64, Option<Arc<Error>>) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(&self, rejected: Option<u64>, clock: &Arc<dyn Clock>, tap: &Tap) -> Result<Current> {
        let answers_before = self.answers().0;
        let turn = self.refreshing.lock().await;
        let known = self.current();
        if let Some(known) = &known
            && Some(known.generation) != rejected
        {
            return Ok(known.clone());
        }
        let failed = |error: Arc<Error>| {
            Error::new(ErrorKind::Auth, "get token")
                .with_detail("the token provider failed")
                .with_source(SharedError(error))
        };
        // Whoever waited while the provider was asked shares its answer; a call that comes later asks again.
        if let (answers, Some(error)) = self.answers()
            && answers != answers_before
        {
            return Err(failed(error));
        }
        let outcome = self.provider.token(known.as_ref().map(|known| &known.token)).await.map_err(Arc::new);
        tap.emit(Interest::DECISION, || Observation::new(clock.now(), Event::TokenRefreshed { ok: outcome.is_ok() }));
        {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            *answers = (answers.0 + 1, outcome.as_ref().err().cloned());
        }
        let token = outcome.map_err(failed)?;
        let value = sensitive(&format!("Bearer {}", token.secret.expose()))?;
        let current = Current { generation: known.map_or(0, |known| known.generation + 1), token, value };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current.clone());
        drop(turn);
        Ok(current)
    }
}

fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        // The library's error would be harmless, but nothing about a secret is best.
        Error::new(ErrorKind::Invalid, "build credentials").with_detail("a character that no header field can hold")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Fixed(_) => "Credentials(***)",
            Kind::Provided(_) => "Credentials(provider)",
        })
    }
}

/// Which credentials go to whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keyring(Vec<(Pattern, Credentials)>);

impl Keyring {
    pub(crate) fn add(&mut self, audience: Pattern, credentials: Credentials) {
        self.0.push((audience, credentials));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first credentials whose audience includes the resource.
    pub(crate) fn find(&self, origin: &Origin, path: &str) -> Option<&Credentials> {
        self.0
            .iter()
            .find(|(audience, _)| audience.matches(origin.scheme(), origin.host(), origin.port(), path))
            .map(|(_, credentials)| credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_of_rfc_7617() {
        let credentials = Credentials::basic("test", &Secret::from("123£")).expect("credentials");
        let Kind::Fixed(value) = &credentials.kind else { unreachable!("basic credentials are fixed") };
        assert_eq!(value, "Basic dGVzdDoxMjPCow==");
        assert!(value.is_sensitive());
        assert_eq!(format!("{credentials:?}"), "Credentials(***)");
        assert!(Credentials::basic("a:b", &Secret::from("x")).is_err());
        assert!(Credentials::bearer(&Secret::from("a\r\nb")).is_err());
    }

    #[test]
    fn credentials_go_to_their_audience_alone() {
        let mut keyring = Keyring::default();
        let bearer = Credentials::bearer(&Secret::from("t")).expect("credentials");
        keyring.add("api.example/v1/".parse().expect("pattern"), bearer);
        let find = |text: &str| {
            let uri: http::Uri = text.parse().expect(text);
            keyring.find(&Origin::of(&uri).expect("origin"), uri.path()).is_some()
        };
        assert!(find("https://api.example/v1/x"));
        assert!(!find("http://api.example/v1/x") && !find("https://api.example/v2") && !find("https://b.example/v1/x"));
    }
}
