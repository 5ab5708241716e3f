//! What is offered, answered and agreed on (RFC 7692 §5 and §7.1): pure.

use std::fmt::Write as _;

use http::HeaderValue;

use super::{Agreed, Deflate, MAX_WINDOW_BITS, MIN_WINDOW_BITS};
use crate::extension::Extension;

const NAME: &str = "permessage-deflate";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_BITS: &str = "client_max_window_bits";
const SERVER_BITS: &str = "server_max_window_bits";

impl Deflate {
    /// What a client writes into `Sec-WebSocket-Extensions`.
    pub(crate) fn offer(&self) -> HeaderValue {
        Params {
            client_no_takeover: self.client_no_context_takeover,
            server_no_takeover: self.server_no_context_takeover,
            // Always there: only so a server may ask for a smaller window (RFC 7692 §7.1.2.2).
            client_bits: Some(clamped(self.client_max_window_bits)),
            server_bits: clamped(self.server_max_window_bits),
        }
        .to_header()
    }

    /// What a client makes of the server's answer to its [`offer`](Self::offer): `None` if the server does not compress.
    ///
    /// # Errors
    ///
    /// Which rule the answer breaks, in words: the connection has to fail (RFC 6455 §4.1, RFC 7692 §7.1).
    pub(crate) fn check_answer(&self, answer: &[Extension]) -> Result<Option<Agreed>, String> {
        let mut agreed = None;
        for extension in answer {
            if extension.name != NAME {
                return Err(format!("the answer names extension `{}`, which was not offered", extension.name));
            }
            if agreed.replace(self.agree(extension)?).is_some() {
                return Err(format!("the answer names {NAME} twice"));
            }
        }
        Ok(agreed)
    }

    fn agree(&self, answer: &Extension) -> Result<Agreed, String> {
        let answer = Params::read(answer)?;
        if self.server_no_context_takeover && !answer.server_no_takeover {
            return Err(format!("the answer lacks {SERVER_TAKEOVER}, which was asked for"));
        }
        // Whoever names no window uses the largest.
        let asked = clamped(self.server_max_window_bits).unwrap_or(MAX_WINDOW_BITS);
        let server_bits = answer.server_bits.unwrap_or(MAX_WINDOW_BITS);
        if server_bits > asked {
            return Err(format!("the answer has {SERVER_BITS} {server_bits}, {asked} was asked for"));
        }
        let own = clamped(self.client_max_window_bits).unwrap_or(MAX_WINDOW_BITS);
        let client_bits = match answer.client_bits {
            None => own,
            Some(None) => return Err(format!("the answer has {CLIENT_BITS} without a value")),
            Some(Some(bits)) if bits > own => {
                return Err(format!("the answer has {CLIENT_BITS} {bits}, {own} was offered"));
            }
            Some(Some(bits)) => bits,
        };
        Ok(Agreed {
            own_window_bits: client_bits,
            own_takeover: !(answer.client_no_takeover || self.client_no_context_takeover),
            peer_window_bits: server_bits,
            peer_takeover: !answer.server_no_takeover,
        })
    }

    /// What a server answers to the first offer that it can take, and what is agreed on then; `None` if there is none.
    ///
    /// An offer that breaks a rule is declined, not an error (RFC 7692 §7.1).
    pub(crate) fn answer(&self, offers: &[Extension]) -> Option<(HeaderValue, Agreed)> {
        let offers = offers.iter().filter(|offer| offer.name == NAME);
        let offer = offers.map(Params::read).find_map(Result::ok)?;
        let smaller = |ours: Option<u8>, theirs: Option<u8>| ours.into_iter().chain(theirs).min();
        // A client that does not say that it can be asked for a smaller window uses what it likes (RFC 7692 §7.1.2.2).
        let client_bits = offer.client_bits.and_then(|theirs| smaller(clamped(self.client_max_window_bits), theirs));
        let answer = Params {
            client_no_takeover: self.client_no_context_takeover || offer.client_no_takeover,
            server_no_takeover: self.server_no_context_takeover || offer.server_no_takeover,
            client_bits: client_bits.map(Some),
            server_bits: smaller(clamped(self.server_max_window_bits), offer.server_bits),
        };
        let agreed = Agreed {
            own_window_bits: answer.server_bits.unwrap_or(MAX_WINDOW_BITS),
            own_takeover: !answer.server_no_takeover,
            peer_window_bits: client_bits.unwrap_or(MAX_WINDOW_BITS),
            peer_takeover: !answer.client_no_takeover,
        };
        Some((answer.to_header(), agreed))
    }
}

