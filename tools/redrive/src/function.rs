//! The function `redrive`: the commands as payloads, results as JSON.

use std::time::{Duration, Instant};

use contracts::TopicNames;
use jiff::Timestamp;
use kafka::{Auth, Brokers, MskIam};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use runtime::{Environment, KafkaAuth};
use serde::de::DeserializeOwned;
use serde_json::Value;
use terminal::error_chain;

use crate::{
    cluster::Cluster,
    commands::{self, Budget, CommandError},
    list_report::ListReport,
    options::{ListOptions, RunOptions},
    redrive::Redrive,
    report::MAX_RECORDS,
    run_report::{RunReport, name},
};

/// A third of the command's: a record and its receipt must fit the rest of an invocation.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// The part of an invocation that is left for the response.
const RESPONSE_TIME: Duration = Duration::from_secs(1);

/// The brokers as the environment names them.
struct Settings {
    bootstrap_servers: String,
    auth: KafkaAuth,
    ca_file: Option<String>,
    topic_prefix: String,
}

impl Settings {
    fn read(environment: &mut Environment) -> Self {
        Self {
            bootstrap_servers: environment.required("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
            auth: environment.one_of(
                "KAFKA_SIGN_IN",
                &[("MSK_IAM", KafkaAuth::MskIam), ("NONE", KafkaAuth::None)],
            ),
            ca_file: environment.optional_text("KAFKA_CA_FILE"),
            topic_prefix: environment.optional_text("TOPIC_PREFIX").unwrap_or_default(),
        }
    }

    async fn cluster(self, clock: fn() -> Timestamp) -> Result<Cluster, Error> {
        let auth = match self.auth {
            KafkaAuth::None => Auth::None,
            KafkaAuth::MskIam => {
                let aws = runtime::aws_config().await;
                Auth::MskIam(MskIam::new(&aws, self.ca_file, clock).await?)
            }
        };
        let brokers = Brokers { bootstrap_servers: self.bootstrap_servers, auth };
        Ok(Cluster { brokers, topics: TopicNames::with_prefix(&self.topic_prefix) })
    }
}

/// Runs the function until its process is stopped.
///
/// # Errors
/// If the settings are incomplete, or the Lambda runtime cannot be reached.
pub async fn run(mut environment: Environment, clock: fn() -> Timestamp) -> Result<(), Error> {
    let settings = Settings::read(&mut environment);
    environment.finish(())?;
    let (cluster, clock) = (&settings.cluster(clock).await?, &clock);
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Value>| {
        let deadline = runtime::deadline(&event.context).into_std();
        let result = respond(event.payload, cluster, deadline, *clock).await;
        if let Err(error) = &result {
            tracing::error!(error = error.error_message, "failed");
        }
        runtime::flush_logs();
        result
    }))
    .await
}

async fn respond(
    payload: Value,
    cluster: &Cluster,
    deadline: Instant,
    clock: fn() -> Timestamp,
) -> Result<Value, Diagnostic> {
    let budget = Budget {
        deadline: deadline.checked_sub(RESPONSE_TIME),
        delivery_timeout: DELIVERY_TIMEOUT,
        max: Some(MAX_RECORDS),
    };
    let mut options = payload.clone();
    let command = options.as_object_mut().and_then(|fields| fields.remove("command"));
    match command.as_ref().and_then(Value::as_str) {
        Some("list") => {
            let options: ListOptions = read(options)?;
            let page = commands::list(&options, cluster, budget, clock()).await;
            json(&ListReport::new(&page.map_err(diagnostic)?, &payload, clock()))
        }
        Some("run") => {
            let options: RunOptions = read(options)?;
            let selected = commands::selected(&options, cluster, budget, clock()).await;
            let selected = selected.map_err(diagnostic)?;
            let run = commands::run(&options, &selected, cluster, budget, clock()).await;
            let run = run.map_err(diagnostic)?;
            log(&run);
            json(&RunReport::new(&run, clock()))
        }
        _ => Err(invalid(
            r#"the payload has no command: send {"command":"list"} or {"command":"run","all":true}"#,
        )),
    }
}

fn read<T: DeserializeOwned>(options: Value) -> Result<T, Diagnostic> {
    serde_json::from_value(options).map_err(|error| invalid(&format!("the payload: {error}")))
}

fn json(report: &impl serde::Serialize) -> Result<Value, Diagnostic> {
    serde_json::to_value(report).map_err(|error| Diagnostic {
        error_type: "Response".to_owned(),
        error_message: error.to_string(),
    })
}

fn invalid(message: &str) -> Diagnostic {
    Diagnostic { error_type: "InvalidPayload".to_owned(), error_message: message.to_owned() }
}

fn diagnostic(error: CommandError) -> Diagnostic {
    let error_type = match error {
        CommandError::InvalidOptions(message) => return invalid(&message),
        CommandError::Read(_) => "TopicsNotRead",
        CommandError::Client(_) => "KafkaClient",
    };
    Diagnostic { error_type: error_type.to_owned(), error_message: error_chain(&error) }
}

/// One line for each record, without `outcome`: the metrics count the stages' lines by that.
fn log(run: &Redrive<'_>) {
    for (dead_letter, outcome) in &run.outcomes {
        tracing::info!(
            record = dead_letter.position().to_string(),
            deadLetter = dead_letter.message.to_string(),
            result = name(outcome),
            "redrive"
        );
    }
}
