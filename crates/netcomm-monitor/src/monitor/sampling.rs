//! What TCP knows of the application's connections: asked about once a second while there is traffic.

use super::core::Shared;
use super::hosts::Segments;
use crate::quality::TransportSample;
use crate::transport::TcpProbe;

/// How many connections are asked about at a time, the newest first: some 100 µs together.
const AT_A_TIME: usize = 16;

/// Asks the kernel, as long as it answers.
pub(super) struct Sampler {
    probe: Option<TcpProbe>,
}

impl Sampler {
    pub(super) fn new() -> Self {
        Self { probe: TcpProbe::open().ok() }
    }

    /// Asks about each connection that has sent something since it was last asked about.
    pub(super) fn sample(&mut self, shared: &Shared) {
        let Some(probe) = &mut self.probe else { return };
        let connections: Vec<_> = shared.lock().hosts.connections().take(AT_A_TIME).collect();
        for ends in connections {
            let (local, peer) = ends;
            match probe.ask(local, peer) {
                Ok(Some(figures)) => {
                    let now = shared.now();
                    let mut core = shared.lock();
                    let sent = Segments { sent: figures.sent_segments, again: figures.retransmitted_segments };
                    let before = core.hosts.has_sent(&ends, sent).filter(|before| *before != sent);
                    if let (Some(before), Some(rtt)) = (before, figures.rtt) {
                        let mut sample = TransportSample::new(rtt).with_rtt_var(figures.rtt_variance).with_segments(
                            sent.sent.wrapping_sub(before.sent).into(),
                            sent.again.wrapping_sub(before.again).into(),
                        );
                        sample.min_rtt = figures.min_rtt;
                        core.estimator.transport(now, sample);
                    }
                }
                Ok(None) => shared.lock().hosts.closed(&ends),
                // It will not answer the next time either.
                Err(_) => {
                    self.probe = None;
                    return;
                }
            }
        }
    }
}
