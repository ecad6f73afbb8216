//! Checks `template.yaml` and the `OpenAPI` and `AsyncAPI` documents against the code's values.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first failure"
)]

mod functions;
mod mappings;

mod environment;
mod permissions;

mod alarms;
mod analytics;
mod http_api;
mod limits;
mod metrics;
mod published;

mod cluster;
mod deployment;

mod documents;

mod harness;
mod template_yaml;

use emulator::template::Template;
use workflow_tests::world::root;

fn template() -> Template {
    Template::read(&root().join("template.yaml")).expect("the template is readable")
}
