//! The order of stages cannot be turned round: every event type in every state of an order, twice.
//!
//! The table is generated. A cell is an order in a state that the real stages have brought it to,
//! and one event that is delivered to it: one of its own again, or a forged one. Right after it
//! nothing may have moved; then the order goes on with its own events, and its stock, its money and
//! its status must be those of an order that nobody disturbed.
//!
//! The topics of the validator and the inventory rest on IAM alone: the first event there decides.
//! Those cells are part of the table, with what a forged event does.

mod cell;
mod course;
mod forgery;
mod tables;

use std::collections::BTreeMap;

use contracts::{EventType, StageName, Topic};
use workflow_tests::stages::{Record, Stages};

use self::{
    cell::{Cell, cells},
    course::Course,
    tables::Tables,
};

/// The most records of one batch.
const BATCH: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn no_event_in_any_state_moves_stock_money_or_status_of_an_order() {
    let stages = Stages::start().await;
    let cells = cells();
    for cell in &cells {
        cell.put_stock_and_account(&stages).await;
    }
    for step in 0..Course::max_steps() {
        advance(&stages, &cells, step).await;
    }
    let before = Tables::read(&stages).await;
    disturb(&stages, &cells, &before).await;
    let after = Tables::read(&stages).await;
    let mut wrong = Vec::new();
    for cell in cells.iter().filter(|cell| !cell.may_move(&before)) {
        let (before, after) = (before.of(cell), after.of(cell));
        if before != after {
            wrong.push(format!("{cell}: moved from {before:?} to {after:?}"));
        }
    }
    finish(&stages, &cells).await;
    let end = Tables::read(&stages).await;
    for cell in &cells {
        let (expected, found) = (cell.expected(&before), end.of(cell));
        if !expected.contains(&found) {
            wrong.push(format!("{cell}: ends as {found:?}, not as {expected:?}"));
        }
    }
    println!("{}", summary(&cells, &before));
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
    assert!(cells.len() >= 700, "{} cells", cells.len());
}

/// Takes every order that its state has brought so far through its next stage.
async fn advance(stages: &Stages, cells: &[Cell], step: usize) {
    let tables = Tables::read(stages).await;
    let mut batches: BTreeMap<(StageName, Topic), Vec<Record>> = BTreeMap::new();
    for cell in cells {
        let stage = cell.course.stages().get(step).copied();
        let Some(stage) = stage.filter(|_| step < cell.steps) else { continue };
        if stage == StageName::OrderApi {
            assert!(stages.store(cell.created().as_bytes()).await);
            continue;
        }
        if stage == StageName::Payment && cell.course.is_cancelled() {
            stages.cancel(cell.created().as_bytes()).await;
            continue;
        }
        let rows = tables.rows(cell).expect("the rows of the stages before");
        let (event_type, body) = cell.course.input(stage, rows);
        batches.entry((stage, event_type.topic())).or_default().push(Record::of(body));
    }
    for ((stage, topic), records) in batches {
        for batch in records.chunks(BATCH) {
            stages.deliver_to(stage, topic, batch).await;
        }
    }
}

/// Delivers the event of each cell twice, to every function that its topic triggers.
async fn disturb(stages: &Stages, cells: &[Cell], before: &Tables) {
    let mut batches: BTreeMap<Topic, Vec<Record>> = BTreeMap::new();
    for cell in cells {
        let Some(event) = cell.event(before) else { continue };
        batches.entry(cell.event_type.topic()).or_default().push(Record::of(event));
    }
    for (topic, records) in batches {
        for batch in records.chunks(BATCH) {
            stages.deliver(topic, batch, 2).await;
        }
    }
}

/// Delivers what is left to decide about until no row is added.
async fn finish(stages: &Stages, cells: &[Cell]) {
    for cell in cells {
        if cell.steps == 0 {
            assert!(stages.store(cell.created().as_bytes()).await);
        }
        if cell.steps < 2 && cell.course.is_cancelled() {
            stages.cancel(cell.created().as_bytes()).await;
        }
    }
    let mut rows = 0;
    loop {
        let tables = Tables::read(stages).await;
        if tables.number_of_rows() == rows {
            return;
        }
        rows = tables.number_of_rows();
        for event_type in EventType::ALL {
            let records = tables.open(cells, *event_type).into_iter().map(Record::of);
            let records: Vec<_> = records.collect();
            for batch in records.chunks(BATCH) {
                stages.deliver(event_type.topic(), batch, 1).await;
            }
        }
    }
}

fn summary(cells: &[Cell], before: &Tables) -> String {
    let mut states: Vec<_> = cells.iter().map(|cell| (cell.course, cell.steps)).collect();
    states.dedup();
    let delivered = cells.iter().filter(|cell| cell.event(before).is_some());
    let on_iam = cells.iter().filter(|cell| cell.decides_on_iam_alone(before)).count();
    format!(
        "{} cells: {} states x {} event types x their variants; {} events, each delivered twice; \
         {on_iam} rest on IAM alone",
        cells.len(),
        states.len(),
        EventType::ALL.len(),
        delivered.count(),
    )
}
