//! What stdin holds, message by message.

use bytes::Bytes;
use netcomm::ws::{Message, Text};
use netcomm::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::args::Framing;

/// Bytes that tell how long a message is.
const LENGTH_BYTES: usize = 4;

/// Cuts what it reads into messages. Dropping a read that was not ready loses nothing.
pub(super) struct Input<R> {
    reader: BufReader<R>,
    framing: Option<Framing>,
    /// Bytes of a message at most.
    most: usize,
    /// What was read of the next message.
    begun: Vec<u8>,
    /// Messages so far.
    count: u64,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// Text messages, a line each, unless there is a framing.
    pub(super) fn new(reader: R, framing: Option<Framing>, most: usize) -> Self {
        Self { reader: BufReader::new(reader), framing, most, begun: Vec::new(), count: 0 }
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    ///
    /// `TooLarge` for a message that is, `Invalid` for a line that is no text, `Incomplete` for an end inside of a message,
    /// `Io`.
    pub(super) async fn next(&mut self) -> Result<Option<Message>> {
        let payload = match self.framing {
            None | Some(Framing::Lines) => self.line().await?,
            Some(Framing::Whole) => self.whole().await?,
            Some(Framing::Length) => self.with_length().await?,
        };
        self.count += 1;
        match payload {
            Some(payload) if self.framing.is_none() => {
                let text = payload.strip_suffix(b"\r").map_or_else(|| payload.clone(), |text| payload.slice_ref(text));
                let text = Text::try_from(text).map_err(|error| {
                    let detail = format!("line {} is no text in UTF-8; --binary sends bytes", self.count);
                    Error::new(ErrorKind::Invalid, "read stdin").with_detail(detail).with_source(error)
                })?;
                Ok(Some(Message::Text(text)))
            }
            payload => Ok(payload.map(Message::Binary)),
        }
    }

    async fn line(&mut self) -> Result<Option<Bytes>> {
        loop {
            let ready = self.reader.fill_buf().await.map_err(failed)?;
            let end = ready.iter().position(|byte| *byte == b'\n');
            let (taken, consumed) = match end {
                Some(at) => (&ready[..at], at + 1),
                None => (ready, ready.len()),
            };
            let is_over = consumed == 0;
            self.begun.extend_from_slice(taken);
            self.reader.consume(consumed);
            self.check(self.begun.len())?;
            match (end, is_over) {
                (Some(_), _) => return Ok(Some(self.take())),
                // A last line without its end is a line.
                (None, true) => return Ok((!self.begun.is_empty()).then(|| self.take())),
                (None, false) => {}
            }
        }
    }

    async fn whole(&mut self) -> Result<Option<Bytes>> {
        while self.more(self.most + 1).await? {
            self.check(self.begun.len())?;
        }
        Ok((!self.begun.is_empty()).then(|| self.take()))
    }

    async fn with_length(&mut self) -> Result<Option<Bytes>> {
        loop {
            let announced = self.begun.first_chunk().map(|length| u32::from_be_bytes(*length));
            let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
            self.check(announced.unwrap_or(0))?;
            let whole = LENGTH_BYTES + announced.unwrap_or(0);
            if announced.is_some() && self.begun.len() == whole {
                return Ok(Some(self.take().slice(LENGTH_BYTES..)));
            }
            if !self.more(whole).await? {
                if self.begun.is_empty() {
                    return Ok(None);
                }
                let detail = format!("the end inside of message {}", self.count + 1);
                return Err(Error::new(ErrorKind::Incomplete, "read stdin").with_detail(detail));
            }
        }
    }

    /// Reads on, to so many bytes at most; `false` at the end.
    async fn more(&mut self, most: usize) -> Result<bool> {
        let ready = self.reader.fill_buf().await.map_err(failed)?;
        let taken = ready.len().min(most - self.begun.len());
        self.begun.extend_from_slice(&ready[..taken]);
        self.reader.consume(taken);
        Ok(taken > 0)
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.begun).into()
    }

    fn check(&self, bytes: usize) -> Result<()> {
        if bytes <= self.most {
            return Ok(());
        }
        let detail = format!("message {} has more than {} bytes (--max-message)", self.count + 1, self.most);
        Err(Error::new(ErrorKind::TooLarge, "read stdin").with_detail(detail))
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "read stdin").with_source(error)
}

#[cfg(test)]
mod tests {
    use netcomm::ws::Kind;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// All messages, and the error behind them.
    async fn read(framing: Option<Framing>, most: usize, bytes: &[u8]) -> (Vec<Message>, Option<ErrorKind>) {
        // Byte by byte, so that messages come in every number of pieces.
        let (mut near, far) = tokio::io::duplex(1);
        let mut input = Input::new(far, framing, most);
        let write = async {
            // Whoever has seen an error reads no more.
            drop(near.write_all(bytes).await);
            drop(near);
        };
        let all = async {
            let mut messages = Vec::new();
            loop {
                match input.next().await {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => return (messages, None),
                    Err(error) => return (messages, Some(error.kind())),
                }
            }
        };
        let (read, ()) = tokio::select! {
            read = all => (read, ()),
            never = async { write.await; std::future::pending().await } => never,
        };
        read
    }

    fn texts(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| message.as_text().expect("text")).collect()
    }

    #[tokio::test]
    async fn lines() {
        let (messages, error) = read(None, 5, b"one\r\n\ngr\xc3\xbcn\n\rlast").await;
        assert_eq!((texts(&messages), error), (vec!["one", "", "grün", "\rlast"], None));
        assert!(messages.iter().all(|message| message.kind() == Kind::Text));
        let (messages, error) = read(Some(Framing::Lines), 5, b"a\r\n\xff\n").await;
        assert_eq!((messages, error), (vec![Message::from(&b"a\r"[..]), Message::from(&b"\xff"[..])], None));
        assert_eq!(read(None, 5, b"").await, (vec![], None));
        let (messages, error) = read(None, 5, b"12345\n123456\n").await;
        assert_eq!((texts(&messages), error), (vec!["12345"], Some(ErrorKind::TooLarge)));
        assert_eq!(read(None, 5, b"\xff\n").await.1, Some(ErrorKind::Invalid));
    }

    #[tokio::test]
    async fn all_of_it() {
        let (messages, error) = read(Some(Framing::Whole), 5, b"a\n\xffb\n").await;
        assert_eq!((messages, error), (vec![Message::from(&b"a\n\xffb\n"[..])], None));
        assert_eq!(read(Some(Framing::Whole), 5, b"123456").await.1, Some(ErrorKind::TooLarge));
        assert_eq!(read(Some(Framing::Whole), 5, b"").await, (vec![], None));
    }

    #[tokio::test]
    async fn lengths_before_messages() {
        let (messages, error) = read(Some(Framing::Length), 5, b"\0\0\0\x02a\n\0\0\0\0\0\0\0\x0512345").await;
        let expected = [&b"a\n"[..], b"", b"12345"].map(Message::from).to_vec();
        assert_eq!((messages, error), (expected, None));
        assert_eq!(read(Some(Framing::Length), 5, b"\0\0\0\x06").await.1, Some(ErrorKind::TooLarge));
        for short in [&b"\0"[..], b"\0\0\0\x02", b"\0\0\0\x02a"] {
            assert_eq!(read(Some(Framing::Length), 5, short).await.1, Some(ErrorKind::Incomplete), "{short:?}");
        }
    }
}
