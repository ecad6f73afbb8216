//! Keeps the workflow running for orders from a person or another program.

use std::path::{Path, PathBuf};

use contracts::{Envelope, EventType};
use emulator::stack::Stack;
use emulator::tap::{Tap, TapRecord};
use emulator::template::Template;
use terminal::printable;

use crate::boot;
use crate::cli::{self, UpOptions};
use crate::fixtures::catalogue::{CATALOGUE, Catalogue};
use crate::page::Page;
use terminal::ExitError;
use terminal::Terminal;

/// Runs until a signal ends it.
pub(crate) async fn run(options: &UpOptions, terminal: &Terminal) -> Result<(), ExitError> {
    let stack_options = options.stack();
    Template::read(&stack_options.template).map_err(ExitError::start)?;
    let workspace = cli::workspace(&stack_options.template);
    let catalogue = Catalogue::read(&workspace).map_err(ExitError::start)?;
    let page = Page::new(&catalogue);
    let stack = boot::stack(stack_options, |api| page.in_front_of(api), terminal).await?;
    let api = stack.api_url().unwrap_or_default();
    terminal.println(&format!("Page        {api}/   open it in a browser"));
    terminal.println("");
    let result = tokio::select! {
        result = Box::pin(stay_up(&stack, &page, &catalogue, &workspace, terminal)) => result,
        interrupted = boot::interrupted() => interrupted,
    };
    page.close();
    drop(page);
    // The file would point other programs to a stack that is gone.
    let removed = std::fs::remove_file(environment_file(&workspace));
    stack.stop().await;
    if let Err(error) = removed {
        tracing::debug!(%error, "cannot remove target/stack.env");
    }
    result?;
    terminal.println("Stopped. target/stack.env and the data of embedded servers are deleted.");
    Ok(())
}

async fn stay_up(
    stack: &Stack,
    page: &Page,
    catalogue: &Catalogue,
    workspace: &Path,
    terminal: &Terminal,
) -> Result<(), ExitError> {
    catalogue.holdings().load(stack).await.map_err(ExitError::start)?;
    let topics: Vec<&str> = stack.template.topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut tap = Tap::start(&stack.broker, &topics).await.map_err(ExitError::start)?;
    page.open(stack, &tap).map_err(ExitError::start)?;
    let path = environment_file(workspace);
    write_environment(stack, &path).map_err(ExitError::start)?;
    terminal.println(&format!("Stock and accounts are loaded from {CATALOGUE}."));
    terminal.println(&format!("Addresses and names for other programs: {}.", path.display()));
    terminal.println("");
    for line in example_order(&stack.api_url().unwrap_or_default(), catalogue) {
        terminal.println(&line);
    }
    while let Some(record) = tap.next().await {
        page.observe(&record);
        if let Some(line) = end_line(&record) {
            terminal.println(&line);
        }
    }
    Err(ExitError::Run(
        "reading the topics: the connection is lost (check that the broker is up)".to_owned(),
    ))
}

fn environment_file(workspace: &Path) -> PathBuf {
    workspace.join("target/stack.env")
}

fn write_environment(stack: &Stack, path: &Path) -> std::io::Result<()> {
    let environment = stack.environment();
    let lines = environment.iter().map(|(name, value)| format!("{name}={value}\n"));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, lines.collect::<String>())
}

/// An order that succeeds with the loaded stock, and the command that shows its status.
fn example_order(api: &str, catalogue: &Catalogue) -> Vec<String> {
    let (Some(article), Some(customer)) = (catalogue.articles.first(), catalogue.customers.first())
    else {
        return Vec::new();
    };
    let total = article.price.times(2).digits();
    let (sku, customer_id) = (&article.sku, &customer.customer_id);
    vec![
        "Post an order; the same Idempotency-Key returns the same order:".to_owned(),
        String::new(),
        format!("  curl -i {api}/orders -H 'Idempotency-Key: my-first-order' -d '"),
        format!(
            "    {{\"customerId\":\"{customer_id}\",\"items\":[{{\"sku\":\"{sku}\",\
             \"quantity\":2}}],\"totalAmount\":{total}}}'"
        ),
        String::new(),
        "Read its status, with the orderId of the response:".to_owned(),
        String::new(),
        format!("  curl {api}/orders/ORDER_ID"),
        String::new(),
        "Orders that end are listed here. Ctrl-C stops everything.".to_owned(),
        String::new(),
    ]
}

/// One line for a terminal event or a malformed report; `None` for other records.
fn end_line(record: &TapRecord) -> Option<String> {
    let event = Envelope::decode(record.payload.as_deref()?).ok()?;
    let order_id = printable(event.order_id.as_str());
    if event.event_type == EventType::OrderCompleted {
        return Some(format!("{order_id}  COMPLETED"));
    }
    let reason = event.payload.string("failureReason");
    let reason = printable(reason.as_deref().unwrap_or("no reason given"));
    if event.is_malformed_report() {
        return Some(format!("{order_id}  MALFORMED  {reason}"));
    }
    event.event_type.is_failure().then(|| format!("{order_id}  FAILED  {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::catalogue::tests::catalogue;

    fn line_of(event_type: &str, payload: &str) -> Option<String> {
        let value = format!(
            r#"{{"eventType":"{event_type}","orderId":"ord-1","correlationId":"c",
                "timestamp":"2026-02-06T12:00:00Z","payload":{payload}}}"#
        );
        end_line(&TapRecord {
            topic: "order.failed".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: None,
            payload: Some(value.into_bytes()),
            headers: Vec::new(),
        })
    }

    #[test]
    fn an_ended_order_is_one_line_with_its_reason() {
        assert_eq!(line_of("OrderCompleted", "{}").as_deref(), Some("ord-1  COMPLETED"));
        assert_eq!(
            line_of("OrderPaymentFailed", r#"{"failureReason":"PAYMENT_DECLINED: no"}"#).as_deref(),
            Some("ord-1  FAILED  PAYMENT_DECLINED: no")
        );
        assert!(
            line_of(
                "OrderValidationFailed",
                r#"{"failureReason":"MALFORMED_EVENT: not JSON","malformed":true}"#
            )
            .is_some_and(|line| line.contains("MALFORMED"))
        );
        assert_eq!(line_of("OrderValidated", "{}"), None);
    }

    #[test]
    fn the_example_order_has_the_right_total() {
        let lines = example_order("http://127.0.0.1:3000", &catalogue()).join("\n");
        assert!(
            lines.contains("\"sku\":\"TEA\",\"quantity\":2}],\"totalAmount\":9.00}"),
            "{lines}"
        );
        assert!(lines.lines().all(|line| line.chars().count() <= 100), "{lines}");
    }
}
