//! Load under all faults, then quiet, then the books and `audit`.
//!
//! The plan is made from the seed before the load begins. The same seed injects the same plan; what a
//! fault meets depends on the moment.

mod audit;
mod broker_fault;
mod conclusion;
mod database_fault;
mod fault;
mod fault_draws;
mod faulty_database;
mod forge;
mod injector;
mod load;
mod phases;
mod plan;
mod processes;
mod quiet;
mod records;
mod report;
mod resources;
mod tally;
mod traffic;
mod verdict;

use std::path::Path;

use emulator::aws_settings::AwsSettings;
use emulator::database::Database;
use emulator::stack::StackOptions;
use emulator::template::Template;
use local_runs::Run as LocalRun;
use terminal::{ExitError, Terminal};

use self::audit::Audit;
use self::faulty_database::FaultyDatabase;
use self::phases::Soak;
use self::plan::Plan;
pub(crate) use self::plan::Size;
use self::tally::Tally;
use crate::boot;
use crate::cli::{self, SoakOptions};
use crate::fixtures::catalogue::Catalogue;
use crate::signals::Signals;

/// The file of the embedded database in the folder of the run, so that rows do not count as memory.
const DATABASE_FILE: &str = "soak.sqlite";

/// Runs a soak, or prints its plan.
pub(crate) async fn run(
    options: &SoakOptions,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<(), ExitError> {
    let template = Template::read(&options.template()).map_err(ExitError::start)?;
    let workspace = cli::workspace(&options.template());
    let catalogue = Catalogue::read(&workspace).map_err(ExitError::start)?;
    let plan = Plan::new(options.seed, options.size(), &template, &catalogue);
    if options.plan {
        plan.all().iter().for_each(|planned| terminal.println(&planned.line()));
        return Ok(());
    }
    terminal.println(&format!("Seed {}", plan.seed));
    let audit = audit::executable(&workspace, options.function_dir.as_deref()).await?;
    let local_run = LocalRun::start(&workspace).map_err(ExitError::start)?;
    let logs = local_run.logs();
    let tally = Tally::default();
    let mut servers = Servers::start(&logs, &template, &tally).await?;
    let stack_options = StackOptions {
        dynamodb: Some(servers.database.endpoint().to_owned()),
        function_dynamodb: Some(servers.proxy.url().to_owned()),
        log_dir: logs.clone(),
        link_dir: Some(local_run.functions()),
        schedule_period: Some(quiet::RECOVERY_PERIOD),
        function_env: quiet::recovery(),
        ..options.stack()
    };
    let stack = boot::stack(stack_options, |api| api, terminal, signals).await?;
    let soak = Soak {
        plan: &plan,
        catalogue: &catalogue,
        stack: &stack,
        database: &servers.proxy,
        tally: &tally,
        audit: Audit::new(audit, &stack, &logs),
        logs: &logs,
        repeat: options.repeat(),
        terminal,
    };
    let result = tokio::select! {
        result = Box::pin(soak.run()) => result,
        () = signals.received(terminal) => Err(ExitError::Interrupted),
    };
    stack.stop().await;
    servers.stop(&logs).await;
    // A report has the command already.
    if matches!(result, Err(ExitError::Start(_) | ExitError::Run(_))) {
        terminal.println(&report::repeated(&options.repeat()));
    }
    result
}

/// The database, and the proxy between it and the functions.
struct Servers {
    database: Database,
    proxy: FaultyDatabase,
}

impl Servers {
    async fn start(folder: &Path, template: &Template, tally: &Tally) -> Result<Self, ExitError> {
        let (file, settings) = (folder.join(DATABASE_FILE), AwsSettings::default());
        let database = Database::kept_in(&file, &settings, "").await.map_err(ExitError::start)?;
        let proxy =
            FaultyDatabase::start(&database, template, tally).await.map_err(ExitError::start)?;
        Ok(Self { database, proxy })
    }

    /// Stops the database and deletes its file: `audit` and the logs have what matters of it.
    async fn stop(&mut self, folder: &Path) {
        self.database.stop().await;
        for suffix in ["", "-wal", "-shm"] {
            std::fs::remove_file(folder.join(format!("{DATABASE_FILE}{suffix}"))).ok();
        }
    }
}
