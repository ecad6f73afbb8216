//! The program of the local run, as a person starts it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use emulator::binaries;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    time::timeout,
};
use workflow_tests::{http_client, world::root};

/// The program and the functions may have to be built first.
const START_TIMEOUT: Duration = Duration::from_secs(580);
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running `up`.
pub(crate) struct LocalRun {
    pub(crate) url: String,
    pub(crate) database: String,
    pub(crate) kafka: String,
    pub(crate) process_id: u32,
    /// With the settings for other programs, and the functions' logs.
    folder: PathBuf,
    program: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl LocalRun {
    /// Starts `up` with these variables of the functions, on this template.
    pub(crate) async fn start(variables: &[(&str, &str)], template: &Path) -> Self {
        let built = binaries::build(&root(), &["local".to_owned()]).await.unwrap();
        let mut program = Command::new(&built["local"]);
        program.args(["up", "--port", "0", "--template"]).arg(template);
        for (name, value) in variables {
            program.arg("--env").arg(format!("{name}={value}"));
        }
        program
            .current_dir(root())
            .env_remove("KAFKA_BOOTSTRAP_SERVERS")
            .env_remove("AWS_ENDPOINT_URL_DYNAMODB")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut program = program.spawn().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        tokio::spawn(keep(program.stdout.take().unwrap(), Arc::clone(&lines)));
        tokio::spawn(keep(program.stderr.take().unwrap(), Arc::clone(&lines)));
        let process_id = program.id().unwrap();
        let (url, database, kafka, folder) = Default::default();
        let mut run = Self { url, database, kafka, process_id, folder, program, lines };
        run.until_printed(START_TIMEOUT, "Orders that end are listed").await;
        for line in run.printed() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["Page", page, ..] => page.trim_end_matches('/').clone_into(&mut run.url),
                ["DynamoDB", url, ..] => url.clone_into(&mut run.database),
                ["Functions", .., logs] => {
                    run.folder = root().join(logs).parent().unwrap().to_owned();
                }
                ["Kafka", servers, ..] => servers.clone_into(&mut run.kafka),
                _ => {}
            }
        }
        run
    }

    /// The lines that the program has printed.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    async fn until_printed(&mut self, within: Duration, text: &str) {
        let printed = async {
            while !self.printed().iter().any(|line| line.contains(text)) {
                assert_eq!(self.program.try_wait().unwrap(), None, "{:?}", self.printed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let printed = timeout(within, printed).await.is_ok();
        assert!(printed, "{:?}", self.printed());
    }

    /// Every file of the run, with its path.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let (mut folders, mut files) = (vec![self.folder.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = fs::read(&path) {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    files.push((path.display().to_string(), text));
                }
            }
        }
        files
    }

    pub(crate) async fn post(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Value {
        let mut request = http_client().post(format!("{}{path}", self.url)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url);
        http_client().get(url).send().await.unwrap().text().await.unwrap()
    }

    /// The state that a page gets first.
    pub(crate) async fn page_state(&self) -> String {
        let url = format!("{}/_page/feed", self.url);
        let mut response = http_client().get(url).send().await.unwrap();
        let mut state = String::new();
        while !state.contains("\n\n") {
            let chunk = timeout(TIMEOUT, response.chunk()).await.unwrap().unwrap().unwrap();
            state.push_str(&String::from_utf8_lossy(&chunk));
        }
        state
    }

    /// Waits until the order has ended; gives its status.
    pub(crate) async fn ended(&self, order_id: &str) -> String {
        let ended = async {
            loop {
                let order: Value =
                    serde_json::from_str(&self.text(&format!("/orders/{order_id}")).await).unwrap();
                match order["status"].as_str() {
                    Some("PENDING") | None => tokio::time::sleep(Duration::from_millis(50)).await,
                    Some(status) => return status.to_owned(),
                }
            }
        };
        let ended = timeout(TIMEOUT, ended).await;
        ended.unwrap_or_else(|_| panic!("{order_id} has not ended: {:?}", self.printed()))
    }

    /// Ends the program as Ctrl-C does; gives all that it has printed.
    pub(crate) async fn stop(mut self) -> Vec<String> {
        let process = self.process_id.to_string();
        assert!(
            Command::new("kill").args(["-s", "INT", &process]).status().await.unwrap().success()
        );
        let ended = timeout(TIMEOUT, self.program.wait()).await;
        assert!(ended.expect("it ends").unwrap().success(), "{:?}", self.printed());
        self.printed()
    }
}

async fn keep(output: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<String>>>) {
    let mut output = BufReader::new(output).lines();
    while let Ok(Some(line)) = output.next_line().await {
        kept.lock().unwrap().push(line);
    }
}
