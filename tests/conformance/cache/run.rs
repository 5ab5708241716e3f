//! Plays cases: the requests of one in their order, many cases at the same time.

use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use netcomm_core::ErrorKind;
use netcomm_http::{Client, Request, RequestBuilder};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::case::{Case, Step, Text};
use crate::check::{self, Failure};
use crate::profile::Profile;
use crate::seen::{Recorded, Seen};
use crate::{client, latin};

/// How long a case waits where it says so: long enough that a lifetime of two seconds is over.
const PAUSE: Duration = Duration::from_secs(3);

/// What became of a case.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) failure: Option<Failure>,
    /// The requests as they were handed to the client.
    pub(crate) sent: Vec<String>,
    /// What came of each.
    pub(crate) seen: Vec<Seen>,
    /// What the origin says that it saw.
    pub(crate) state: Value,
}

/// Cases under way.
pub(crate) struct Run {
    profile: Profile,
    cases: Vec<Arc<Case>>,
    tasks: JoinSet<(String, Outcome)>,
}

/// Cases that were played, and what became of each by its name.
pub(crate) struct Played {
    pub(crate) profile: Profile,
    pub(crate) cases: Vec<Arc<Case>>,
    pub(crate) outcomes: BTreeMap<String, Outcome>,
}

impl Run {
    pub(crate) fn start(
        profile: Profile,
        client: &Client,
        origin: &str,
        cases: Vec<Arc<Case>>,
        at_once: usize,
    ) -> Self {
        let room = Arc::new(Semaphore::new(at_once.max(1)));
        let mut tasks = JoinSet::new();
        for case in &cases {
            let play =
                Play { case: Arc::clone(case), base: origin.to_owned(), uuid: uuid(), client: client.clone(), profile };
            let room = Arc::clone(&room);
            tasks.spawn(async move {
                let _turn = room.acquire().await;
                (play.case.id.clone(), play.play().await)
            });
        }
        Self { profile, cases, tasks }
    }

    /// Waits for the last of them.
    pub(crate) async fn finish(mut self) -> Result<Played, Box<dyn Error>> {
        let mut outcomes = BTreeMap::new();
        while let Some(done) = self.tasks.join_next().await {
            let (id, outcome) = done?;
            if outcomes.insert(id.clone(), outcome).is_some() {
                return Err(format!("two cases are called {id}").into());
            }
        }
        Ok(Played { profile: self.profile, cases: self.cases, outcomes })
    }
}

