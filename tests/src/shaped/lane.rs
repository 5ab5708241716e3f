//! The two directions of a link: segments go in, wait for their turn and their way, and come out in order.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::LinkControl;

/// Bytes of a full segment.
const SEGMENT_BYTES: usize = 1448;

/// Bytes that are under way at most, or in the queue of a router.
const QUEUE_BYTES: usize = 256 * 1024;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// When segments come out.
struct Schedule {
    start: Instant,
    last: Instant,
}

impl Schedule {
    fn new(start: Instant) -> Self {
        Self { start, last: start }
    }

    fn arrival(&mut self, control: &LinkControl, direction: Direction, now: Instant, bytes: usize) -> Instant {
        self.last = self.last.max(control.turn(direction, now, bytes) + control.way());
        // Timers know whole milliseconds and are late rather than early, twice in a round trip.
        let since = self.last.duration_since(self.start).as_secs_f64() * 1000.0;
        self.start + Duration::from_millis(since.round() as u64)
    }
}

/// Carries bytes between a client and its server until both have said all, or one of them is gone.
///
/// # Errors
///
/// If the connection shall end as by a reset.
pub(super) async fn connect(
    (from_client, to_client): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (from_server, to_server): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    control: &LinkControl,
) -> io::Result<()> {
    let seen = control.state().cuts;
    let up = carry(from_client, to_server, control, Direction::Up);
    let down = carry(from_server, to_client, control, Direction::Down);
    tokio::select! {
        biased;
        error = control.cut_after(seen) => Err(error),
        ended = async { tokio::try_join!(up, down) } => ended.map(|_| ()),
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    control: &LinkControl,
    direction: Direction,
) -> io::Result<()> {
    let mut schedule = Schedule::new(Instant::now());
    let mut queue: VecDeque<(Instant, Bytes)> = VecDeque::new();
    let (mut queued, mut passed) = (0, 0);
    let mut is_open = true;
    let mut buffer = vec![0; SEGMENT_BYTES];
    loop {
        let due = queue.front().map(|(due, _)| *due);
        tokio::select! {
            biased;
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let Some((_, bytes)) = queue.pop_front() else { continue };
                queued -= bytes.len();
                control.open().await;
                if bytes.is_empty() {
                    return to.shutdown().await;
                }
                let is_whole = match direction {
                    Direction::Up => to.write_all(&bytes).await.map(|()| true),
                    Direction::Down => deliver(&mut to, &bytes, &mut passed, control).await,
                };
                to.flush().await?;
                if !is_whole? {
                    return to.shutdown().await;
                }
            }
            read = from.read(&mut buffer), if is_open && queued < QUEUE_BYTES => {
                // An end, good or bad, travels like everything else.
                let bytes = read.map_or_else(|_| Bytes::new(), |bytes| Bytes::copy_from_slice(&buffer[..bytes]));
                is_open = !bytes.is_empty();
                queued += bytes.len();
                queue.push_back((schedule.arrival(control, direction, Instant::now(), bytes.len().max(40)), bytes));
            }
            else => return Ok(()),
        }
    }
}

/// Gives the client what it shall have of that; tells whether more shall come.
async fn deliver(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    passed: &mut u64,
    control: &LinkControl,
) -> io::Result<bool> {
    let state = control.state();
    let begin = *passed;
    let end = begin + bytes.len() as u64;
    let until =
        |limit: Option<u64>| limit.filter(|limit| *limit < end).map(|limit| limit.saturating_sub(begin) as usize);
    let mut bytes = bytes.to_vec();
    if let Some(offset) = state.corrupt_at.filter(|offset| (begin..end).contains(offset)) {
        bytes[(offset - begin) as usize] ^= 0xff;
    }
    let (reset, cut) = (until(state.reset_after), until(state.end_after));
    bytes.truncate(reset.unwrap_or(usize::MAX).min(cut.unwrap_or(usize::MAX)));
    match state.drip {
        None => to.write_all(&bytes).await?,
        Some((most, pause)) => {
            for piece in bytes.chunks(most.max(1)) {
                sleep(pause).await;
                to.write_all(piece).await?;
                to.flush().await?;
            }
        }
    }
    *passed += bytes.len() as u64;
    match (reset, cut) {
        (Some(reset), cut) if cut.is_none_or(|cut| reset <= cut) => Err(io::ErrorKind::ConnectionReset.into()),
        (_, cut) => Ok(cut.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::LinkProfile;
    use super::*;

    fn arrivals(profile: LinkProfile, segments: usize) -> Vec<f64> {
        let (start, control) = (Instant::now(), LinkControl::new(profile, 1));
        let mut schedule = Schedule::new(start);
        let arrival = |_| schedule.arrival(&control, Direction::Down, start, SEGMENT_BYTES);
        (0..segments).map(arrival).map(|at| at.duration_since(start).as_secs_f64()).collect()
    }

    #[test]
    fn half_the_round_trip_and_the_rate() {
        let plain = LinkProfile::NONE.with_rtt(Duration::from_millis(100));
        assert_eq!(arrivals(plain, 2), [0.05, 0.05]);
        // 1448 bytes are 11,584 bits.
        assert_eq!(arrivals(plain.with_kbps(1158, 0), 3), [0.06, 0.07, 0.08]);
    }

    #[test]
    fn one_that_is_lost_keeps_those_behind_it_back() {
        let seen = arrivals(LinkProfile::LOSSY.with_kbps(0, 0).with_jitter(Duration::ZERO), 1000);
        assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "in order");
        assert_eq!(seen[0], 0.05);
        let last = *seen.last().unwrap();
        assert!([0.25, 0.65, 1.45].contains(&last), "one timeout, or one and its doubles: {last}");
    }
}
