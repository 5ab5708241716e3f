//! Events over any number of connections, each cut somewhere: none lost, none twice.

use std::time::Duration;

use netcomm_core::{ErrorKind, Random, Reconnect};
use netcomm_sse::{Block, Event};

use crate::stage::{Asked, Reply, Server, Step, ends, env, events};

const LIVES: u64 = 200;
pub(crate) const EVENTS: usize = 60;

/// What a server has to say, one block for each event: of any shape that carries its number as its id.
pub(crate) fn blocks(random: &Random) -> Vec<Vec<u8>> {
    (0..EVENTS)
        .map(|number| {
            let block = Block::new().id(format!("{number}…")).data(format!("data\n{number}"));
            let block = match random.next_u64() % 4 {
                0 => block.event_type("tick"),
                1 => block.comment("not an event"),
                2 => block.retry(Duration::from_millis(random.next_u64() % 3000)),
                _ => block,
            };
            let text = String::from_utf8(block.encode().expect("valid").to_vec()).expect("text");
            let end = ["\n", "\r", "\r\n"][random.next_u64() as usize % 3];
            text.replace('\n', end).into_bytes()
        })
        .collect()
}

/// What comes behind the id that was asked for, cut at any byte, in pieces of any size, with waits anywhere.
pub(crate) fn reply(asked: &Asked, blocks: &[Vec<u8>], random: &Random) -> Reply {
    let pick = |below: u64| (random.next_u64() % below.max(1)) as usize;
    match pick(12) {
        0 => return Reply::Fail(ErrorKind::Connect),
        1 => return crate::stage::status(503),
        _ => {}
    }
    let next = asked.id().map_or(0, |id| id.trim_end_matches('…').parse::<usize>().expect("a number") + 1);
    let mut bytes: Vec<u8> = if pick(3) == 0 { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    bytes.extend(blocks[next..].concat());
    let whole = next == blocks.len() || pick(5) == 0;
    bytes.truncate(if whole { bytes.len() } else { pick(bytes.len() as u64 + 1) });
    let mut reply = events("");
    while !bytes.is_empty() {
        let size = (1 + pick(if pick(2) == 0 { 3 } else { 500 })).min(bytes.len());
        reply = reply.give(bytes.drain(..size).collect::<Vec<_>>());
        if pick(4) == 0 {
            reply = reply.wait(Duration::from_millis(random.next_u64() % 9000));
        }
    }
    match pick(4) {
        0 => reply.then(Step::Fail(ErrorKind::Io)),
        1 => reply.then(Step::Hang),
        _ => reply,
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_lives() {
    let (mut streams, mut cuts) = (0, 0);
    for life in 0..LIVES {
        let random = Random::seeded(life);
        let said = blocks(&random);
        let server = Server::new({
            let random = random.clone();
            move |asked| reply(asked, &said, &random)
        });
        let mut stream = server
            .builder_in(&env().with_random(random))
            .reconnect(Reconnect::default())
            .idle_timeout(Duration::from_secs(10))
            .stream()
            .expect("a stream");
        let mut came: Vec<Event> = Vec::new();
        while came.len() < EVENTS {
            came.push(ends(stream.next()).await.expect("more comes").expect("no error"));
        }
        for (number, event) in came.iter().enumerate() {
            assert_eq!(event.data, format!("data\n{number}").as_str(), "life {life}");
            assert_eq!(event.id, format!("{number}…").as_str(), "life {life}");
        }
        assert_eq!(stream.last_event_id(), format!("{}…", EVENTS - 1));
        let counts = stream.counts();
        assert_eq!((counts.attempts, counts.events), (server.times() as u64, EVENTS as u64));
        streams += counts.streams;
        cuts += counts.attempts - counts.streams;
    }
    assert!(streams > 4 * LIVES && cuts > LIVES / 2, "{streams} streams and {cuts} refusals try nothing");
}

#[tokio::test(start_paused = true)]
async fn dropping_next_at_any_moment_loses_nothing() {
    let random = Random::seeded(3);
    let said = blocks(&random);
    let server = Server::new({
        let random = random.clone();
        move |asked| reply(asked, &said, &random)
    });
    let mut stream = server.builder().idle_timeout(Duration::from_secs(10)).stream().expect("a stream");
    let mut came = 0;
    while came < EVENTS {
        // Most of these are dropped while they wait for something.
        let short = Duration::from_millis(random.next_u64() % 300);
        if let Ok(next) = tokio::time::timeout(short, stream.next()).await {
            let event = next.expect("more comes").expect("no error");
            assert_eq!(event.id, format!("{came}…").as_str());
            came += 1;
        }
    }
}