/// A name that no other run of a case has.
fn uuid() -> String {
    // Seeded anew each time, as `RandomState` is.
    let part = || RandomState::new().hash_one(0);
    let (high, low) = (part(), part());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// One case on its way.
struct Play {
    case: Arc<Case>,
    base: String,
    uuid: String,
    client: Client,
    profile: Profile,
}

impl Play {
    async fn play(self) -> Outcome {
        let mut outcome = Outcome { failure: None, sent: Vec::new(), seen: Vec::new(), state: Value::Null };
        outcome.failure = self.whole(&mut outcome).await.err();
        outcome
    }

    async fn whole(&self, outcome: &mut Outcome) -> Result<(), Failure> {
        self.put_config().await?;
        for (number, step) in (1..).zip(&self.case.steps) {
            let interim = Arc::<Mutex<Vec<_>>>::default();
            let teller = Arc::clone(&interim);
            let request = self.request(number, step, outcome.seen.last())?.on_interim(move |status, headers| {
                teller.lock().unwrap_or_else(PoisonError::into_inner).push((status.as_u16(), headers.clone()));
            });
            let request = request.build().map_err(|error| Failure::broken(error.to_string()))?;
            outcome.sent.push(told(&request));
            let mut seen = send(&self.client, request, step).await?;
            seen.interim = std::mem::take(&mut *interim.lock().unwrap_or_else(PoisonError::into_inner));
            let checked = check::response(number, step, &seen, &self.uuid);
            outcome.seen.push(seen);
            if checked.is_err() {
                // For whoever looks into it.
                outcome.state = self.state().await.unwrap_or_default();
            }
            checked?;
            if step.pause_after {
                tokio::time::sleep(PAUSE).await;
            }
        }
        outcome.state = self.state().await?;
        let recorded: Vec<Recorded> = match &outcome.state {
            Value::Null => Vec::new(),
            state => {
                serde_json::from_value(state.clone()).map_err(|error| Failure::broken(format!("state: {error}")))?
            }
        };
        check::origin(&self.case.steps, &outcome.seen, &recorded)
    }

    /// Tells the origin what to answer; by way of the cache, as all that follows.
    async fn put_config(&self) -> Result<(), Failure> {
        let request = self.client.put(format!("{}/config/{}", self.base, self.uuid).as_str());
        let request = request.header("Content-Type", "application/json").body(self.case.config.to_string());
        let response = request.send().await.map_err(|error| Failure::broken(format!("PUT config: {error}")))?;
        match response.status().as_u16() {
            201 => Ok(()),
            status => Err(Failure::setup(format!("PUT config resulted in {status}"))),
        }
    }

    async fn state(&self) -> Result<Value, Failure> {
        let broken = |error: String| Failure::broken(format!("GET state: {error}"));
        let request = self.client.get(format!("{}/state/{}", self.base, self.uuid).as_str());
        let response = request.send().await.map_err(|error| broken(error.to_string()))?;
        if response.status() != 200 {
            return Ok(Value::Null);
        }
        let text = response.text().await.map_err(|error| broken(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| broken(error.to_string()))
    }

    fn request(&self, number: usize, step: &Step, previous: Option<&Seen>) -> Result<RequestBuilder, Failure> {
        let mut url = format!("{}/test/{}", self.base, self.uuid);
        if let Some(filename) = &step.filename {
            url += &format!("/{filename}");
        }
        if let Some(query) = &step.query_arg {
            url += &format!("?{query}");
        }
        let method = step.request_method.as_deref().unwrap_or("GET");
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| Failure::broken(error.to_string()))?;
        let mut request = self.client.request(method, url.as_str());
        let own =
            [("Test-Name", self.case.name.clone()), ("Test-ID", self.case.id.clone()), ("Req-Num", number.to_string())];
        let standing = self.profile.standing_fields().iter().map(|(name, value)| (*name, (*value).to_owned()));
        let asked = step.request_headers.iter().map(|(name, value)| (name.as_str(), text(name, value, step, previous)));
        for (name, value) in standing.chain(asked).chain(own) {
            let value = latin::value(&value).map_err(|error| Failure::broken(format!("{name}: {error}")))?;
            request = request.header_append(name, value);
        }
        if let Some(body) = &step.request_body {
            request = request.body(body.clone());
        }
        if let Some(mode) = &step.cache {
            request = client::mode(request, mode);
        }
        Ok(request)
    }
}

/// A value as it is to be sent: of conditions a date, if the case has magic in it.
fn text(name: &str, value: &Text, step: &Step, previous: Option<&Seen>) -> String {
    match (value, previous) {
        (Text::Plain(text), _) => text.clone(),
        (Text::Offset(offset), Some(previous)) if step.magic_ims => check::dated(name, *offset, step, previous),
        (Text::Offset(offset), _) => offset.to_string(),
    }
}

/// The request as it is handed to the client.
fn told(request: &Request) -> String {
    let line = format!("{} {}\n", request.method(), request.uri());
    request.headers().iter().fold(line, |told, (name, value)| told + &format!("    {name}: {}\n", latin::text(value)))
}

/// Sends it, and takes all that comes.
async fn send(client: &Client, request: Request, step: &Step) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    let outcome = async {
        let response = client.execute(request).await?;
        seen.status = response.status().as_u16();
        seen.headers = response.headers().clone();
        seen.body = String::from_utf8_lossy(&response.bytes().await?).into_owned();
        Ok::<_, netcomm_core::Error>(())
    }
    .await;
    match outcome {
        Ok(()) => Ok(seen),
        Err(error) if step.disconnect && error.kind() != ErrorKind::Timeout => {
            Ok(Seen { cut: Some(error.to_string()), ..seen })
        }
        Err(error) => Err(Failure::broken(error.to_string())),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::case::{Kind, cases};
    use crate::check::Class;

    /// Cases as if they had been played: name, kind, what it depends on, what became of it.
    pub(crate) fn played(outcomes: &[(&str, Kind, &[&str], &str)]) -> Played {
        let tests: Vec<_> = outcomes
            .iter()
            .map(|(id, kind, depends_on, _)| {
                json!({ "id": id, "name": "", "kind": kind.name(), "depends_on": depends_on, "requests": [] })
            })
            .collect();
        let outcomes = outcomes.iter().map(|(id, _, _, what)| {
            let class = match *what {
                "passed" => None,
                "setup" => Some(Class::Setup),
                "broken" => Some(Class::Broken),
                _ => Some(Class::Assertion),
            };
            let failure = class.map(|class| Failure { class, message: format!("{id} did not") });
            ((*id).to_owned(), Outcome { failure, sent: Vec::new(), seen: Vec::new(), state: Value::Null })
        });
        Played { profile: Profile::Private, cases: cases(&json!(tests)), outcomes: outcomes.collect() }
    }

    #[test]
    fn each_run_has_a_name_of_its_own() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{one}");
    }

    #[test]
    fn dates_of_conditions_are_counted_from_the_response_before() {
        let step = |magic: bool| Step { magic_ims: magic, ..Step::default() };
        let headers = http::HeaderMap::from_iter([("server-now".parse().unwrap(), "784111777000".parse().unwrap())]);
        let previous = Seen { headers, ..Seen::default() };
        let value = |step: &Step| text("If-Modified-Since", &Text::Offset(-37), step, Some(&previous));
        assert_eq!(value(&step(true)), "Sun, 06 Nov 1994 08:49:00 GMT");
        assert_eq!(value(&step(false)), "-37");
        let old = Step { rfc850date: vec!["if-modified-since".to_owned()], ..step(true) };
        assert_eq!(value(&old), "Sunday, 06-Nov-94 08:49:00 GMT");
    }
}
