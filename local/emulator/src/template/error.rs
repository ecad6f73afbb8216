//! Errors of a template, each in one line with its place.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("cannot read the template {path}: run from its folder, or name it with --template", path = path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}, line {line}: correct the YAML", path = path.display())]
    Malformed {
        path: PathBuf,
        /// Counted from one.
        line: u64,
        #[source]
        source: Box<YamlError>,
    },
    /// A resource is malformed or not supported.
    #[error("template, {resource}: {problem}")]
    Resource {
        /// Logical id of the resource.
        resource: String,
        /// The error, and what to write instead.
        problem: String,
    },
}

/// The YAML parser's message, without its excerpt.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(pub(super) String);

impl TemplateError {
    pub(super) fn resource(resource: &str, problem: impl Into<String>) -> Self {
        Self::Resource { resource: resource.to_owned(), problem: problem.into() }
    }

    pub(super) fn no_function(resource: &str, function: &str) -> Self {
        Self::resource(resource, format!("the template does not declare the function {function}"))
    }
}
