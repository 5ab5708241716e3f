//! netcomm-sse: its parser behind hyper.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use netcomm_sse::{Item, Parser};

use super::lane::Peer;
use super::peers::body;
use crate::error::{Result, fail};

/// The parser where somebody else reads the body.
pub(super) struct HyperNetcomm {
    _sender: SendRequest<Full<Bytes>>,
    body: Incoming,
    parser: Parser,
}

impl Peer for HyperNetcomm {
    const NAME: &'static str = "hyper+netcomm";

    type Shared = ();

    fn shared() -> Result<()> {
        Ok(())
    }

    async fn open((): &(), url: &str) -> Result<Self> {
        let (sender, body) = body(url).await?;
        Ok(Self { _sender: sender, body, parser: Parser::new() })
    }

    async fn next(&mut self) -> Result<usize> {
        loop {
            while let Some(item) = self.parser.next_item() {
                if let Item::Event(event) = item? {
                    return Ok(event.data.len());
                }
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(piece) = frame?.into_data() {
                        self.parser.feed(piece);
                    }
                }
                None => return fail("ended"),
            }
        }
    }
}
