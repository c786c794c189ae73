//! gRPC's service config in JSON.

use std::{collections::BTreeMap, time::Duration};

use connect_codec::{
    json::{self, JsonOptions},
    prost_types::{Value, value::Kind},
};
use connect_proto::{Code, Error};

use super::{
    config::{MethodConfig, ServiceConfig},
    rules::{HedgePolicy, RetryPolicy},
    throttle::RetryThrottle,
};

impl ServiceConfig {
    /// Reads gRPC's service config, a JSON object: `methodConfig` with `name`, `timeout`, `waitForReady`, `retryPolicy` and
    /// `hedgingPolicy`, and `retryThrottling` (gRFC A6, "Integration with Service Config"). Other fields are ignored. Codes are
    /// names or numbers, and durations text, such as `"0.1s"`.
    ///
    /// There retries and hedges are for the methods that are named, whether idempotent or not, as in gRPC: see
    /// [`RetryPolicy::with_any_method`]. Without `retryThrottling` there is no throttle.
    ///
    /// # Errors
    ///
    /// `invalid_argument`, naming the field.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        read(text)
    }
}

/// Errors name the field.
fn read(text: &str) -> Result<ServiceConfig, Error> {
    let value: Value = json::from_slice(text.as_bytes(), &JsonOptions::default())
        .map_err(|error| Error::invalid_argument(format!("service config: {error}")))?;
    let root = Field::root(&value);
    let mut config = ServiceConfig::new().with_throttle(None);
    for method in root.list("methodConfig")? {
        let settings = method_config(&method)?;
        let names = method.list("name")?;
        if names.is_empty() {
            return Err(method.error("needs a field \"name\" with at least one entry"));
        }
        for name in names {
            let key = name_of(&name)?;
            if config.has(&key) {
                return Err(name.error("is named twice"));
            }
            config = config.insert(key, settings.clone());
        }
    }
    match root.optional("retryThrottling") {
        Some(throttling) => Ok(config.with_throttle(throttle(&throttling)?)),
        None => Ok(config),
    }
}

/// How [`ServiceConfig`] names procedures.
fn name_of(name: &Field<'_>) -> Result<String, Error> {
    let text = |field| name.optional(field).map(|it| it.text()).transpose();
    let service = text("service")?.unwrap_or_default();
    let method = text("method")?.unwrap_or_default();
    match (service, method) {
        ("", "") => Ok(String::new()),
        ("", _) => Err(name.error("has a method, and no service")),
        (service, method) => Ok(format!("{service}/{method}")),
    }
}

fn method_config(method: &Field<'_>) -> Result<MethodConfig, Error> {
    let mut config = MethodConfig::new();
    if let Some(timeout) = method.optional("timeout") {
        config = config.with_timeout(timeout.duration()?);
    }
    if let Some(wait) = method.optional("waitForReady") {
        config = config.with_wait_for_ready(wait.bool()?);
    }
    match (
        method.optional("retryPolicy"),
        method.optional("hedgingPolicy"),
    ) {
        (Some(_), Some(_)) => {
            Err(method.error("has both a retryPolicy and a hedgingPolicy; one of them is allowed"))
        }
        (Some(retry), None) => Ok(config.with_retry(retry_policy(&retry)?)),
        (None, Some(hedge)) => Ok(config.with_hedge(hedge_policy(&hedge)?)),
        (None, None) => Ok(config),
    }
}

/// gRFC A6, "Retry Policy".
fn retry_policy(policy: &Field<'_>) -> Result<RetryPolicy, Error> {
    let multiplier = policy.required("backoffMultiplier")?;
    let codes = policy.required("retryableStatusCodes")?;
    let retryable = codes.codes()?;
    if retryable.is_empty() {
        return Err(codes.error("must not be empty"));
    }
    Ok(RetryPolicy::new()
        .with_max_attempts(max_attempts(policy)?)
        .with_initial_backoff(policy.required("initialBackoff")?.positive_duration()?)
        .with_max_backoff(policy.required("maxBackoff")?.positive_duration()?)
        .with_backoff_multiplier(multiplier.positive()?)
        .with_codes(retryable)
        .with_any_method(true))
}

/// gRFC A6, "Hedging Policy".
fn hedge_policy(policy: &Field<'_>) -> Result<HedgePolicy, Error> {
    let delay = policy.optional("hedgingDelay").map(|it| it.duration());
    let codes = policy.optional("nonFatalStatusCodes").map(|it| it.codes());
    Ok(HedgePolicy::new()
        .with_max_attempts(max_attempts(policy)?)
        .with_delay(delay.transpose()?.unwrap_or_default())
        .with_non_fatal_codes(codes.transpose()?.unwrap_or_default())
        .with_any_method(true))
}

/// More than five count as five.
fn max_attempts(policy: &Field<'_>) -> Result<u32, Error> {
    let field = policy.required("maxAttempts")?;
    let number = field.number()?;
    if number.fract() != 0.0 || number < 2.0 {
        return Err(field.error("must be a whole number of at least 2"));
    }
    let is_it = |attempts: &u32| f64::from(*attempts) == number;
    Ok((2..=4).find(is_it).unwrap_or(5))
}