fn clamped(bits: Option<u8>) -> Option<u8> {
    bits.map(|bits| bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS))
}

/// The parameters of one offer or answer.
#[derive(Clone, Copy, Default)]
struct Params {
    client_no_takeover: bool,
    server_no_takeover: bool,
    /// In an offer it may stand without a value.
    client_bits: Option<Option<u8>>,
    server_bits: Option<u8>,
}

impl Params {
    fn read(extension: &Extension) -> Result<Self, String> {
        let mut params = Self::default();
        for (name, value) in &extension.params {
            let value = value.as_deref();
            let is_second = match name.as_str() {
                CLIENT_TAKEOVER => std::mem::replace(&mut params.client_no_takeover, flag(name, value)?),
                SERVER_TAKEOVER => std::mem::replace(&mut params.server_no_takeover, flag(name, value)?),
                CLIENT_BITS => {
                    let bits = value.map(|value| window_bits(name, value)).transpose()?;
                    params.client_bits.replace(bits).is_some()
                }
                SERVER_BITS => {
                    let value = value.ok_or_else(|| format!("{name} without a value"))?;
                    params.server_bits.replace(window_bits(name, value)?).is_some()
                }
                _ => return Err(format!("unknown parameter `{name}` of {NAME}")),
            };
            if is_second {
                return Err(format!("{name} twice"));
            }
        }
        Ok(params)
    }

    fn to_header(self) -> HeaderValue {
        let mut text = String::from(NAME);
        for (name, is_set) in [(SERVER_TAKEOVER, self.server_no_takeover), (CLIENT_TAKEOVER, self.client_no_takeover)] {
            if is_set {
                text.extend(["; ", name]);
            }
        }
        for (name, bits) in [(SERVER_BITS, self.server_bits.map(Some)), (CLIENT_BITS, self.client_bits)] {
            if let Some(bits) = bits {
                text.extend(["; ", name]);
                if let Some(bits) = bits {
                    write!(text, "={bits}").expect("a string takes any text");
                }
            }
        }
        HeaderValue::try_from(text).expect("tokens and numbers are visible ASCII")
    }
}

fn flag(name: &str, value: Option<&str>) -> Result<bool, String> {
    value.map_or(Ok(true), |value| Err(format!("{name} has no value, but came with `{value}`")))
}

