//! Counter of what was refused for an address, by kind.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::limit::address::Excess;

/// Refusals by `kind`.
#[derive(Clone, Debug, Default)]
pub struct AddressRefusals(Family<KindLabels, Counter>);

/// What an address has had enough of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabels {
    kind: &'static str,
}

impl AddressRefusals {
    pub(super) fn new(family: Family<KindLabels, Counter>) -> Self {
        let refusals = Self(family);
        // All of them can be read from the start.
        Excess::ALL.iter().for_each(|excess| drop(refusals.of(*excess)));
        refusals
    }

    /// The counter of such refusals.
    pub fn of(&self, excess: Excess) -> Counter {
        self.0.get_or_create_owned(&KindLabels { kind: excess.as_str() })
    }
}
