//! The program `soak` as a user runs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The functions may have to be built first.
const TIMEOUT: Duration = Duration::from_secs(580);

/// A running soak.
pub(crate) struct Soak {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    output: String,
}

/// A soak that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    /// Standard output, then standard error.
    pub(crate) output: String,
}

fn soak(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.arg("soak").args(arguments).current_dir(root).kill_on_drop(true);
    command
}

/// The plan that these arguments print.
pub(crate) async fn plan(arguments: &[&str]) -> String {
    let output = soak(arguments).arg("--plan").output();
    let output = tokio::time::timeout(TIMEOUT, output).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Soak {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = soak(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, output: "\n".to_owned() }
    }

    /// Reads until a line that starts with this text.
    pub(crate) async fn until(&mut self, start: &str) -> String {
        loop {
            let line = tokio::time::timeout(TIMEOUT, self.lines.next_line()).await;
            let Some(line) = line.unwrap().unwrap() else {
                panic!("no line {start:?} in {}", self.output)
            };
            self.output.push_str(&line);
            self.output.push('\n');
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// A client of its database.
    pub(crate) async fn database(&mut self) -> Client {
        let line = self.until("DynamoDB ").await;
        let url = line.split_whitespace().nth(1).unwrap().to_owned();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(url)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"));
        Client::from_conf(config.build())
    }

    pub(crate) async fn end(mut self) -> Ended {
        let rest = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.output.push_str(&line);
                self.output.push('\n');
            }
            let errors = self.child.stderr.take();
            errors.unwrap().read_to_string(&mut self.output).await.unwrap();
            Ended { status: self.child.wait().await.unwrap().code(), output: self.output }
        };
        tokio::time::timeout(TIMEOUT, rest).await.unwrap()
    }
}

impl Ended {
    /// The planned and the injected faults by kind.
    pub(crate) fn faults(&self) -> BTreeMap<String, (usize, u64)> {
        let table = self.output.lines().skip_while(|line| !line.starts_with("Faults "));
        let rows = table.skip(1).take_while(|line| line.starts_with("  "));
        // Without the limits of items, which no plan has.
        let rows = rows.filter(|row| !row.contains(" - ")).map(|row| {
            let (rest, injected) = row.trim().rsplit_once(' ').unwrap();
            let (kind, planned) = rest.trim().rsplit_once(' ').unwrap();
            let number = |text: &str| text.replace(',', "");
            let planned = number(planned).parse().unwrap();
            (kind.trim().to_owned(), (planned, number(injected).parse().unwrap()))
        });
        rows.collect()
    }
}
