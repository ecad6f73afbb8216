//! The payload of an order, as digests of its fields.

use contracts::nesting::compact;
use contracts::{Object, STAGES};

use crate::fixtures::digest;

/// The fields of a payload, without those that stages add: names, and digests of the values as they
/// are spelled in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content(Vec<(Box<str>, u64)>);

impl Content {
    pub(super) fn of(payload: &Object<'_>) -> Self {
        let is_added = |name: &str| STAGES.iter().any(|stage| stage.adds.contains(&name));
        let fields = payload.fields().filter(|(name, _)| !is_added(name));
        Self(fields.map(|(name, value)| (name.into(), digest(&compact(value)))).collect())
    }

    fn value(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|field| *field.0 == *name).map(|field| field.1)
    }

    /// The differences from the posted payload, each with its field; empty if there are none.
    pub(super) fn differences(&self, posted: &Self) -> Vec<String> {
        let missing = posted.0.iter().filter(|field| self.value(&field.0).is_none());
        let missing = missing.map(|(name, _)| format!("field {name:?} is missing"));
        let others = self.0.iter().filter_map(|(name, value)| match posted.value(name) {
            None => Some(format!(
                "field {name:?} is unknown (a stage that adds it names it in `adds` of STAGES)"
            )),
            Some(posted) if posted != *value => Some(format!("field {name:?} differs")),
            Some(_) => None,
        });
        let mut differences: Vec<_> = missing.chain(others).collect();
        if differences.is_empty() && self != posted {
            differences.push("its fields are in another order".to_owned());
        }
        differences
    }
}
