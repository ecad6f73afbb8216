//! The routes of order-api and its `OpenAPI` document are the same.

use std::collections::BTreeSet;

use local::template::Template;
use workflow_tests::world::root;

use super::code::Code;

#[test]
fn every_route_is_described_and_every_description_has_a_route() {
    // A reader of YAML, whatever the file is about.
    let document = Template::as_spelled(&root().join("functions/order-api/openapi.yaml"));
    let document = document.expect("the document is readable");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("there are paths") {
        for method in methods.as_object().expect(path).keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routed = Code::of_folder("functions/order-api/src/routes.rs").routes();
    assert_eq!(routed, described);
}
