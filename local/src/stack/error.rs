//! Which part of a stack did not start?

use crate::binaries::BinariesError;
use crate::broker::BrokerError;
use crate::database::DatabaseError;
use crate::event_source_mapping::MappingError;
use crate::function_host::HostError;
use crate::http_api::HttpApiError;
use crate::template::TemplateError;

/// Why a stack does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The HTTP API.
    #[error(transparent)]
    HttpApi(#[from] HttpApiError),
    /// The executables.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The functions.
    #[error(transparent)]
    Functions(#[from] HostError),
    /// A mapping.
    #[error(transparent)]
    Mapping(#[from] MappingError),
}
