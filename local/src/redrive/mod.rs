//! Lists the dead letters, and puts their records back on their topics.
//!
//! A record is put back as it lies on its topic, whatever its dead letter says of it, and once: a
//! receipt beside the letter says so to later runs, `putting_back_twice_changes_nothing_the_second_time`. Where a run ends between the record
//! and its receipt, the next one puts a second copy on the topic. The stages' rows absorb it, as
//! any redelivery: `every_stage_fed_twice_changes_nothing`.

mod dead_letter;
mod entry;
mod options;
mod position;
mod put_back;
mod reader;
mod receipt;
mod record;
mod table;
mod topic;
mod words;

use contracts::Topic;
use jiff::Timestamp;
use kafka::{Auth, AuthError, Brokers, MskIam};

use crate::fault::Fault;
use crate::terminal::Terminal;

use entry::Entry;
pub(crate) use options::RedriveOptions;
use options::{BrokerOptions, Choice, ListOptions, PutBackOptions, RedriveCommand, SignInChoice};
use put_back::Outcome;

/// Lists the dead letters, or puts records of them back.
pub(crate) async fn run(
    options: &RedriveOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<(), Fault> {
    match &options.command {
        RedriveCommand::List(options) => list(options, clock, terminal).await,
        RedriveCommand::PutBack(options) => put_back(options, clock, terminal).await,
    }
}

async fn list(
    options: &ListOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<(), Fault> {
    let brokers = brokers(&options.brokers, clock).await?;
    let entries = topic::read(&brokers).await.map_err(Fault::start)?;
    let listed: Vec<&Entry> =
        entries.iter().filter(|entry| is_from(entry, options.topic)).collect();
    for line in table::list(&listed, clock()) {
        terminal.say(&line);
    }
    Ok(())
}

async fn put_back(
    options: &PutBackOptions,
    clock: fn() -> Timestamp,
    terminal: &Terminal,
) -> Result<(), Fault> {
    // What a person can get wrong comes first, before anything takes time.
    let choice = options.choice().map_err(Fault::start)?;
    let brokers = brokers(&options.brokers, clock).await?;
    let entries = topic::read(&brokers).await.map_err(Fault::start)?;
    let chosen = chosen(&entries, &choice).map_err(Fault::start)?;
    let now = clock();
    for warning in table::warnings(&chosen, now) {
        terminal.say(&warning);
    }
    // Whoever names a record means it; a letter among many may be anybody's.
    let limit = match choice {
        Choice::All(_) => Some(table::forgotten_before_ms(now)),
        Choice::Positions(_) => None,
    };
    let outcomes = if options.dry_run {
        put_back::rehearse(&chosen, limit)
    } else {
        put_back::put_back(&brokers, &chosen, limit).await.map_err(Fault::start)?
    };
    for line in table::outcomes(&chosen, &outcomes, clock()) {
        terminal.say(&line);
    }
    let faults = outcomes.iter().filter(|outcome| Outcome::is_fault(outcome)).count();
    if faults == 0 {
        return Ok(());
    }
    Err(Fault::run("some records need a look: the table says which, and why"))
}

/// The entries of the choice, in the order of their positions.
///
/// # Errors
/// Where a position is named that no dead letter is about: a slip is found before anything is
/// written.
fn chosen<'a>(entries: &'a [Entry], choice: &Choice) -> Result<Vec<&'a Entry>, String> {
    let positions = match choice {
        Choice::All(topic) => {
            return Ok(entries.iter().filter(|entry| is_from(entry, *topic)).collect());
        }
        Choice::Positions(positions) => positions,
    };
    for position in positions {
        if !entries.iter().any(|entry| entry.position() == position) {
            return Err(format!(
                "no dead letter is about {position}: `cargo run -- redrive list` shows what there is"
            ));
        }
    }
    Ok(entries.iter().filter(|entry| positions.contains(entry.position())).collect())
}

fn is_from(entry: &Entry, topic: Option<Topic>) -> bool {
    topic.is_none_or(|topic| entry.position().topic == topic.name())
}

async fn brokers(options: &BrokerOptions, clock: fn() -> Timestamp) -> Result<Brokers, Fault> {
    let bootstrap_servers = options.servers().map_err(Fault::start)?.to_owned();
    let auth = match options.sign_in {
        SignInChoice::None => Auth::None,
        SignInChoice::MskIam => {
            let certificates = options.ca_file.as_ref().map(|file| file.display().to_string());
            Auth::MskIam(msk_iam(certificates, clock).await.map_err(Fault::start)?)
        }
    };
    Ok(Brokers { bootstrap_servers, auth })
}

async fn msk_iam(
    certificates: Option<String>,
    clock: fn() -> Timestamp,
) -> Result<MskIam, AuthError> {
    let aws = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
    MskIam::new(&aws, certificates, clock).await
}
