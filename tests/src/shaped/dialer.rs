//! A dialer whose connections are those of a link, in memory and on tokio's time.

use netcomm_core::{AnyDial, Dial, Error, ErrorKind, Io, Phase, Result, Target};
use tokio::io::{duplex, split};
use tokio::time::{sleep, timeout};

use super::lane::connect;
use super::{LinkControl, LinkProfile};

/// Bytes that each side of the link takes before it makes its writer wait: what a socket's buffer would.
const BUFFER_BYTES: usize = 64 * 1024;

/// Puts a link in front of any [`Dial`]: its connections take their time both ways. On paused time it is exact and takes none.
/// Cheap to clone; clones share the link.
///
/// A dial takes one round trip more. All connections share the rates of the link. Each takes at most 640 KiB, 64 at each of its four
/// ends and 256 KiB under way up and as much down, were all of it full.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use netcomm_core::{Dial, Host, Target};
/// use netcomm_tests::{LinkProfile, ScriptedDialer, ShapedDialer};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let far = ScriptedDialer::new();
/// far.serve_all(|mut stream| async move {
///     let byte = stream.read_u8().await.unwrap();
///     stream.write_u8(byte).await.unwrap();
/// });
/// let dialer = ShapedDialer::new(far, LinkProfile::NONE.with_rtt(Duration::from_millis(80)), 1);
/// let mut io = dialer.dial(&Target::tcp(Host::parse("example.com").unwrap(), 80)).await.unwrap();
/// let start = tokio::time::Instant::now();
/// io.write_u8(7).await.unwrap();
/// assert_eq!(io.read_u8().await.unwrap(), 7);
/// assert_eq!(start.elapsed(), Duration::from_millis(80));
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct ShapedDialer {
    inner: AnyDial,
    control: LinkControl,
}

impl ShapedDialer {
    /// That link in front of that dialer; chance comes from the seed.
    #[must_use]
    pub fn new(inner: impl Dial, profile: LinkProfile, seed: u64) -> Self {
        Self { inner: AnyDial::new(inner), control: LinkControl::new(profile, seed) }
    }

    /// What steers it.
    #[must_use]
    pub fn control(&self) -> &LinkControl {
        &self.control
    }
}

impl Dial for ShapedDialer {
    async fn dial(&self, target: &Target) -> Result<Io> {
        let handshake = async {
            sleep(self.control.state().profile.rtt).await;
            self.control.open().await;
            if self.control.state().is_refusing {
                return Err(Error::new(ErrorKind::Connect, "dial").with_detail("the link refuses"));
            }
            self.inner.dial(target).await
        };
        let io = timeout(target.timeout, handshake).await.map_err(|_| Error::timeout("dial", Phase::Connect))??;
        let (info, control) = (io.info().clone(), self.control.clone());
        let (near, far) = duplex(BUFFER_BYTES);
        drop(tokio::spawn(async move { connect(split(far), split(io), &control).await }));
        Ok(Io::new(near, info))
    }
}
