//! Tables without functions and topics, with rows that the test writes.

use emulator::{aws_settings::AwsSettings, database::Database as Embedded, template::Template};
use workflow_tests::world::root;

use crate::program::Database;

/// An embedded database with the tables of the template.
pub(crate) struct Tables {
    pub(crate) database: Database,
    _embedded: Embedded,
}

impl Tables {
    pub(crate) async fn start() -> Self {
        let settings = AwsSettings::default();
        let embedded = Embedded::embedded(&settings, "").await.unwrap();
        let template = Template::read(&root().join("template.yaml")).unwrap();
        embedded.create_tables(&template.tables).await.unwrap();
        let tables = ["Orders", "Stock", "Accounts"];
        let names = tables.map(|name| {
            let variable = format!("{}_TABLE", name.to_uppercase());
            (variable, embedded.table_name(&format!("{name}Table")))
        });
        let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), embedded.endpoint().to_owned());
        let environment =
            settings.environment().into_iter().chain(names).chain([endpoint]).collect();
        let database = Database { client: embedded.client().clone(), environment };
        Self { database, _embedded: embedded }
    }
}
