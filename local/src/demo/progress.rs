//! Progress of a run: a line for each step on a terminal, else a sentence now and then.

use std::time::{Duration, Instant};

use contracts::{EventType, Topic};
use indicatif::{ProgressBar, ProgressStyle};

use super::in_flight::InFlight;
use crate::readable::grouped;
use crate::terminal::Terminal;

/// How often the bars move.
const REFRESH: Duration = Duration::from_millis(100);
/// How often a sentence is printed where there are no bars.
const SENTENCE_EVERY: Duration = Duration::from_secs(5);
const STYLE: &str = "  {prefix:<34} {bar:36} {msg:>9}";

/// The lines of a run.
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

    /// Shows how far it is, for as long as it is polled.
    pub(crate) async fn keep_showing(&mut self, in_flight: &InFlight) {
        loop {
            tokio::time::sleep(REFRESH).await;
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
        if self.bars.is_empty() && self.last_sentence.elapsed() >= SENTENCE_EVERY {
            self.last_sentence = Instant::now();
            let (answered, count) = (grouped(counts.answered), grouped(self.count));
            self.terminal.say(&format!(
                "  {answered} of {count} orders posted, {} ended",
                grouped(counts.ended)
            ));
        }
    }

    /// Takes the lines away: the report says how it ended.
    pub(crate) fn finish(self) {
        for bar in &self.bars {
            bar.finish_and_clear();
        }
    }
}

/// The steps of an order: who does it, and the event that shows it.
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
