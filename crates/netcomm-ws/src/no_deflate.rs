//! What stands in for compression where it is not built in: it is neither offered nor agreed to.

use std::convert::Infallible;

use bytes::BytesMut;

use crate::violation::Violation;

/// A direction that cannot be.
pub(crate) struct Inflater(Infallible);

/// A direction that cannot be.
pub(crate) struct Deflater(Infallible);

/// What cannot come of it.
#[expect(dead_code, reason = "nothing is ever inflated")]
pub(crate) enum Inflated {
    Full,
    Done,
}

impl Inflater {
    #[expect(clippy::needless_pass_by_ref_mut, reason = "as the one that can be")]
    pub(crate) fn inflate(
        &mut self,
        _: &mut &[u8],
        _: bool,
        _: &mut BytesMut,
        _: usize,
    ) -> Result<Inflated, Violation> {
        match self.0 {}
    }
}

impl Deflater {
    #[expect(clippy::needless_pass_by_ref_mut, reason = "as the one that can be")]
    pub(crate) fn compress(&mut self, _: &[u8], _: bool, _: &mut BytesMut) {
        match self.0 {}
    }
}
