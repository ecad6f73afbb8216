//! The function as a resource of OpenTelemetry.

use lambda_runtime::Config;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;

/// The function, with the attributes of `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.
pub(crate) fn of_function(function: &Config) -> Resource {
    let detected = Resource::builder().build();
    let name = detected.get(&Key::from_static_str("service.name"));
    let name = name.map(|name| name.as_str().into_owned());
    // The SDK's name of a service without a name.
    let name = name.filter(|name| !name.starts_with("unknown_service"));
    Resource::builder()
        .with_service_name(name.unwrap_or_else(|| function.function_name.clone()))
        .with_attributes([
            KeyValue::new("cloud.provider", "aws"),
            KeyValue::new("faas.name", function.function_name.clone()),
            KeyValue::new("faas.version", function.version.clone()),
            KeyValue::new("faas.instance", function.log_stream.clone()),
        ])
        .build()
}
