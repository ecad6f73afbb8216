//! A stack of one function that serves HTTP.

use std::path::Path;

use emulator::stack::{Stack, StackOptions};
use tempfile::TempDir;

const TEMPLATE: &str = "
Resources:
  GreeterFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: greeter } }
    Properties: { Timeout: 30, Events: { Http: { Type: HttpApi } } }
";

/// Starts the stack. The folder has its template, function and log.
pub(crate) async fn start() -> (Stack, TempDir) {
    let workspace = tempfile::tempdir().unwrap();
    let template = workspace.path().join("template.yaml");
    std::fs::write(&template, TEMPLATE).unwrap();
    let function = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/function.py");
    std::os::unix::fs::symlink(function, workspace.path().join("greeter")).unwrap();
    let options = StackOptions {
        template,
        function_dir: Some(workspace.path().to_owned()),
        log_dir: workspace.path().to_owned(),
        ..StackOptions::default()
    };
    (Stack::start(options).await.unwrap(), workspace)
}
