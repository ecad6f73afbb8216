//! A database, and the functions with the template's settings.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use emulator::{
    aws_settings::AwsSettings,
    binaries,
    broker::Broker,
    database::Database,
    function_host::HostedFunction,
    template::{Setting, Template, Topic},
};
use tokio::sync::OnceCell;

use crate::world::root;

/// The functions, built once for all tests.
static EXECUTABLES: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();

/// Partitions of every topic.
const PARTITIONS: i32 = 2;

pub type Item = HashMap<String, AttributeValue>;

/// Shared by the cases of one situation.
pub struct Harness {
    pub database: Database,
    template: Template,
    aws: AwsSettings,
}

impl Harness {
    pub async fn start() -> Self {
        let template = Template::read(&root().join("template.yaml")).expect("the template is read");
        let names = template.functions.iter().map(|it| it.name.binary.clone()).collect::<Vec<_>>();
        let build = async || binaries::build(&root(), &names).await.expect("the functions build");
        EXECUTABLES.get_or_init(build).await;
        let aws = AwsSettings::default();
        let database = Database::embedded(&aws, "").await.expect("the database starts");
        database.create_tables(&template.tables).await.expect("the tables are created");
        Self { database, template, aws }
    }

    pub async fn broker(&self) -> Broker {
        let broker = Broker::embedded().expect("the broker starts");
        let topics = self.template.topics.iter();
        let topics: Vec<_> =
            topics.map(|topic| Topic { partitions: PARTITIONS, ..topic.clone() }).collect();
        broker.create_topics(&topics).await.expect("the topics are created");
        broker
    }

    /// A function of the template with this broker and database endpoint.
    pub fn function(
        &self,
        name: &str,
        (broker, database): (&Broker, &str),
        settings: &[(&str, String)],
        timeout: Duration,
    ) -> HostedFunction {
        let mut functions = self.template.functions.iter();
        let declared = functions.find(|it| it.name.binary == name).expect("a function");
        let mut environment: BTreeMap<String, String> =
            self.aws.environment().into_iter().collect();
        for (variable, setting) in &declared.environment {
            let value = match setting {
                // The embedded broker does not authenticate its clients.
                Setting::Text(text) if text == "MSK_IAM" => "NONE".to_owned(),
                Setting::Text(text) => text.clone(),
                Setting::BootstrapServers => broker.bootstrap_servers().to_owned(),
                Setting::TableName(table) => self.database.table_name(table),
            };
            environment.insert(variable.clone(), value);
        }
        environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), database.to_owned());
        environment
            .extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        HostedFunction {
            name: name.to_owned(),
            executable: EXECUTABLES.get().expect("the functions are built")[name].clone(),
            timeout,
            memory_mb: declared.memory_mb,
            environment: environment.into_iter().collect(),
        }
    }

    /// The rows of an order by stage.
    pub async fn rows(&self, order_id: &str) -> BTreeMap<String, Item> {
        let query = self.database.client().query().consistent_read(true);
        let query = query.table_name(self.database.table_name("OrdersTable"));
        let query = query.key_condition_expression("orderId = :id");
        let query = query.expression_attribute_values(":id", text(order_id));
        let items = query.send().await.expect("the rows are read").items.unwrap_or_default();
        items.into_iter().map(|row| (row["stage"].as_s().unwrap().clone(), row)).collect()
    }

    pub async fn put(&self, table: &str, item: &[(&str, AttributeValue)]) {
        let item = item.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let put = self.database.client().put_item().table_name(self.database.table_name(table));
        put.set_item(Some(item.collect())).send().await.expect("the item is put");
    }

    /// A number of an item, without trailing zeros.
    pub async fn number(&self, table: &str, key: (&str, &str), attribute: &str) -> String {
        let get = self.database.client().get_item().table_name(self.database.table_name(table));
        let get = get.key(key.0, text(key.1)).consistent_read(true);
        let item = get.send().await.expect("the item is read").item.expect("the item exists");
        let number = item[attribute].as_n().unwrap().clone();
        if number.contains('.') {
            return number.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        number
    }
}

pub fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub fn number(number: usize) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
