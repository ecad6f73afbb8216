//! Errors of DynamoDB, with the table or the endpoint and the option or variable to correct.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use engine::error::{request_error, response_error};

const NO_TABLE: &str = "ResourceNotFoundException";

/// A table that cannot be read. `database` names DynamoDB with its endpoint or region.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error(
        "{database} has no table {table} (check --orders-table, --stock-table and \
         --accounts-table, and the region and the account of the credentials)"
    )]
    NoTable { table: String, database: String },
    #[error(
        "cannot read the table {table} of {database}: {code} (check the credentials and the \
         permissions in docs/audit.md, or audit again)"
    )]
    Rejected { table: String, database: String, code: String },
    #[error(
        "no response from {database}: {cause} (check that it is up, AWS_ENDPOINT_URL_DYNAMODB, the \
         region and the credentials)"
    )]
    NoResponse { database: String, cause: String },
}

impl TableError {
    pub(crate) fn new<E>(table: &str, database: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (table, database) = (table.to_owned(), database.to_owned());
        match response_error(error) {
            Some(code) if code == NO_TABLE => Self::NoTable { table, database },
            Some(code) => Self::Rejected { table, database, code },
            None => Self::NoResponse { database, cause: request_error(error) },
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::scan::ScanError;

    use super::*;

    #[test]
    fn a_database_without_a_response_is_named_with_its_endpoint_and_the_variable() {
        let error: SdkError<ScanError> = SdkError::timeout_error("connection refused");
        let error = TableError::new("Orders", "DynamoDB at http://127.0.0.1:1", &error).to_string();
        for expected in
            ["DynamoDB at http://127.0.0.1:1", "connection refused", "AWS_ENDPOINT_URL_DYNAMODB"]
        {
            assert!(error.contains(expected), "{error}");
        }
    }
}
