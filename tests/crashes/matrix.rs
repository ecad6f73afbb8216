//! Runs the cells and reports them.

use std::{env, sync::Arc};

use engine::failpoint::Point;
use futures::{StreamExt, future::join_all, stream};
use strum::IntoEnumIterator;
use workflow_tests::conformance::{
    harness::Harness,
    outcome::outcome,
    upstream::{Lot, Order, carry},
    workflow::Workflow,
};

use crate::{
    cell::{Cell, Shape, cells},
    finish::finish,
    run::{Done, Run},
    target::{Target, Trigger, targets},
};

/// The cells that run at a time.
const LANES: usize = 6;

/// The cells of an environment variable, or all.
fn selected(is_scheduled: bool) -> Vec<Cell> {
    let text = env::var("CRASH_CELLS").unwrap_or_default();
    let cells = cells().into_iter();
    let cells = cells.filter(|cell| cell.target.trigger.is_scheduled() == is_scheduled);
    cells.filter(|cell| cell.to_string().contains(&text)).collect()
}

fn lot(cell: &Cell) -> Lot {
    let name = cell.to_string().replace([' ', '/', ','], "-");
    Lot { subject: cell.target.subject, name, number: cell.orders() }
}

/// The orders of these cells, each at its stage.
async fn orders(harness: &Harness, workflow: &Workflow, cells: &[Cell]) -> Vec<Vec<Order>> {
    let is_posted = |cell: &&Cell| cell.target.trigger != Trigger::Intake;
    let lots: Vec<_> = cells.iter().filter(is_posted).map(lot).collect();
    let mut carried = carry(workflow, harness, &lots).await.into_iter();
    let of_cell = |cell| is_posted(&cell).then(|| carried.next()).flatten().unwrap_or_default();
    cells.iter().map(of_cell).collect()
}

async fn run(harness: Arc<Harness>, cell: Cell, orders: Vec<Order>) -> Result<Done, String> {
    let run = async move { Run::new(harness, cell, &lot(&cell), orders).await.execute().await };
    let done = outcome(run).await;
    match &done {
        Ok(Done { summary, .. }) => println!("crash {cell} ... ok: {summary}"),
        Err(why) => println!("crash {cell} ... FAILED: {why}"),
    }
    done.map_err(|why| format!("{cell}: {why}"))
}

/// Cells that do not concern each other's orders, several at a time.
pub(crate) async fn side_by_side() {
    let (harness, cells) = (Arc::new(Harness::start().await), selected(false));
    let workflow = Workflow::start(&harness).await;
    let orders = orders(&harness, &workflow, &cells).await;
    drop(workflow);
    let runs = stream::iter(cells.into_iter().zip(orders))
        .map(|(cell, orders)| run(Arc::clone(&harness), cell, orders));
    let done: Vec<_> = runs.buffer_unordered(LANES).collect().await;
    let workflow = Workflow::start(&harness).await;
    let ended: Vec<_> = done.iter().filter_map(|it| it.as_ref().ok()).collect();
    finish(&harness, &workflow, &ended).await;
    report(&done);
}

/// Cells of the recovery, which finds every open order of its table.
pub(crate) async fn one_after_another() {
    let cells = selected(true);
    let lane = |lane| cells.iter().skip(lane).step_by(LANES).copied().collect();
    let done = join_all((0..LANES).map(|index| sequence(lane(index)))).await;
    report(&done.into_iter().flatten().collect::<Vec<_>>());
}

/// Runs cells with a database of their own; the orders of one cell end before the next.
async fn sequence(cells: Vec<Cell>) -> Vec<Result<Done, String>> {
    let harness = Arc::new(Harness::start().await);
    let workflow = Workflow::start(&harness).await;
    let mut done = Vec::new();
    for cell in cells {
        let orders = orders(&harness, &workflow, &[cell]).await.remove(0);
        done.push(run(Arc::clone(&harness), cell, orders).await);
        match &done[done.len() - 1] {
            Ok(cell) => finish(&harness, &workflow, &[cell]).await,
            // Its orders are still open.
            Err(_) => break,
        }
    }
    done
}

fn report(done: &[Result<Done, String>]) {
    let failed: Vec<_> = done.iter().filter_map(|it| it.as_ref().err()).cloned().collect();
    println!(
        "crashes: {} kills, {} with balanced books, every order of these has ended",
        done.len(),
        done.len() - failed.len()
    );
    assert!(failed.is_empty(), "failed cells:\n  {}", failed.join("\n  "));
}

/// Delivers an order to every target, with a kill at all points that it should not pass.
pub(crate) async fn not_applicable() {
    let mut number = 0;
    for target in targets() {
        let points = Point::iter().filter_map(|point| Some((point, target.why_not(point)?)));
        let points: Vec<_> = points.collect();
        for (point, why) in &points {
            println!("crash {} / {point} ... not applicable: {why}", target.subject.name);
        }
        number += points.len();
        let points: Vec<_> = points.into_iter().map(|(point, _)| point).collect();
        outcome(passes_none(target, points))
            .await
            .unwrap_or_else(|why| panic!("{}: {why}", target.subject.name));
    }
    println!("crashes: {number} points are not applicable");
}

async fn passes_none(target: Target, points: Vec<Point>) {
    let harness = Arc::new(Harness::start().await);
    let workflow = Workflow::start(&harness).await;
    // Any point: only its target and its shape matter here.
    let cell = Cell { target, point: Point::BeforeResponse, shape: Shape::Single, passage: 1 };
    let orders = orders(&harness, &workflow, &[cell]).await.remove(0);
    let run = Run::new(harness, cell, &lot(&cell), orders).await;
    if target.trigger == Trigger::Refund {
        run.charge_and_cancel().await;
    }
    let failpoints: Vec<_> = points.iter().map(|point| format!("{point}=return")).collect();
    let process = run.process(&failpoints.join(";")).await;
    run.deliver(&process).await.expect("the process passes none of these points");
    run.deliver(&process).await.expect("nor when the order is delivered again");
}
