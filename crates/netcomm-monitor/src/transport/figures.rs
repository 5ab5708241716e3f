//! From the bytes of an answer to figures. Each is read by its place, so that kernels that tell less or more are understood. Pure.

use std::time::Duration;

use netlink_packet_core::{NetlinkBuffer, NlasIterator};

/// What the kernel knows of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpFigures {
    /// The round trip, smoothed over some (RFC 6298). `None` if there was none yet.
    pub rtt: Option<Duration>,
    /// How much round trips differ from it.
    pub rtt_variance: Duration,
    /// The shortest round trip of the last minutes.
    pub min_rtt: Option<Duration>,
    /// Segments that were sent once more, since the beginning.
    pub retransmitted_segments: u32,
    /// All segments that were sent, since the beginning; wraps.
    pub sent_segments: u32,
    /// Bytes per second as they arrived at the peer, of the last that were sent.
    pub delivered_per_second: Option<u64>,
    /// That rate is low since there was no more to send, and says nothing about the network.
    pub is_rate_application_limited: bool,
}

/// What a datagram says about our question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Figures(TcpFigures),
    /// There is no such connection.
    Gone,
    /// With that number of the system.
    Refused(i32),
    /// Not about it.
    Stale,
}

pub(super) fn answer(datagram: &[u8], sequence: u32, peer_port: u16) -> Answer {
    let Ok(message) = NetlinkBuffer::new_checked(datagram) else {
        return Answer::Stale;
    };
    if message.sequence_number() != sequence {
        return Answer::Stale;
    }
    let length = usize::try_from(message.length()).unwrap_or_default();
    let payload = datagram.get(HEADER_BYTES..length).unwrap_or_default();
    match message.message_type() {
        NLMSG_ERROR => match payload.first_chunk().map(|code| i32::from_ne_bytes(*code).saturating_neg()) {
            Some(ENOENT) => Answer::Gone,
            code => Answer::Refused(code.unwrap_or_default()),
        },
        SOCK_DIAG_BY_FAMILY => figures(payload, peer_port).map_or(Answer::Gone, Answer::Figures),
        _ => Answer::Stale,
    }
}

/// `None` for a socket that only listens, which the kernel gives where there is no connection, and for one that is a memory of
/// a connection.
fn figures(payload: &[u8], peer_port: u16) -> Option<TcpFigures> {
    let state = *payload.get(STATE_AT)?;
    let port = u16::from_be_bytes(*payload.get(PEER_PORT_AT..)?.first_chunk()?);
    if state == TCP_LISTEN || port != peer_port {
        return None;
    }
    let attributes = NlasIterator::new(payload.get(ANSWER_BYTES..)?).map_while(Result::ok);
    let info = attributes.into_iter().find(|attribute| attribute.kind() == INET_DIAG_INFO)?;
    let info = info.value();
    let word = |at: usize| Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    let micros = |at: usize| word(at).map(|micros| Duration::from_micros(micros.into()));
    let rate: Option<[u8; 8]> = info.get(DELIVERY_RATE_AT..).and_then(|rate| rate.first_chunk().copied());
    Some(TcpFigures {
        rtt: micros(RTT_AT).filter(|rtt| !rtt.is_zero()),
        rtt_variance: micros(RTT_VARIANCE_AT).unwrap_or_default(),
        min_rtt: word(MIN_RTT_AT).filter(|min| *min != u32::MAX).map(|min| Duration::from_micros(min.into())),
        retransmitted_segments: word(RETRANSMITTED_AT).unwrap_or_default(),
        sent_segments: word(SENT_AT).unwrap_or_default(),
        delivered_per_second: rate.map(u64::from_ne_bytes).filter(|rate| *rate != 0),
        is_rate_application_limited: info.get(LIMITED_AT).is_some_and(|bits| bits & 1 != 0),
    })
}

