//! Progress of a run: bars on a terminal, else a line every five seconds.

use std::time::{Duration, Instant};

use contracts::{EventType, Topic};
use indicatif::{ProgressBar, ProgressStyle};

use super::in_flight::InFlight;
use terminal::Terminal;
use terminal::grouped;

const REFRESH_INTERVAL: Duration = Duration::from_millis(100);
/// Without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
const STYLE: &str = "  {prefix:<34} {bar:36} {msg:>9}";

pub(crate) struct Progress<'a> {
    terminal: &'a Terminal,
    count: u64,
    bars: Vec<ProgressBar>,
    last_sentence: Instant,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(terminal: &'a Terminal, count: u64) -> Self {
        let style = ProgressStyle::with_template(STYLE)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸ ");
        let names = if Terminal::is_watched() { names() } else { Vec::new() };
        let bars = names.into_iter().map(|name| {
            let bar = ProgressBar::new(count).with_style(style.clone()).with_prefix(name);
            terminal.bars().add(bar)
        });
        Self { terminal, count, bars: bars.collect(), last_sentence: Instant::now() }
    }

    /// Shows the progress while it is polled.
    pub(crate) async fn keep_showing(&mut self, in_flight: &InFlight) {
        loop {
            tokio::time::sleep(REFRESH_INTERVAL).await;
            self.show(in_flight);
        }
    }

    fn show(&mut self, in_flight: &InFlight) {
        let counts = in_flight.ledger().counts;
        let figures = std::iter::once(counts.answered).chain(counts.events);
        for (bar, figure) in self.bars.iter().zip(figures) {
            bar.set_message(grouped(figure));
            bar.set_position(figure);
        }
        if self.bars.is_empty() && self.last_sentence.elapsed() >= LINE_INTERVAL {
            self.last_sentence = Instant::now();
            let (answered, count) = (grouped(counts.answered), grouped(self.count));
            self.terminal.println(&format!(
                "  {answered} of {count} orders posted, {} ended",
                grouped(counts.ended)
            ));
        }
    }

    /// Removes the bars.
    pub(crate) fn finish(self) {
        for bar in &self.bars {
            bar.finish_and_clear();
        }
    }
}

/// The steps of an order: the function and its event.
fn names() -> Vec<String> {
    let posted = "order-api      answered".to_owned();
    let topics = Topic::ALL.iter().map(|topic| {
        if *topic == Topic::OrderFailed {
            return "any stage      a failure event".to_owned();
        }
        let event = EventType::ALL.iter().find(|event| event.topic() == *topic);
        event.map_or_else(String::new, |event| {
            format!("{:<14} {}", event.published_by().name(), event.name())
        })
    });
    std::iter::once(posted).chain(topics).collect()
}
