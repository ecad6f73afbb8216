//! The error of a stack that does not start, by part.

use crate::binaries::BinariesError;
use crate::broker::BrokerError;
use crate::database::DatabaseError;
use crate::event_source_mapping::MappingError;
use crate::function_host::HostError;
use crate::http_api::HttpApiError;
use crate::tap::TapError;
use crate::template::TemplateError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    HttpApi(#[from] HttpApiError),
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Functions(#[from] HostError),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error(transparent)]
    Tap(#[from] TapError),
}
