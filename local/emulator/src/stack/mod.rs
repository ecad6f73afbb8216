//! Starts and stops the parts that a template declares, each embedded or external.
//!
//! Parts start after the parts that they use and stop before them, so that an invocation in flight
//! can still store, publish and have its offset committed.

mod environment;
mod error;
mod options;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;

use crate::aws_settings::AwsSettings;
use crate::backlog::Backlog;
use crate::broker::Broker;
use crate::database::Database;
use crate::event_source_mapping::EventSourceMapping;
use crate::function_host::{FunctionHost, HostedFunction};
use crate::http_api;
use crate::invoke::InvokeClient;
use crate::loopback::{LoopbackServer, Origins};
use crate::schedule::ScheduleSource;
use crate::template::{Schedule, Template};
pub use error::StartError;
pub use options::StackOptions;

/// A running stack.
pub struct Stack {
    pub template: Template,
    pub broker: Broker,
    pub database: Database,
    /// `None` if the functions are hosted elsewhere.
    pub functions: Option<FunctionHost>,
    /// By logical id.
    pub mappings: BTreeMap<String, EventSourceMapping>,
    schedules: Vec<ScheduleSource>,
    http_api: Option<LoopbackServer>,
    invoke: InvokeClient,
    aws: AwsSettings,
    private_variables: BTreeSet<String>,
}

impl Stack {
    /// Starts everything that the template declares, and returns once it accepts requests.
    ///
    /// # Errors
    /// [`StartError`] names the first part that does not start, and what to do.
    pub async fn start(options: StackOptions) -> Result<Self, StartError> {
        Box::pin(Self::start_behind(options, |api| api)).await
    }

    /// Starts everything, with the HTTP API's router wrapped by `front`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_behind(
        options: StackOptions,
        front: impl FnOnce(Router) -> Router,
    ) -> Result<Self, StartError> {
        let template = Template::read(&options.template)?;
        // Errors of the command line are found before the slow steps.
        let port = http_api::bind(options.port).await?;
        let executables = match options.lambda {
            None => options.executables(&template).await?,
            Some(_) => BTreeMap::new(),
        };
        let broker = match &options.kafka {
            None => Broker::embedded()?,
            Some(servers) => Broker::outside(servers).await?,
        };
        broker.create_topics(&template.topics).await?;
        let prefix = &options.table_prefix;
        let database = match (&options.dynamodb, &options.database_file) {
            (Some(url), _) => Database::outside(url, &options.aws, prefix),
            (None, Some(file)) => Database::kept_in(file, &options.aws, prefix).await?,
            (None, None) => Database::embedded(&options.aws, prefix).await?,
        };
        database.create_tables(&template.tables).await?;
        let mut stack = Self {
            invoke: InvokeClient::new(options.lambda.as_deref().unwrap_or_default()),
            template,
            broker,
            database,
            functions: None,
            mappings: BTreeMap::new(),
            schedules: Vec::new(),
            http_api: None,
            aws: options.aws.clone(),
            private_variables: options.private_variables(),
        };
        if options.lambda.is_none() {
            let host = stack.host(&options, &executables).await?;
            stack.invoke = InvokeClient::new(&host.url());
            stack.functions = Some(host);
        }
        let StackOptions { processes: concurrency, schedule_period, allowed_origins, .. } = options;
        stack.start_mappings(concurrency).await?;
        let backlog = stack.backlog().await?;
        stack.http_api = stack.template.http_function().map(|function| {
            let api = http_api::routes(stack.invoke.clone(), function.name.clone(), backlog);
            port.serve(front(api), Origins::Loopback { others: allowed_origins })
        });
        stack.start_schedules(schedule_period);
        Ok(stack)
    }

    async fn host(
        &self,
        options: &StackOptions,
        executables: &BTreeMap<String, PathBuf>,
    ) -> Result<FunctionHost, StartError> {
        let functions = self.template.functions.iter().filter_map(|function| {
            let executable = executables.get(&function.name.binary)?;
            let mut environment = self.function_environment(function);
            if let Some(url) = &options.function_dynamodb {
                environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url.clone());
            }
            environment.extend(options.variables_of(function, &self.template));
            Some(HostedFunction {
                name: function.name.binary.clone(),
                executable: executable.clone(),
                timeout: function.timeout,
                memory_mb: function.memory_mb,
                environment: environment.into_iter().collect(),
            })
        });
        let functions = functions.collect();
        Ok(FunctionHost::start(functions, options.processes, &options.log_dir).await?)
    }

    async fn start_mappings(&mut self, concurrency: usize) -> Result<(), StartError> {
        let servers = self.broker.bootstrap_servers();
        let starts = self.template.mappings.iter().map(|mapping| {
            EventSourceMapping::start(mapping.clone(), servers, self.invoke.clone(), concurrency)
        });
        for mapping in futures::future::join_all(starts).await {
            let mapping = mapping?;
            self.mappings.insert(mapping.declaration().logical_id.clone(), mapping);
        }
        Ok(())
    }

    /// `None` if the broker is external: it keeps its records.
    async fn backlog(&self) -> Result<Option<Backlog>, StartError> {
        if self.broker.mock().is_none() {
            return Ok(None);
        }
        let mappings = self.mappings.values().map(|mapping| (**mapping).clone()).collect();
        Ok(Some(Backlog::start(&self.broker, mappings).await?))
    }

    fn start_schedules(&mut self, period: Option<Duration>) {
        for function in &self.template.functions {
            for schedule in &function.schedules {
                let period = period.unwrap_or(schedule.period);
                let schedule = Schedule { period, ..schedule.clone() };
                let (name, invoke) = (function.name.clone(), self.invoke.clone());
                self.schedules.push(ScheduleSource::start(name, schedule, invoke));
            }
        }
    }

    /// The URL of the HTTP API; `None` if no function serves HTTP.
    #[must_use]
    pub fn api_url(&self) -> Option<String> {
        self.http_api.as_ref().map(LoopbackServer::url)
    }

    #[must_use]
    pub fn invoke_url(&self) -> &str {
        self.invoke.url()
    }

    #[must_use]
    pub fn invoke_client(&self) -> &InvokeClient {
        &self.invoke
    }

    /// The name of the table with this logical id.
    #[must_use]
    pub fn table(&self, logical_id: &str) -> String {
        self.database.table_name(logical_id)
    }

    /// Accepts no more requests, waits for work in flight, and stops all parts but the broker, so
    /// that records without a committed offset can still be read.
    pub async fn stop(mut self) -> Broker {
        if let Some(http_api) = self.http_api.take() {
            http_api.stop().await;
        }
        let schedules = std::mem::take(&mut self.schedules);
        futures::future::join_all(schedules.into_iter().map(ScheduleSource::stop)).await;
        let mappings = std::mem::take(&mut self.mappings);
        let stops = mappings.into_values().map(EventSourceMapping::stop);
        futures::future::join_all(stops).await;
        if let Some(functions) = self.functions.take() {
            functions.stop().await;
        }
        self.database.stop().await;
        self.broker
    }
}