/// gRFC A6, "Throttling Configuration".
fn throttle(throttling: &Field<'_>) -> Result<RetryThrottle, Error> {
    let max_tokens = throttling.required("maxTokens")?;
    let tokens = max_tokens.positive()?;
    if tokens > 1_000.0 {
        return Err(max_tokens.error("must be at most 1000"));
    }
    let ratio = throttling.required("tokenRatio")?.positive()?;
    Ok(RetryThrottle::new()
        .with_max_tokens(tokens)
        .with_token_ratio(ratio))
}

/// A value, and where it stands.
struct Field<'a> {
    path: String,
    kind: Option<&'a Kind>,
}

impl<'a> Field<'a> {
    fn root(value: &'a Value) -> Self {
        Self {
            path: String::new(),
            kind: value.kind.as_ref(),
        }
    }

    fn error(&self, what: &str) -> Error {
        let path = match &*self.path {
            "" => "the config",
            path => path,
        };
        Error::invalid_argument(format!("service config: {path} {what}"))
    }

    fn fields(&self) -> Option<&'a BTreeMap<String, Value>> {
        match self.kind {
            Some(Kind::StructValue(fields)) => Some(&fields.fields),
            _ => None,
        }
    }

    /// A field of an object, unless it is null.
    fn optional(&self, name: &str) -> Option<Self> {
        let kind = self.fields()?.get(name)?.kind.as_ref();
        let dot = if self.path.is_empty() { "" } else { "." };
        match kind {
            Some(Kind::NullValue(_)) | None => None,
            kind => Some(Self {
                path: format!("{}{dot}{name}", self.path),
                kind,
            }),
        }
    }

    fn required(&self, name: &str) -> Result<Self, Error> {
        match (self.fields(), self.optional(name)) {
            (None, _) => Err(self.error("must be an object")),
            (_, None) => Err(self.error(&format!("needs a field {name:?}"))),
            (_, Some(field)) => Ok(field),
        }
    }

    /// The entries of a list, all of which are objects.
    fn list(&self, name: &str) -> Result<Vec<Self>, Error> {
        if self.fields().is_none() {
            return Err(self.error("must be an object"));
        }
        let Some(list) = self.optional(name) else {
            return Ok(Vec::new());
        };
        let entries = list.entries()?;
        match entries.iter().find(|entry| entry.fields().is_none()) {
            Some(entry) => Err(entry.error("must be an object")),
            None => Ok(entries),
        }
    }

    fn entries(&self) -> Result<Vec<Self>, Error> {
        let Some(Kind::ListValue(list)) = self.kind else {
            return Err(self.error("must be a list"));
        };
        let entry = |(index, value): (usize, &'a Value)| Self {
            path: format!("{}[{index}]", self.path),
            kind: value.kind.as_ref(),
        };
        Ok(list.values.iter().enumerate().map(entry).collect())
    }

    fn text(&self) -> Result<&'a str, Error> {
        match self.kind {
            Some(Kind::StringValue(text)) => Ok(text),
            _ => Err(self.error("must be text")),
        }
    }

    fn bool(&self) -> Result<bool, Error> {
        match self.kind {
            Some(Kind::BoolValue(value)) => Ok(*value),
            _ => Err(self.error("must be true or false")),
        }
    }

    fn number(&self) -> Result<f64, Error> {
        match self.kind {
            Some(Kind::NumberValue(number)) => Ok(*number),
            _ => Err(self.error("must be a number")),
        }
    }

    fn positive(&self) -> Result<f64, Error> {
        match self.number()? {
            number if number > 0.0 => Ok(number),
            _ => Err(self.error("must be above 0")),
        }
    }

    /// The JSON of `google.protobuf.Duration`; gRFC A6 also leaves the zero before the point out.
    fn duration(&self) -> Result<Duration, Error> {
        let seconds = self.text()?.strip_suffix('s').filter(|text| {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let points = text.bytes().filter(|byte| *byte == b'.').count();
            digits > 0 && points <= 1 && digits + points == text.len()
        });
        seconds
            .and_then(|text| Duration::try_from_secs_f64(text.parse().ok()?).ok())
            .ok_or_else(|| self.error("must be a duration in seconds, such as \"0.1s\""))
    }

    fn positive_duration(&self) -> Result<Duration, Error> {
        match self.duration()? {
            Duration::ZERO => Err(self.error("must be above \"0s\"")),
            duration => Ok(duration),
        }
    }

    fn codes(&self) -> Result<Vec<Code>, Error> {
        self.entries()?.iter().map(Self::code).collect()
    }

    /// A code by gRPC's name, in any case, or number.
    fn code(&self) -> Result<Code, Error> {
        let code = match self.kind {
            Some(Kind::StringValue(name)) => match &*name.to_ascii_lowercase() {
                // Connect's name has one l less.
                "cancelled" => Some(Code::Canceled),
                name => name.parse().ok(),
            },
            Some(Kind::NumberValue(number)) => {
                let is_it = |code: &Code| f64::from(code.number()) == *number;
                Code::ALL.into_iter().find(is_it)
            }
            _ => None,
        };
        code.ok_or_else(|| {
            self.error(
                "must be a status code other than OK: a name, such as \"UNAVAILABLE\", or a number",
            )
        })
    }
}
