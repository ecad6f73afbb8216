//! The results: tables for people, JSON for programs.

use std::path::{Path, PathBuf};

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

use crate::cli::{Options, profile};
use crate::error::{Context, Result};

/// Prints each part when it is complete, and updates the file.
pub(crate) struct Report {
    path: PathBuf,
    parts: Map<String, Value>,
}

impl Report {
    pub(crate) fn new(options: &Options, cpu_limited: bool) -> Self {
        let kind = |address: &Option<String>| match address {
            None => "embedded",
            Some(_) => "as given",
        };
        let conditions = json!({
            "profile": profile(),
            "processors": std::thread::available_parallelism().map(usize::from).unwrap_or(1),
            "architecture": std::env::consts::ARCH,
            "kafka": kind(&options.kafka),
            "dynamodb": kind(&options.dynamodb),
            "tls": options.tls,
            "cpuLimited": cpu_limited,
            "quick": options.quick,
        });
        line(&format!("Conditions: {conditions}"));
        let parts = Map::from_iter([("conditions".to_owned(), conditions)]);
        Self { path: options.output.clone(), parts }
    }

    /// Prints a table and adds the results to the file.
    pub(crate) fn add(&mut self, part: &str, table: &Section, results: Value) -> Result<()> {
        line("");
        line(table.title);
        line(&table.render());
        for note in &table.notes {
            line(note);
        }
        self.parts.insert(part.to_owned(), results);
        self.write()
    }

    fn write(&self) -> Result<()> {
        let failed =
            || format!("cannot write {} (name another file: --output)", self.path.display());
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).context(failed())?;
        let text = format!("{:#}\n", Value::Object(self.parts.clone()));
        std::fs::write(&self.path, text).context(failed())
    }
}

/// A table with its title and notes.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) header: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) notes: Vec<String>,
}

impl Section {
    pub(crate) fn new(title: &'static str, header: &[&'static str]) -> Self {
        Self { title, header: header.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    /// The table in Markdown.
    fn render(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_header(&self.header).add_rows(&self.rows);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

#[expect(clippy::print_stdout, reason = "the tables are this program's output")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints progress or an error beside the tables.
#[expect(clippy::print_stderr, reason = "progress must not appear in redirected tables")]
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}
