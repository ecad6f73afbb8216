//! The broker and database of a run, embedded or external, with topics, tables, stock and balances.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use emulator::aws_settings::AwsSettings;
use emulator::broker::Broker;
use emulator::database::Database;
use emulator::template::{Setting, Template, Topic};
use futures::future::try_join_all;

use crate::cli::Options;
use crate::error::{BenchError, Context, Result};
use crate::orders;
use crate::tls::TlsProxy;

/// Prefix of the tables, which protects the other tables of an external database.
const TABLE_PREFIX: &str = "Bench";
/// Table and topic of the bare loops.
pub(crate) const BARE_TABLE: &str = "BenchBareTable";
pub(crate) const BARE_TOPIC: &str = "bench.bare";

/// Broker and database of the measured processes.
pub(crate) struct Servers {
    pub(crate) template: Template,
    pub(crate) broker: Broker,
    pub(crate) database: Database,
    pub(crate) aws: AwsSettings,
    tls: Option<TlsProxy>,
}

impl Servers {
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        let template = Template::read(&options.template).context("cannot read the template")?;
        let broker = match &options.kafka {
            None => Broker::embedded().context("cannot start the embedded broker")?,
            Some(servers) => Broker::outside(servers).await.context("cannot use the broker")?,
        };
        let mut topics = template.topics.clone();
        let bare =
            topics.first().map(|topic| Topic { name: BARE_TOPIC.to_owned(), ..topic.clone() });
        topics.extend(bare);
        broker.create_topics(&topics).await.context("cannot create the topics")?;
        let aws = AwsSettings::from_environment(|name| std::env::var(name).ok());
        let database = match &options.dynamodb {
            None => Database::embedded(&aws, TABLE_PREFIX)
                .await
                .context("cannot start the embedded database")?,
            Some(url) => Database::outside(url, &aws, TABLE_PREFIX),
        };
        database.create_tables(&template.tables).await.context("cannot create the tables")?;
        create_bare_table(database.client()).await?;
        let tls = match options.tls {
            true => Some(TlsProxy::start(database.endpoint()).await?),
            false => None,
        };
        let servers = Self { template, broker, database, aws, tls };
        load_holdings(servers.database.client(), |table| servers.database.table_name(table))
            .await?;
        Ok(servers)
    }

    /// The URL of the database for measured processes.
    pub(crate) fn endpoint(&self) -> &str {
        self.tls.as_ref().map_or_else(|| self.database.endpoint(), TlsProxy::url)
    }

    /// The port of the database for measured processes.
    pub(crate) fn database_port(&self) -> Result<u16> {
        let port = self.endpoint().rsplit(':').next();
        let port = port.map(|port| port.trim_end_matches('/')).and_then(|port| port.parse().ok());
        port.ok_or_else(|| {
            BenchError::Invalid(format!("{} names no port: write host:port", self.endpoint()))
        })
    }

    /// The environment of a function of the template.
    pub(crate) fn environment(&self, binary: &str) -> Result<BTreeMap<String, String>> {
        let function = self.template.functions.iter().find(|it| it.name.binary == binary);
        let function = function.ok_or_else(|| {
            BenchError::Invalid(format!("cannot measure {binary}: the template lacks it"))
        })?;
        let settings = function.environment.iter().map(|(name, setting)| {
            let value = match setting {
                Setting::Text(text) => text.clone(),
                Setting::BootstrapServers => self.broker.bootstrap_servers().to_owned(),
                Setting::TableName(logical_id) => self.database.table_name(logical_id),
            };
            (name.clone(), value)
        });
        let mut environment: BTreeMap<_, _> = settings.collect();
        environment.insert("AWS_LAMBDA_FUNCTION_NAME".to_owned(), binary.to_owned());
        environment.extend(self.client_environment());
        Ok(environment)
    }

    /// The variables of every process: servers, credentials and the certificate to trust.
    pub(crate) fn client_environment(&self) -> BTreeMap<String, String> {
        let mut environment: BTreeMap<_, _> = self.aws.environment().into_iter().collect();
        let servers = self.broker.bootstrap_servers().to_owned();
        environment.insert("KAFKA_BOOTSTRAP_SERVERS".to_owned(), servers);
        // Local brokers require no authentication, unlike MSK in the template.
        environment.insert("KAFKA_SIGN_IN".to_owned(), "NONE".to_owned());
        environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), self.endpoint().to_owned());
        environment.extend(self.tls.iter().flat_map(TlsProxy::environment));
        environment
    }
}

/// Inserts inexhaustible stock and balances, and the item that is out of stock.
pub(crate) async fn load_holdings(
    client: &Client,
    table_name: impl Fn(&str) -> String,
) -> Result<()> {
    let put = |table: &str, attributes: Vec<(&str, AttributeValue)>| {
        let item = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        client.put_item().table_name(table_name(table)).set_item(Some(item)).send()
    };
    let number = |value: u64| AttributeValue::N(value.to_string());
    let stock = orders::stock().map(|(sku, available)| {
        let sku = ("sku", AttributeValue::S(sku));
        put("StockTable", vec![sku, ("available", number(available)), ("reserved", number(0))])
    });
    try_join_all(stock).await.context("cannot load the stock")?;
    let accounts = orders::balances().map(|(customer_id, balance)| {
        let customer_id = ("customerId", AttributeValue::S(customer_id));
        put("AccountsTable", vec![customer_id, ("balance", number(balance))])
    });
    try_join_all(accounts).await.context("cannot load the accounts")?;
    Ok(())
}

async fn create_bare_table(client: &Client) -> Result<()> {
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()
        .context("cannot describe the table of the bare loops")?;
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash)
        .build()
        .context("cannot describe the table of the bare loops")?;
    let request = client
        .create_table()
        .table_name(BARE_TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute)
        .key_schema(key);
    match request.send().await.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
        Ok(_) => Ok(()),
        Err(error) if error.is_resource_in_use_exception() => Ok(()),
        Err(error) => Err(error).context("cannot create the table of the bare loops"),
    }
}