/// A decimal integer without leading zeros from 8 to 15 (RFC 7692 §7.1.2).
fn window_bits(name: &str, value: &str) -> Result<u8, String> {
    let bits = value.parse().ok().filter(|bits| (MIN_WINDOW_BITS..=MAX_WINDOW_BITS).contains(bits));
    // Numbers have a second spelling, with a plus or zeros; the one that counts is the one that would be written.
    bits.filter(|bits| bits.to_string() == value).ok_or_else(|| format!("{name} is 8 to 15, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::parse;

    fn read(line: &str) -> Vec<Extension> {
        parse([&HeaderValue::from_str(line).expect("visible")]).expect("follows the grammar")
    }

    fn agreed(own_window_bits: u8, own_takeover: bool, peer_window_bits: u8, peer_takeover: bool) -> Agreed {
        Agreed { own_window_bits, own_takeover, peer_window_bits, peer_takeover }
    }

    const PLAIN: Deflate = Deflate::new();
    const ASKING: Deflate = Deflate::new()
        .with_server_no_context_takeover(true)
        .with_client_no_context_takeover(true)
        .with_server_max_window_bits(Some(10))
        .with_client_max_window_bits(Some(11));

    #[test]
    fn what_is_offered() {
        assert_eq!(PLAIN.offer(), "permessage-deflate; client_max_window_bits");
        let all = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                   server_max_window_bits=10; client_max_window_bits=11";
        assert_eq!(ASKING.offer(), all);
        let beyond = PLAIN.with_client_max_window_bits(Some(3)).with_server_max_window_bits(Some(200));
        assert_eq!(beyond.offer(), "permessage-deflate; server_max_window_bits=15; client_max_window_bits=8");
    }

    #[test]
    fn answers_that_are_taken() {
        assert_eq!(PLAIN.check_answer(&[]), Ok(None));
        for (settings, answer, expected) in [
            (PLAIN, "", agreed(15, true, 15, true)),
            // What nobody asked for, and a server may say all the same.
            (PLAIN, "; server_no_context_takeover", agreed(15, true, 15, false)),
            (PLAIN, "; client_no_context_takeover", agreed(15, false, 15, true)),
            (PLAIN, "; server_max_window_bits=8", agreed(15, true, 8, true)),
            (PLAIN, "; client_max_window_bits=8", agreed(8, true, 15, true)),
            (PLAIN, "; client_max_window_bits=\"15\"; server_max_window_bits=15", agreed(15, true, 15, true)),
            // What the client promised holds without the server's word.
            (ASKING, "; server_no_context_takeover; server_max_window_bits=10", agreed(11, false, 10, false)),
            (
                ASKING,
                "; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10",
                agreed(10, false, 9, false),
            ),
            (PLAIN.with_server_max_window_bits(Some(15)), "", agreed(15, true, 15, true)),
        ] {
            let header = format!("permessage-deflate{answer}");
            assert_eq!(settings.check_answer(&read(&header)), Ok(Some(expected)), "{header}");
        }
    }

    #[test]
    fn answers_that_break_a_rule() {
        for (settings, answer, reason) in [
            (
                PLAIN,
                "x-webkit-deflate-frame",
                "the answer names extension `x-webkit-deflate-frame`, which was not offered",
            ),
            (PLAIN, "permessage-deflate, foo", "the answer names extension `foo`, which was not offered"),
            (PLAIN, "Permessage-Deflate", "the answer names extension `Permessage-Deflate`, which was not offered"),
            (PLAIN, "permessage-deflate, permessage-deflate", "the answer names permessage-deflate twice"),
            (PLAIN, "permessage-deflate; foo", "unknown parameter `foo` of permessage-deflate"),
            (PLAIN, "permessage-deflate; foo=8", "unknown parameter `foo` of permessage-deflate"),
            (
                PLAIN,
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                "server_no_context_takeover twice",
            ),
            (
                PLAIN,
                "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
                "client_no_context_takeover twice",
            ),
            (
                PLAIN,
                "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
                "server_max_window_bits twice",
            ),
            (
                PLAIN,
                "permessage-deflate; client_max_window_bits=9; client_max_window_bits=10",
                "client_max_window_bits twice",
            ),
            (
                PLAIN,
                "permessage-deflate; server_no_context_takeover=true",
                "server_no_context_takeover has no value, but came with `true`",
            ),
            (
                PLAIN,
                "permessage-deflate; client_no_context_takeover=1",
                "client_no_context_takeover has no value, but came with `1`",
            ),
            (PLAIN, "permessage-deflate; server_max_window_bits", "server_max_window_bits without a value"),
            (
                PLAIN,
                "permessage-deflate; client_max_window_bits",
                "the answer has client_max_window_bits without a value",
            ),
            (PLAIN, "permessage-deflate; server_max_window_bits=7", "server_max_window_bits is 8 to 15, not `7`"),
            (PLAIN, "permessage-deflate; server_max_window_bits=16", "server_max_window_bits is 8 to 15, not `16`"),
            (PLAIN, "permessage-deflate; client_max_window_bits=09", "client_max_window_bits is 8 to 15, not `09`"),
            (PLAIN, "permessage-deflate; client_max_window_bits=+9", "client_max_window_bits is 8 to 15, not `+9`"),
            (PLAIN, "permessage-deflate; client_max_window_bits=-9", "client_max_window_bits is 8 to 15, not `-9`"),
            (PLAIN, "permessage-deflate; client_max_window_bits=9.0", "client_max_window_bits is 8 to 15, not `9.0`"),
            (PLAIN, "permessage-deflate; client_max_window_bits=265", "client_max_window_bits is 8 to 15, not `265`"),
            (
                ASKING,
                "permessage-deflate; server_max_window_bits=10",
                "the answer lacks server_no_context_takeover, which was asked for",
            ),
            (
                ASKING,
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
                "the answer has server_max_window_bits 11, 10 was asked for",
            ),
            (
                ASKING,
                "permessage-deflate; server_no_context_takeover",
                "the answer has server_max_window_bits 15, 10 was asked for",
            ),
            (
                ASKING,
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12",
                "the answer has client_max_window_bits 12, 11 was offered",
            ),
        ] {
            assert_eq!(settings.check_answer(&read(answer)), Err(reason.into()), "{answer}");
        }
    }

    #[test]
    fn what_a_server_answers() {
        for (settings, offers, answer, expected) in [
            (PLAIN, "permessage-deflate", "", agreed(15, true, 15, true)),
            (PLAIN, "permessage-deflate; client_max_window_bits", "", agreed(15, true, 15, true)),
            (
                PLAIN,
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "; server_no_context_takeover; client_no_context_takeover",
                agreed(15, false, 15, false),
            ),
            (
                PLAIN,
                "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9",
                "; server_max_window_bits=8; client_max_window_bits=9",
                agreed(8, true, 9, true),
            ),
            (
                ASKING,
                "permessage-deflate; client_max_window_bits",
                "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
                 client_max_window_bits=11",
                agreed(10, false, 11, false),
            ),
            (
                ASKING,
                "permessage-deflate; client_max_window_bits=9; server_max_window_bits=12",
                "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
                 client_max_window_bits=9",
                agreed(10, false, 9, false),
            ),
            // It may not be asked for where it was not offered.
            (PLAIN.with_client_max_window_bits(Some(9)), "permessage-deflate", "", agreed(15, true, 15, true)),
            // The first offer that can be taken, past what is unknown and what is wrong.
            (
                PLAIN,
                "foo, permessage-deflate; server_max_window_bits=7, permessage-deflate; x, \
                 permessage-deflate; server_max_window_bits, permessage-deflate; server_max_window_bits=9, \
                 permessage-deflate",
                "; server_max_window_bits=9",
                agreed(9, true, 15, true),
            ),
        ] {
            let (header, seen) = settings.answer(&read(offers)).expect("an offer that can be taken");
            assert_eq!(header, format!("permessage-deflate{answer}"), "{offers}");
            assert_eq!(seen, expected, "{offers}");
        }
        for offers in [
            "",
            "foo",
            "permessage-deflate; foo",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover=1",
        ] {
            assert!(PLAIN.answer(&read(offers)).is_none(), "{offers}");
        }
    }

    #[test]
    fn both_ends_see_the_same() {
        let bits = [None, Some(8), Some(9), Some(14), Some(15)];
        let mut all = Vec::new();
        for client in bits {
            for server in bits {
                for takeover in 0..4 {
                    all.push(
                        PLAIN
                            .with_client_max_window_bits(client)
                            .with_server_max_window_bits(server)
                            .with_client_no_context_takeover(takeover & 1 != 0)
                            .with_server_no_context_takeover(takeover & 2 != 0),
                    );
                }
            }
        }
        for client in &all {
            for server in &all {
                let offer = client.offer();
                let (answer, seen) = server.answer(&parse([&offer]).expect("ours")).expect("a valid offer");
                let agreed = client.check_answer(&parse([&answer]).expect("ours")).expect("valid").expect("agreed");
                assert_eq!(
                    (agreed.own_takeover, agreed.peer_window_bits, agreed.peer_takeover),
                    (seen.peer_takeover, seen.own_window_bits, seen.own_takeover)
                );
                assert_eq!(agreed.own_window_bits, seen.peer_window_bits);
            }
        }
    }
}
