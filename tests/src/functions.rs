//! The functions of the workflow.

use contracts::StageName;
use runtime::FunctionSpec;

/// Every function, in the order of the workflow.
pub const FUNCTIONS: [FunctionSpec; 5] =
    [order_api::SPEC, validator::SPEC, inventory::SPEC, payment::SPEC, notification::SPEC];

/// The name of the function that runs a stage.
#[must_use]
pub fn function_of(stage: StageName) -> &'static str {
    let function = FUNCTIONS.into_iter().find(|spec| spec.stages.contains(&stage));
    function.expect("every stage belongs to a function").name
}
