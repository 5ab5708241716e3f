//! What a connection does about compression: offers, answers, and what they lead to.

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};

#[cfg(feature = "deflate")]
use crate::deflate::{Agreed, Deflate};
use crate::deflate::{Deflater, Inflater};
use crate::extension;

/// What a side is ready to do.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "deflate"), derive(Default))]
pub(crate) struct Compression {
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<Deflate>,
}

/// What both sides do.
#[derive(Default)]
pub(crate) struct Coding {
    pub(crate) inflater: Option<Inflater>,
    /// With the size from which on a message is compressed.
    pub(crate) deflater: Option<(Deflater, usize)>,
}

#[cfg(feature = "deflate")]
impl Default for Compression {
    fn default() -> Self {
        Self { deflate: Some(Deflate::default()) }
    }
}

impl Compression {
    /// What a client writes into `Sec-WebSocket-Extensions`.
    pub(crate) fn offer(&self) -> Option<HeaderValue> {
        #[cfg(feature = "deflate")]
        return self.deflate.map(|deflate| deflate.offer());
        #[cfg(not(feature = "deflate"))]
        None
    }

    /// What the server's answer to the offer leads to, or what is wrong with it.
    pub(crate) fn check_answer(&self, headers: &HeaderMap) -> Result<Coding, String> {
        let answer = extension::parse(headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter())?;
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.deflate {
            let agreed = deflate.check_answer(&answer)?;
            return Ok(agreed.map(|agreed| Coding::new(deflate, &agreed)).unwrap_or_default());
        }
        match answer.first() {
            Some(extension) => Err(format!("the answer names extension `{}`, which was not offered", extension.name)),
            None => Ok(Coding::default()),
        }
    }

    /// What a server answers to a client's offers, and what that leads to.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> (Option<HeaderValue>, Coding) {
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.deflate
            && let Ok(offers) = extension::parse(headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter())
            && let Some((answer, agreed)) = deflate.answer(&offers)
        {
            return (Some(answer), Coding::new(deflate, &agreed));
        }
        let _ = headers;
        (None, Coding::default())
    }
}

impl Coding {
    #[cfg(feature = "deflate")]
    fn new(deflate: &Deflate, agreed: &Agreed) -> Self {
        Self {
            inflater: Some(Inflater::new(agreed)),
            deflater: Some((Deflater::new(deflate, agreed), deflate.threshold_bytes)),
        }
    }
}
