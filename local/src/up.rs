//! Keeps the workflow running, so that a person or another program can send it orders and watch.

use std::path::{Path, PathBuf};

use contracts::{Envelope, EventType};
use local::foreign_text::printable;
use local::stack::Stack;
use local::tap::{Tap, TapRecord};
use local::template::Template;

use crate::cli::{self, UpOptions};
use crate::demo::catalogue::{CATALOGUE, Catalogue};
use crate::fault::Fault;
use crate::page::Page;
use crate::start;
use crate::terminal::Terminal;

/// Runs until a signal ends it.
pub(crate) async fn run(options: &UpOptions, terminal: &Terminal) -> Result<(), Fault> {
    let stack_options = options.stack();
    Template::read(&stack_options.template).map_err(Fault::start)?;
    let workspace = cli::workspace(&stack_options.template);
    let catalogue = Catalogue::read(&workspace).map_err(Fault::start)?;
    let page = Page::new(&catalogue);
    let stack = start::stack(stack_options, |api| page.in_front_of(api), terminal).await?;
    let api = stack.api_url().unwrap_or_default();
    terminal.say(&format!("Page        {api}/   open it in a browser"));
    terminal.say("");
    let result = tokio::select! {
        result = Box::pin(stay_up(&stack, &page, &catalogue, &workspace, terminal)) => result,
        interrupted = start::interrupted() => interrupted,
    };
    page.close();
    drop(page);
    // Who reads it would look for a stack that is gone.
    let removed = std::fs::remove_file(environment_file(&workspace));
    stack.stop().await;
    if let Err(error) = removed {
        tracing::debug!(%error, "target/stack.env was not there");
    }
    result?;
    terminal.say("Stopped. target/stack.env is gone, and with it what embedded parts had kept.");
    Ok(())
}

async fn stay_up(
    stack: &Stack,
    page: &Page,
    catalogue: &Catalogue,
    workspace: &Path,
    terminal: &Terminal,
) -> Result<(), Fault> {
    catalogue.holdings().load(stack).await.map_err(Fault::start)?;
    let topics: Vec<&str> = stack.template.topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut tap = Tap::start(&stack.broker, &topics).await.map_err(Fault::start)?;
    page.open(stack, &tap).map_err(Fault::start)?;
    let path = environment_file(workspace);
    write_environment(stack, &path).map_err(Fault::start)?;
    terminal.say(&format!("Stock and accounts are loaded from {CATALOGUE}."));
    terminal.say(&format!("What other programs need to know is in {}.", path.display()));
    terminal.say("");
    for line in what_to_try(&stack.api_url().unwrap_or_default(), catalogue) {
        terminal.say(&line);
    }
    while let Some(record) = tap.next().await {
        page.see(&record);
        if let Some(line) = end(&record) {
            terminal.say(&line);
        }
    }
    Err(Fault::Run("the topics can no longer be read: see whether the broker is up".to_owned()))
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

/// An order that succeeds with what is loaded, and how to follow it.
fn what_to_try(api: &str, catalogue: &Catalogue) -> Vec<String> {
    let (Some(article), Some(customer)) = (catalogue.articles.first(), catalogue.customers.first())
    else {
        return Vec::new();
    };
    let total = article.price.times(2).digits();
    let (sku, customer_id) = (&article.sku, &customer.customer_id);
    vec![
        "Post an order; the same Idempotency-Key gives the same order again:".to_owned(),
        String::new(),
        format!("  curl -i {api}/orders -H 'Idempotency-Key: my-first-order' -d '"),
        format!(
            "    {{\"customerId\":\"{customer_id}\",\"items\":[{{\"sku\":\"{sku}\",\
             \"quantity\":2}}],\"totalAmount\":{total}}}'"
        ),
        String::new(),
        "Then see how far it is, with the orderId of the answer:".to_owned(),
        String::new(),
        format!("  curl {api}/orders/ORDER_ID"),
        String::new(),
        "Orders that end are told here. Ctrl-C stops everything.".to_owned(),
        String::new(),
    ]
}

/// How an order ended, in a line; `None` for a record that ends none.
fn end(record: &TapRecord) -> Option<String> {
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
    use crate::demo::catalogue::tests::catalogue;

    fn told(event_type: &str, payload: &str) -> Option<String> {
        let value = format!(
            r#"{{"eventType":"{event_type}","orderId":"ord-1","correlationId":"c",
                "timestamp":"2026-02-06T12:00:00Z","payload":{payload}}}"#
        );
        end(&TapRecord {
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
    fn an_end_is_told_in_one_line_with_its_reason() {
        assert_eq!(told("OrderCompleted", "{}").as_deref(), Some("ord-1  COMPLETED"));
        assert_eq!(
            told("OrderPaymentFailed", r#"{"failureReason":"PAYMENT_DECLINED: no"}"#).as_deref(),
            Some("ord-1  FAILED  PAYMENT_DECLINED: no")
        );
        assert!(
            told(
                "OrderValidationFailed",
                r#"{"failureReason":"MALFORMED_EVENT: not JSON","malformed":true}"#
            )
            .is_some_and(|line| line.contains("MALFORMED"))
        );
        assert_eq!(told("OrderValidated", "{}"), None);
    }

    #[test]
    fn the_order_to_try_costs_what_it_says() {
        let lines = what_to_try("http://127.0.0.1:3000", &catalogue()).join("\n");
        assert!(
            lines.contains("\"sku\":\"TEA\",\"quantity\":2}],\"totalAmount\":9.00}"),
            "{lines}"
        );
        assert!(lines.lines().all(|line| line.chars().count() <= 100), "{lines}");
    }
}
