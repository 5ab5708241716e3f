//! Messages from values, and values from messages: JSON and MessagePack. Pure.

use netcomm_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::Message;

#[cfg(feature = "json")]
impl Message {
    /// A text message that is `value` as JSON. Needs the feature `json`.
    ///
    /// ```
    /// use netcomm_ws::Message;
    ///
    /// let message = Message::json(&("tick", 7))?;
    /// assert_eq!(message.as_text(), Some(r#"["tick",7]"#));
    /// assert_eq!(message.to_json::<(String, u32)>()?, ("tick".to_owned(), 7));
    /// # Ok::<(), netcomm_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid` for a value that JSON cannot say, such as a map whose keys are lists.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        serde_json::to_string(value).map(Self::from).map_err(|error| failed(ErrorKind::Invalid, "write json", error))
    }

    /// The payload, text or binary, read as JSON. Needs the feature `json`.
    ///
    /// # Errors
    ///
    /// `Decode` for a payload that is no JSON, or not this value, with line and column.
    pub fn to_json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.as_bytes()).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            failed(ErrorKind::Decode, "parse json", error).with_detail(place)
        })
    }
}

#[cfg(feature = "msgpack")]
impl Message {
    /// A binary message that is `value` as MessagePack, structures as maps with the names of their fields. Needs the feature
    /// `msgpack`.
    ///
    /// # Errors
    ///
    /// `Invalid` for a value that cannot be said, such as a sequence whose length its own code does not know.
    pub fn msgpack<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        rmp_serde::to_vec_named(value)
            .map(Self::from)
            .map_err(|error| failed(ErrorKind::Invalid, "write messagepack", error))
    }

    /// The payload read as MessagePack, structures as maps or as arrays. Needs the feature `msgpack`.
    ///
    /// # Errors
    ///
    /// `Decode` for a payload that is no MessagePack, is not this value, or goes on behind it; the error tells at which byte.
    pub fn to_msgpack<T: DeserializeOwned>(&self) -> Result<T> {
        let payload = self.as_bytes();
        let mut reader = rmp_serde::Deserializer::new(std::io::Cursor::new(payload));
        let outcome = T::deserialize(&mut reader);
        let at = usize::try_from(reader.position()).unwrap_or(usize::MAX);
        let error = |detail| Error::new(ErrorKind::Decode, "parse messagepack").with_detail(detail);
        match outcome {
            Ok(value) if at == payload.len() => Ok(value),
            Ok(_) => Err(error(format!("{} bytes behind the value that ends at byte {at}", payload.len() - at))),
            Err(source) => Err(error(format!("at byte {at}")).with_source(source)),
        }
    }
}

#[cfg(any(feature = "json", feature = "msgpack"))]
fn failed(kind: ErrorKind, operation: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(kind, operation).with_source(source)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::error::Error as _;

    use serde::Deserialize;

    use super::*;
    use crate::message::Kind;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        id: u32,
        item: String,
    }

    fn order() -> Order {
        Order { id: 7, item: "grün".to_owned() }
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_there_and_back() {
        let message = Message::json(&order()).expect("json");
        assert_eq!((message.kind(), message.as_text()), (Kind::Text, Some(r#"{"id":7,"item":"grün"}"#)));
        assert_eq!(message.to_json::<Order>().expect("the same"), order());
        assert_eq!(Message::binary(&b" 5 "[..]).to_json::<u8>().expect("binary too"), 5);
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_says_what_and_where() {
        let cases: [(Message, &str); 4] = [
            ("{\"id\":7,\n\"item\":8}".into(), "line 2 column 8"),
            ("".into(), "line 1 column 0"),
            (vec![0xff].into(), "line 1 column 1"),
            (r#"{"id":7,"item":"x"} y"#.into(), "line 1 column 21"),
        ];
        for (message, place) in cases {
            let error = message.to_json::<Order>().expect_err(place);
            assert_eq!((error.kind(), error.detail()), (ErrorKind::Decode, Some(place)));
            assert!(error.source().is_some_and(|cause| cause.is::<serde_json::Error>()));
        }
        let nameless = BTreeMap::from([(vec![1], 2)]);
        assert_eq!(Message::json(&nameless).expect_err("a list as key").kind(), ErrorKind::Invalid);
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn messagepack_there_and_back() {
        let message = Message::msgpack(&order()).expect("messagepack");
        assert_eq!((message.kind(), message.as_bytes()), (Kind::Binary, &b"\x82\xa2id\x07\xa4item\xa5gr\xc3\xbcn"[..]));
        assert_eq!(message.to_msgpack::<Order>().expect("the same"), order());
        let short = Message::binary(&b"\x92\x07\xa5gr\xc3\xbcn"[..]);
        assert_eq!(short.to_msgpack::<Order>().expect("an array does too"), order());
    }

    #[cfg(feature = "msgpack")]
    #[test]
    fn messagepack_says_what_and_where() {
        for (payload, detail) in [
            (&b"\x82\xa2id\x07\xa4item\x08"[..], "at byte 11"),
            (b"\x92\x07\xa5gr", "at byte 5"),
            (b"", "at byte 0"),
            (b"\x92\x07\xa1x\xc0\xc0", "2 bytes behind the value that ends at byte 4"),
        ] {
            let error = Message::binary(payload).to_msgpack::<Order>().expect_err(detail);
            assert_eq!((error.kind(), error.detail()), (ErrorKind::Decode, Some(detail)));
        }
        struct Unknown;
        impl Serialize for Unknown {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("nothing to say"))
            }
        }
        assert_eq!(Message::msgpack(&Unknown).expect_err("nothing").kind(), ErrorKind::Invalid);
    }
}
