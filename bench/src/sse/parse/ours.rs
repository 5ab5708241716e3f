//! netcomm-sse's parser, by both its ways out.

use netcomm_sse::{Item, ItemRef};
use tokio::runtime::Runtime;

use super::reader::Reader;
use crate::error::Result;
use crate::sse::corpus::Totals;
use crate::sse::load::Pieces;

/// Events to keep.
pub(super) struct Parser;

impl Reader for Parser {
    const NAME: &'static str = "netcomm";

    fn read(_: &Runtime, pieces: &Pieces) -> Result<Totals> {
        let mut totals = Totals::default();
        let mut parser = netcomm_sse::Parser::new();
        for piece in pieces.pieces.iter() {
            parser.feed(piece.clone());
            while let Some(item) = parser.next_item() {
                if let Item::Event(event) = item? {
                    totals.add(event.data.len());
                }
            }
        }
        Ok(totals)
    }
}

/// Events that the parser lends.
pub(super) struct Lent;

impl Reader for Lent {
    const NAME: &'static str = "netcomm-ref";

    fn read(_: &Runtime, pieces: &Pieces) -> Result<Totals> {
        let mut totals = Totals::default();
        let mut parser = netcomm_sse::Parser::new();
        for piece in pieces.pieces.iter() {
            parser.feed(piece.clone());
            while let Some(item) = parser.next_ref() {
                if let ItemRef::Event(event) = item? {
                    totals.add(event.data.len());
                }
            }
        }
        Ok(totals)
    }
}
