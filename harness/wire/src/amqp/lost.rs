//! Settlements that are taken out of the stream.
//!
//! What a settlement covers is what its receiver takes it for. If it is lost, its receiver has these open still: the next
//! one that covers them settles them, and the ledger says so of that one, too. They come open again here, unless the
//! channel ends. Its sender, who knows of no loss, has let go of them: they are in nobody's hands.

use harness_model::event::{Covered, Step};

use super::frame::method_payload;
use super::method::{self, Method};
use crate::codec::Unit;

/// What is still open behind a settlement that was lost, and behind the units that were read after it. Those of its
/// channel that settle some of it are told so.
pub(super) fn still_open(lost: &Unit, behind: &mut [Unit]) -> Vec<Covered> {
    let mut open = match &lost.step {
        Some(Step::Confirm { covers, .. }) => covers.clone(),
        Some(Step::Ack { covers } | Step::Nack { covers, .. }) => {
            // Of a tag that was not open nothing is known.
            let known = |covered: &&Covered| covered.key.is_some() || covered.queue.is_some();
            covers.iter().filter(known).cloned().collect()
        }
        _ => return Vec::new(),
    };
    for unit in behind
        .iter_mut()
        .filter(|unit| unit.chan.is_none() || unit.chan == lost.chan)
    {
        let (tag, multiple) = match method_payload(&unit.bytes).map(method::parse) {
            Some(Ok(Method::Ack { tag, multiple } | Method::Nack { tag, multiple, .. })) => (tag, multiple),
            Some(Ok(Method::Recover)) => (0, true),
            Some(Ok(
                Method::ChannelClose { .. } | Method::ChannelCloseOk | Method::ConnectionClose { .. },
            )) => return Vec::new(),
            _ => continue,
        };
        let settled =
            |covered: &mut Covered| covered.tag == tag || (multiple && (tag == 0 || covered.tag < tag));
        if let Some(Step::Ack { covers } | Step::Nack { covers, .. } | Step::Confirm { covers, .. }) =
            &mut unit.step
        {
            for covered in open.extract_if(.., settled) {
                covers.retain(|other| other.tag != covered.tag);
                covers.push(covered);
            }
            covers.sort_by_key(|covered| covered.tag);
        }
    }
    open
}