const HEADER_BYTES: usize = 16;
const NLMSG_ERROR: u16 = 2;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const ENOENT: i32 = 2;
/// `struct inet_diag_msg`.
const ANSWER_BYTES: usize = 72;
const STATE_AT: usize = 1;
const PEER_PORT_AT: usize = 6;
const TCP_LISTEN: u8 = 10;
const INET_DIAG_INFO: u16 = 2;
// `struct tcp_info`, which only ever grows at its end.
const LIMITED_AT: usize = 7;
const RTT_AT: usize = 68;
const RTT_VARIANCE_AT: usize = 72;
const RETRANSMITTED_AT: usize = 100;
const SENT_AT: usize = 136;
const MIN_RTT_AT: usize = 148;
const DELIVERY_RATE_AT: usize = 160;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PORT: u16 = 443;

    fn told(state: u8, info: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; ANSWER_BYTES];
        payload[STATE_AT] = state;
        payload[PEER_PORT_AT..PEER_PORT_AT + 2].copy_from_slice(&PORT.to_be_bytes());
        payload.extend(u16::try_from(4 + info.len()).expect("short").to_ne_bytes());
        payload.extend(INET_DIAG_INFO.to_ne_bytes());
        payload.extend(info);
        message(SOCK_DIAG_BY_FAMILY, &payload)
    }

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(HEADER_BYTES + payload.len()).expect("short").to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0, 0]);
        bytes.extend(7_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    fn info() -> [u8; 168] {
        let mut info = [0; 168];
        info[LIMITED_AT] = 1;
        let words =
            [(RTT_AT, 1500_u32), (RTT_VARIANCE_AT, 200), (RETRANSMITTED_AT, 3), (SENT_AT, 90), (MIN_RTT_AT, 1000)];
        for (at, value) in words {
            info[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        info[DELIVERY_RATE_AT..].copy_from_slice(&5_000_000_000_u64.to_ne_bytes());
        info
    }

    #[test]
    fn figures_of_a_connection() {
        let expected = TcpFigures {
            rtt: Some(Duration::from_micros(1500)),
            rtt_variance: Duration::from_micros(200),
            min_rtt: Some(Duration::from_millis(1)),
            retransmitted_segments: 3,
            sent_segments: 90,
            delivered_per_second: Some(5_000_000_000),
            is_rate_application_limited: true,
        };
        assert_eq!(answer(&told(1, &info()), 7, PORT), Answer::Figures(expected));
        let old = TcpFigures { min_rtt: None, delivered_per_second: None, sent_segments: 0, ..expected };
        assert_eq!(answer(&told(1, &info()[..104]), 7, PORT), Answer::Figures(old), "an old kernel");
        let Answer::Figures(none) = answer(&told(1, &[0; 168]), 7, PORT) else { panic!("figures") };
        assert_eq!((none.rtt, none.delivered_per_second), (None, None));
        let mut fresh = info();
        fresh[MIN_RTT_AT..MIN_RTT_AT + 4].fill(0xff);
        let Answer::Figures(fresh) = answer(&told(1, &fresh), 7, PORT) else { panic!("figures") };
        assert_eq!(fresh.min_rtt, None);
    }

    #[test]
    fn no_connection() {
        assert_eq!(answer(&told(TCP_LISTEN, &info()), 7, PORT), Answer::Gone, "one that listens");
        assert_eq!(answer(&told(1, &info()), 7, 80), Answer::Gone, "of another peer");
        assert_eq!(answer(&message(SOCK_DIAG_BY_FAMILY, &[0; ANSWER_BYTES]), 7, 0), Answer::Gone, "without figures");
        assert_eq!(answer(&message(NLMSG_ERROR, &(-2_i32).to_ne_bytes()), 7, PORT), Answer::Gone);
        assert_eq!(answer(&message(NLMSG_ERROR, &(-1_i32).to_ne_bytes()), 7, PORT), Answer::Refused(1));
        assert_eq!(answer(&told(1, &info()), 8, PORT), Answer::Stale, "of another question");
        assert_eq!(answer(&[], 7, PORT), Answer::Stale);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(payload in prop::collection::vec(any::<u8>(), 0..300), kind in 0_u16..30) {
            answer(&payload, 7, PORT);
            answer(&message(kind, &payload), 7, PORT);
        }
    }
}
