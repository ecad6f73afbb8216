//! What is wrong with a template, in one line that names the place.

use std::path::PathBuf;

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// There is no such file, or it may not be read.
    #[error("cannot read the template {path}: run from the folder that holds it, or name it with --template", path = path.display())]
    Unreadable {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("{path}, line {line}: correct the YAML", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line of the first fault, counted from one.
        line: u64,
        /// What the parser said.
        #[source]
        source: Box<YamlError>,
    },
    /// A resource says something that the local run cannot follow.
    #[error("template, {resource}: {problem}")]
    Resource {
        /// Logical id of the resource.
        resource: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
}

/// What the YAML parser said, without its drawing of the place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(pub(super) String);

impl TemplateError {
    pub(super) fn resource(resource: &str, problem: impl Into<String>) -> Self {
        Self::Resource { resource: resource.to_owned(), problem: problem.into() }
    }

    pub(super) fn no_function(resource: &str, function: &str) -> Self {
        Self::resource(resource, format!("the template declares no function {function}"))
    }
}
