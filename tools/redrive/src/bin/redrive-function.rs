//! `redrive-function`, the Lambda function of `template.yaml`'s `RedriveFunction`.

use std::env;

use jiff::Timestamp;
use lambda_runtime::Error;
use runtime::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    runtime::log_as_json("redrive");
    redrive::function::run(Environment::new(env::vars()), Timestamp::now).await
}
