//! Fuzz targets: one for each reader of bytes from outside, with the properties that must hold.
//!
//! A target panics if a property does not hold. libFuzzer runs it (`scripts/check-fuzz`), and so
//! does the test of the corpus, on every build. Every target is also held to a limit of memory:
//! [`Target::memory_limit`].
#![expect(clippy::indexing_slicing, reason = "a JSON value without that field is null")]

mod batch;
mod dead_letter;
mod envelope;
mod filter;
mod http_request;
mod invocation;
mod memory;
// The dead letter's files expect it at the root of their crate.
#[path = "../../../tools/redrive/src/position.rs"]
mod position;
mod stages;
mod stored_row;
mod stripe;
mod template;
mod trace_context;

/// A reader of bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its folder in `corpus/`.
    pub name: &'static str,
    /// Starts the servers that it needs, which do not count as memory for an input.
    start: fn(),
    /// Panics if a property does not hold.
    run: fn(&[u8]),
    /// The memory that it may take for any input, in bytes.
    base_bytes: usize,
}

/// The allocator's unit of memory from the kernel, and the pages of code that run for the first time,
/// in bytes.
const BASE_BYTES: usize = 16 * 1024 * 1024;

/// The memory for each byte of the input: a number such as `1,` is 2 bytes of it and a node of 72 in
/// a tree, whose vectors double, and a copy is made of the tree.
const BYTES_PER_BYTE: usize = 256;

impl Target {
    /// Target of a reader.
    const fn of_reader(name: &'static str, run: fn(&[u8])) -> Self {
        Self { name, start: || (), run, base_bytes: BASE_BYTES }
    }

    /// Target of the reader of templates: a node of the tree for each alias, up to the parser's own
    /// limit of a million.
    const fn of_template(name: &'static str, run: fn(&[u8])) -> Self {
        Self { name, start: || (), run, base_bytes: 24 * BASE_BYTES }
    }

    /// Target that runs the stages, beside the threads of its servers.
    const fn of_stages(name: &'static str, run: fn(&[u8])) -> Self {
        Self { name, start: stages::start, run, base_bytes: 4 * BASE_BYTES }
    }

    /// The most memory that the target may take, in bytes.
    #[must_use]
    pub const fn memory_limit(&self, input: &[u8]) -> usize {
        self.base_bytes + BYTES_PER_BYTE * input.len()
    }

    /// The target of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Runs the target.
    ///
    /// # Panics
    /// If a property does not hold, or if the target takes more memory than [`Self::memory_limit`].
    pub fn check(&self, input: &[u8]) {
        (self.start)();
        let Some(taken) = memory::growth(|| (self.run)(input)) else { return };
        let (limit, length) = (self.memory_limit(input), input.len());
        assert!(
            taken <= limit,
            "{taken} bytes of memory for {length} bytes of input: above {limit}"
        );
    }
}

/// All targets.
pub const TARGETS: [Target; 10] = [
    Target::of_reader("envelope", envelope::run),
    Target::of_reader("trace_context", trace_context::run),
    Target::of_reader("invocation", invocation::run),
    Target::of_reader("stored_row", stored_row::run),
    Target::of_reader("dead_letter", dead_letter::run),
    Target::of_reader("stripe", stripe::run),
    Target::of_reader("filter", filter::run),
    Target::of_template("template", template::run),
    Target::of_stages("http_request", http_request::run),
    Target::of_stages("batch", batch::run),
];

/// Holds for text that a log, a header or a terminal takes as one line.
fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
