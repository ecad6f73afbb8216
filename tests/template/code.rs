//! Reads from the sources what the code uses, so that no second list must be kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use contracts::{EventType, StageName, Topic};
use workflow_tests::world::root;

/// What every function runs beside its own sources.
const SHARED: [&str; 2] = ["shared/engine/src", "shared/runtime/src"];

/// The files that hold every statement on the orders table.
const STORE: [&str; 2] = ["shared/engine/src/orders_table.rs", "shared/engine/src/transaction.rs"];

/// Statements of the store, and what each has to be allowed.
const ACTIONS: [(&str, &str); 7] = [
    (".put_item()", "dynamodb:PutItem"),
    ("TransactWriteItem::builder().put(", "dynamodb:PutItem"),
    (".get_item()", "dynamodb:GetItem"),
    (".batch_get_item()", "dynamodb:BatchGetItem"),
    (".query()", "dynamodb:Query"),
    (".delete_item()", "dynamodb:DeleteItem"),
    (".update_item()", "dynamodb:UpdateItem"),
];

/// The index that the store lists a customer's orders from.
const CUSTOMER_INDEX: &str = "OrdersByCustomer";

/// An action and the index on which it happens; `None` for the table itself.
pub(crate) type TableAction = (&'static str, Option<&'static str>);

/// The sources of one function, with neither comments, tests nor spaces.
pub(crate) struct Code(String);

impl Code {
    pub(crate) fn of_function(binary: &str) -> Self {
        Self(sources(format!("functions/{binary}/src")))
    }

    pub(crate) fn of_folder(folder: &str) -> Self {
        Self(sources(folder))
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    /// The stages that the function runs, as each `impl Stage` names its own.
    pub(crate) fn stages(&self) -> Vec<StageName> {
        let stages = self.0.split("implStagefor").skip(1).map(|text| {
            let name = word_after(text, "constNAME:StageName=StageName::");
            *StageName::ALL.iter().find(|it| format!("{it:?}") == name).expect(name)
        });
        stages.collect()
    }

    /// The events that are published: by stages, as the first event of an order, and as reports of
    /// malformed records.
    pub(crate) fn published(&self) -> BTreeSet<EventType> {
        let stages: Vec<_> = self.stages().into_iter().map(StageName::spec).collect();
        let mut published: BTreeSet<_> =
            stages.iter().flat_map(|spec| spec.published_events()).collect();
        let made = self.0.split("StoredEvent::new(").skip(1);
        published.extend(made.flat_map(|text| events(between(text, "", ","))));
        let consumed = stages.iter().flat_map(|spec| topics(spec.consumed_events()));
        published.extend(consumed.filter_map(Topic::malformed_failure));
        published
    }

    /// The variables that are read: those that must be there, and those that may be left out.
    pub(crate) fn variables(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let reads = self.0.split("environment.").skip(1).filter_map(|text| {
            let (method, rest) = text.split_once("(\"")?;
            let is_read = is_word(method) && method != "refuse";
            is_read.then(|| (method.starts_with("optional"), word(rest).to_owned()))
        });
        let (optional, needed): (Vec<_>, Vec<_>) = reads.partition(|(optional, _)| *optional);
        let names = |reads: Vec<(bool, String)>| reads.into_iter().map(|(_, name)| name).collect();
        (names(needed), names(optional))
    }

    /// The routes, such as `GET /orders/{orderId}`.
    pub(crate) fn routes(&self) -> BTreeSet<String> {
        let arms = self.0.split("(\"").skip(1).filter_map(|text| text.split_once("\",["));
        let routes = arms.filter(|(method, _)| is_word(method)).map(|(method, rest)| {
            let segments =
                between(rest, "", "])").split(',').map(|it| match it.trim_matches('"') {
                    "order_id" => "{orderId}".to_owned(),
                    text => text.to_owned(),
                });
            format!("{method} /{}", segments.collect::<Vec<_>>().join("/"))
        });
        routes.collect()
    }

    /// Whether rows of the function's own table change together with the stage's row.
    pub(crate) fn has_effects(&self) -> bool {
        self.contains("Update::builder()")
    }

    /// What the orders table has to allow a function with these sources.
    pub(crate) fn actions_on_orders(&self) -> BTreeSet<TableAction> {
        let statements = statements();
        let shared = Code(SHARED.map(sources).concat());
        let called = |name: &str| [&shared, self].iter().any(|code| code.calls_store(name));
        let called = statements.iter().filter(|(name, _)| called(name));
        called.flat_map(|(_, actions)| actions.iter().copied()).collect()
    }

    fn calls_store(&self, method: &str) -> bool {
        ["store", "orders"].iter().any(|it| self.contains(&format!("{it}.{method}(")))
    }

    /// The time that a constant holds.
    pub(crate) fn seconds(&self, constant: &str) -> Duration {
        let text = between(&self.0, &format!("const{constant}:Duration=Duration::from_secs("), ")");
        Duration::from_secs(text.parse().expect(constant))
    }
}

/// What each method of the store has to be allowed, with what it calls in turn.
fn statements() -> BTreeMap<String, BTreeSet<TableAction>> {
    let store = STORE.map(sources).concat();
    let methods: Vec<_> = store.split("asyncfn").skip(1).map(|text| (word(text), text)).collect();
    let mut statements = BTreeMap::new();
    // A second round sees what the first one learned of the methods that are called.
    for _ in 0..2 {
        for (name, body) in &methods {
            let own = ACTIONS.iter().filter(|(call, _)| body.contains(call));
            let index = body.contains(".index_name(CUSTOMER_INDEX)").then_some(CUSTOMER_INDEX);
            let mut actions: BTreeSet<_> = own.map(|(_, action)| (*action, index)).collect();
            for (other, of_other) in &statements {
                if body.contains(&format!("self.{other}(")) {
                    actions.extend(of_other);
                }
            }
            statements.insert((*name).to_owned(), actions);
        }
    }
    statements
}

/// Everything of a file, or of the files of a folder and those in it, that is compiled into a function.
fn sources(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    if path.is_file() {
        return code(&path);
    }
    let entries = fs::read_dir(&path).expect("the folder of sources is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a source is there").path()).collect();
    files.sort();
    files.iter().map(sources).collect()
}

fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a source is readable");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.chars().filter(|letter| !letter.is_whitespace())).collect()
}

fn events(text: &str) -> Vec<EventType> {
    let names = text.split("EventType::").skip(1).map(word);
    names.filter_map(EventType::from_name).collect()
}

/// The topics of some events.
pub(crate) fn topics(events: impl IntoIterator<Item = EventType>) -> BTreeSet<Topic> {
    events.into_iter().map(EventType::topic).collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).expect(start);
    rest.split(end).next().unwrap_or_default()
}

fn word_after<'a>(text: &'a str, start: &str) -> &'a str {
    word(text.split_once(start).expect(start).1)
}

fn word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && word(text) == text
}
