//! Keeps the workflow running for orders from a person or another program.

mod broker_watch;
mod ends;
mod keep;
mod kept_records;

use emulator::stack::Stack;
use emulator::tap::Tap;
use emulator::template::Template;
use jiff::Timestamp;
use local_runs::{EVENTS_SINCE, Run};

use crate::archive::{self, Archive};
use crate::boot;
use crate::cli::{self, UpOptions};
use crate::fixtures::catalogue::{CATALOGUE, Catalogue};
use crate::fixtures::holdings::Holdings;
use crate::page::Page;
use crate::signals::Signals;
use ends::Ends;
use keep::Keep;
use terminal::Terminal;
use terminal::{ExitError, error_chain};

/// Runs until a signal ends it.
pub(crate) async fn run(
    options: &UpOptions,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<(), ExitError> {
    let mut stack_options = options.stack();
    let template = Template::read(&stack_options.template).map_err(ExitError::start)?;
    let workspace = cli::workspace(&stack_options.template);
    let catalogue = Catalogue::read(&workspace).map_err(ExitError::start)?;
    let keep = options.keep.as_deref().map(Keep::open).transpose().map_err(ExitError::start)?;
    let run = Run::start(&workspace).map_err(ExitError::start)?;
    stack_options.log_dir = run.logs();
    stack_options.link_dir = Some(run.functions());
    stack_options.database_file = keep.as_ref().map(Keep::database_file);
    let page = Page::new(&catalogue);
    let started = Timestamp::now();
    let stack = boot::stack(stack_options, |api| page.in_front_of(api), terminal, signals).await?;
    let archive = Archive::start_in(options.archive(), &stack.broker).await?;
    let api = stack.api_url().unwrap_or_default();
    terminal.println(&format!("Page        {api}/   open it in a browser"));
    terminal.println("");
    let up = Up {
        stack: &stack,
        page: &page,
        catalogue: &catalogue,
        run: &run,
        keep: keep.as_ref(),
        started,
    };
    let result = tokio::select! {
        result = Box::pin(up.stay(terminal)) => result,
        () = signals.received(terminal) => Ok(()),
        () = broker_watch::watch(&stack.broker) => Ok(()),
    };
    page.close();
    drop(page);
    // The file would point other programs to a stack that is gone.
    if let Err(error) = run.end() {
        tracing::warn!(%error, "cannot remove the settings for other programs");
    }
    let broker = stack.stop().await;
    let kept = match &keep {
        Some(keep) => {
            let folder = keep.folder().display();
            keep.save(&broker, template.mappings).await.map(|records| {
                format!("Stopped. {folder} has the rows, and {records} records to be handled.")
            })
        }
        None => Ok("Stopped. The data of embedded servers are deleted; --keep FOLDER keeps them."
            .to_owned()),
    };
    // Also after records that could not be kept: the archive is complete without them.
    let archived = archive::finish(archive, &broker, terminal).await;
    let kept = kept.map_err(ExitError::run)?;
    result.and(archived)?;
    terminal.println(&kept);
    Ok(())
}

/// A started `up`.
struct Up<'a> {
    stack: &'a Stack,
    page: &'a Page,
    catalogue: &'a Catalogue,
    run: &'a Run,
    keep: Option<&'a Keep>,
    /// Before the embedded broker had topics.
    started: Timestamp,
}

impl Up<'_> {
    async fn stay(&self, terminal: &Terminal) -> Result<(), ExitError> {
        let Self { stack, page, catalogue, .. } = self;
        terminal.println(&self.load().await?);
        let topics: Vec<&str> =
            stack.template.topics.iter().map(|topic| topic.name.as_str()).collect();
        let mut tap = Tap::start(&stack.broker, &topics).await.map_err(ExitError::start)?;
        page.open(stack, &tap).map_err(ExitError::start)?;
        if let Some(keep) = self.keep {
            let records = keep.restore(stack).await.map_err(ExitError::start)?;
            terminal.println(&match keep::recover(stack).await {
                Ok(orders) => format!(
                    "Of the last run, {records} records and the last events of {orders} open \
                     orders are published again."
                ),
                // Functions that are hosted elsewhere may start later.
                Err(error) => format!("warning: {} (restart to try again)", error_chain(&error)),
            });
        }
        let path = self.run.publish(&settings(stack, self.started)).map_err(ExitError::start)?;
        terminal.println(&format!(
            "Addresses and names for other programs: {}, also as {}.",
            path.display(),
            local_runs::LATEST
        ));
        terminal.println("");
        for line in example_order(&stack.api_url().unwrap_or_default(), catalogue) {
            terminal.println(&line);
        }
        let mut ends = Ends::since(self.started);
        while let Some(record) = tap.next().await {
            page.observe(&record);
            if let Some(line) = ends.line(&record) {
                terminal.println(&line);
            }
        }
        Err(ExitError::Run(
            "reading the topics: the connection is lost (check that the broker is up)".to_owned(),
        ))
    }

    /// Loads stock and accounts, unless they are kept.
    async fn load(&self) -> Result<String, ExitError> {
        if let Some(keep) = self.keep
            && Holdings::are_loaded(self.stack).await.map_err(ExitError::start)?
        {
            return Ok(format!("Stock and accounts are those in {}.", keep.folder().display()));
        }
        self.catalogue.holdings().load(self.stack).await.map_err(ExitError::start)?;
        Ok(format!("Stock and accounts are loaded from {CATALOGUE}."))
    }
}

/// The settings for other programs: one variable per line, without secrets.
fn settings(stack: &Stack, started: Timestamp) -> String {
    let mut environment = stack.environment();
    // The embedded broker begins without records, also where the rows are those of an earlier run.
    if stack.broker.mock().is_some() {
        environment.insert(EVENTS_SINCE.to_owned(), format!("{started:.3}"));
    }
    let mut lines: Vec<_> =
        environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let private: Vec<_> = stack.private_variables().iter().map(String::as_str).collect();
    if !private.is_empty() {
        lines.insert(0, format!("# Not in this file, to be set by you: {}\n", private.join(", ")));
    }
    lines.concat()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::catalogue::tests::catalogue;

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
