//! Requests that are made anew at each try.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use netcomm_core::{Attempt, Error, ErrorKind, GaveUp, Reconnect, Result};
use netcomm_sse::Request;

use crate::stage::{Reply, SECOND, Server, data, events, fails, pass, status, stays};

/// What each try was told: its number, whether new credentials are wanted, and what ended the last one.
type Told = Arc<Mutex<Vec<(u32, bool, Option<ErrorKind>)>>>;

fn told(attempt: &Attempt, told: &Told) -> usize {
    let mut told = told.lock().expect("held shortly");
    told.push((attempt.number, attempt.refresh, attempt.cause.as_ref().map(Error::kind)));
    told.len()
}

#[tokio::test(start_paused = true)]
async fn each_try_is_prepared_and_told_why_there_is_one() -> Result<()> {
    let server = Server::replies([
        Reply::Fail(ErrorKind::Connect),
        status(401),
        status(503),
        events("id: 1\ndata: a\n\n"),
        stays("data: b\n\n"),
    ]);
    let seen = Told::default();
    let prepare = {
        let seen = Arc::clone(&seen);
        move |request: Request, attempt: Attempt| {
            let number = told(&attempt, &seen);
            async move {
                pass(SECOND).await;
                Ok(request.header("authorization", format!("Bearer {number}")).url(format!("http://s{number}.test/")))
            }
        }
    };
    let mut stream = server.builder().prepare(prepare).stream()?;
    assert_eq!((data(&mut stream).await, data(&mut stream).await), ("a".to_owned(), "b".to_owned()));
    assert_eq!(
        *seen.lock().expect("held shortly"),
        [
            (1, false, None),
            (2, false, Some(ErrorKind::Connect)),
            (3, true, Some(ErrorKind::Status)),
            (4, false, Some(ErrorKind::Status)),
            (5, false, Some(ErrorKind::Closed)),
        ]
    );
    for (at, asked) in server.asked().iter().enumerate() {
        assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {}", at + 1)));
        assert_eq!(asked.url, format!("http://s{}.test/", at + 1));
    }
    assert_eq!(server.ids()[4], "1");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_asked_for_once() -> Result<()> {
    for code in [401, 403] {
        let server = Server::new(move |_| status(code));
        let seen = Told::default();
        let prepare = {
            let seen = Arc::clone(&seen);
            move |request: Request, attempt: Attempt| {
                told(&attempt, &seen);
                async move { Ok(request) }
            }
        };
        let error = fails(&mut server.builder().prepare(prepare).stream()?).await;
        assert_eq!(error.status().map(|status| status.as_u16()), Some(code));
        assert_eq!((error.gave_up(), server.times()), (Some(GaveUp::Final), 2));
        assert_eq!(*seen.lock().expect("held shortly"), [(1, false, None), (2, true, Some(ErrorKind::Status))]);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn without_anybody_who_has_others_credentials_are_final() -> Result<()> {
    let server = Server::new(|_| status(401));
    let error = fails(&mut server.stream()).await;
    assert_eq!((error.gave_up(), server.times()), (Some(GaveUp::Final), 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn after_a_stream_credentials_may_be_asked_for_again() -> Result<()> {
    let server = Server::new(|asked| {
        if asked.number % 2 == 0 { status(401) } else { events(format!("data: {}\n\n", asked.number)).wait(6 * SECOND) }
    });
    let prepare = |request: Request, _: Attempt| async move { Ok(request) };
    let mut stream = server.builder().prepare(prepare).stream()?;
    for number in [1, 3, 5, 7] {
        assert_eq!(data(&mut stream).await, number.to_string());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn preparing_has_its_time_and_its_errors_are_those_of_a_try() -> Result<()> {
    let server = Server::replies([stays("data: x\n\n")]);
    let hangs = |request: Request, attempt: Attempt| async move {
        match attempt.number {
            1 => std::future::pending().await,
            2 => Err(Error::new(ErrorKind::Io, "read token")),
            _ => Ok(request),
        }
    };
    let before = tokio::time::Instant::now();
    let reconnect = Reconnect::default().first(Duration::ZERO);
    let mut stream = server.builder().prepare(hangs).open_timeout(9 * SECOND).reconnect(reconnect).stream()?;
    assert_eq!(data(&mut stream).await, "x");
    assert!((9 * SECOND..=10 * SECOND).contains(&before.elapsed()), "{:?}", before.elapsed());

    let never = |_: Request, _: Attempt| async { Err::<Request, _>(Error::new(ErrorKind::User, "read token")) };
    let error = fails(&mut Server::replies([]).builder().prepare(never).stream()?).await;
    assert_eq!((error.kind(), error.gave_up()), (ErrorKind::User, Some(GaveUp::Final)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_body_can_be_prepared_each_time() -> Result<()> {
    let server = Server::replies([events(""), stays("data: x\n\n")]);
    let prepare = |request: Request, attempt: Attempt| async move {
        Ok(request.method(http::Method::POST).body(format!("try {}", attempt.number)))
    };
    let mut stream = server.builder().prepare(prepare).stream()?;
    assert_eq!(data(&mut stream).await, "x");
    let bodies: Vec<_> = server.asked().iter().map(|asked| asked.body.clone()).collect();
    assert_eq!(bodies, ["try 1", "try 2"]);
    Ok(())
}
