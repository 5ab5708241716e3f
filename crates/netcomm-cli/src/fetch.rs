//! One call from the options to the exit code.

use std::path::Path;
use std::process::ExitCode;

use http::Method;
use netcomm::Result;
use netcomm::http::cache::CacheStatus;
use netcomm::http::{Attempt, RequestBuilder, Response, TimingWatch};
use serde_json::{Map, Value, json};

use crate::args::Fetch;
use crate::cache::{self, Kept};
use crate::partial::{Partial, Place};
use crate::progress::Bar;
use crate::{client, exit, json, output, request, waterfall};

/// What has become known of a call, however it ends.
#[derive(Default)]
struct Known {
    head: Map<String, Value>,
    timing: Option<TimingWatch>,
    attempts: Vec<Attempt>,
    cache: Option<CacheStatus>,
    kept: Option<Kept>,
    body: Option<Value>,
}

/// Makes the call and tells how it went.
pub(crate) async fn run(method: Method, args: &Fetch) -> ExitCode {
    let mut known = Known::default();
    let mut outcome = call(method, args, &mut known).await;
    if let Some(kept) = known.kept {
        kept.close().await;
    }
    let timing = known.timing.as_ref().map(TimingWatch::get);
    if args.show.json {
        let mut object = known.head;
        object.extend(timing.as_ref().map(|timing| ("timing".to_owned(), json::timing(timing))));
        object.extend(known.body.map(|body| ("body".to_owned(), body)));
        object.extend(outcome.as_ref().err().map(|error| ("error".to_owned(), json::error(error))));
        outcome = output::print(&format!("{}\n", Value::Object(object))).and(outcome);
    } else if let Err(error) = &outcome {
        output::tell(&exit::describe(error));
    }
    if let Some(timing) = timing.filter(|_| args.show.timing) {
        output::tell(&waterfall::attempts(&known.attempts));
        output::tell(&waterfall::render(&timing));
        if let Some(status) = &known.cache {
            output::tell(&cache::line(status));
        }
    }
    outcome.map_or_else(|error| exit::code(&error), |()| ExitCode::SUCCESS)
}

async fn call(method: Method, args: &Fetch, known: &mut Known) -> Result<()> {
    let show = &args.show;
    let is_head = method == Method::HEAD;
    let (client, kept) = client::build(args).await?;
    known.kept = kept;
    let request = request::build(&client, method, args).await?;
    let file = show.output.as_deref().filter(|file| *file != Path::new("-"));
    match file {
        Some(file) => download(request, args, file, known).await,
        None => {
            let response = answer(request.send().await?, args, known)?;
            if show.json {
                known.body = Some(json::body(&response.bytes().await?));
                return Ok(());
            }
            if show.include || is_head {
                output::print(&output::head(&response))?;
            }
            output::to_stdout(response, show.output.is_some()).await?;
            Ok(())
        }
    }
}

/// The call with a file as its aim.
async fn download(request: RequestBuilder, args: &Fetch, file: &Path, known: &mut Known) -> Result<()> {
    let partial = match args.show.resume {
        true => Some(Partial::find(file, &args.url).await?),
        false => None,
    };
    let request = match &partial {
        Some(partial) => partial.ask(request),
        None => request,
    };
    let bar = (!args.show.verbose).then(|| Bar::new(file));
    let request = match bar.clone() {
        Some(bar) => request.on_download(move |progress| bar.show(progress)),
        None => request,
    };
    let response = answer(request.send().await?, args, known)?;
    if args.show.include {
        output::print(&output::head(&response))?;
    }
    let place = match &partial {
        Some(partial) => partial.place(&response).await?,
        None => Place::Anew,
    };
    if let (Some(bar), Place::Behind(offset)) = (&bar, &place) {
        bar.start_at(*offset);
    }
    let outcome = output::to_file(response, file, &place).await;
    if let Some(bar) = bar {
        bar.stop();
    }
    known.body = Some(json!({ "bytes": outcome?, "file": file.display().to_string() }));
    match partial {
        Some(partial) => partial.forget().await,
        None => Ok(()),
    }
}

/// Notes what the response says; an error where `--fail` makes it one.
fn answer(response: Response, args: &Fetch, known: &mut Known) -> Result<Response> {
    known.head = json::head(&response);
    known.timing = Some(response.timing_watch());
    known.attempts = response.attempts().to_vec();
    known.cache = response.cache_status().copied();
    if args.show.fail { response.error_for_status() } else { Ok(response) }
}
