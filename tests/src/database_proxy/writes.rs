//! The writes of one request, and responses that reject some of them.

use serde_json::{Value, json};

use super::Request;

const THROTTLING: &str = "com.amazonaws.dynamodb.v20120810#ThrottlingException";
const CANCELLED: &str = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
const MESSAGE: &str = "Throughput exceeds the current capacity of your table or index.";

pub(super) struct Write {
    /// Its index among the items or statements of the request.
    pub(super) place: usize,
    /// The write in JSON.
    pub(super) text: String,
}

/// The writes of a request; none for a read.
pub(super) fn of(request: &Request) -> Vec<Write> {
    let list = match request.operation.as_str() {
        "PutItem" => return vec![Write { place: 0, text: request.body.clone() }],
        "TransactWriteItems" => "TransactItems",
        "BatchExecuteStatement" => "Statements",
        _ => return Vec::new(),
    };
    let body: Value = serde_json::from_str(&request.body).expect("a request is JSON");
    let writes = body[list].as_array().into_iter().flatten().enumerate();
    writes
        .filter(|(_, item)| !is_select(item))
        .map(|(place, item)| Write { place, text: item.to_string() })
        .collect()
}

fn is_select(item: &Value) -> bool {
    let statement = item["Statement"].as_str().unwrap_or_default().trim_start();
    statement.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
}

/// The error of a request that is throttled as a whole.
pub(super) fn throttled() -> Value {
    json!({ "__type": THROTTLING, "message": MESSAGE })
}

/// The error of a transaction in which the items at these places are throttled.
pub(super) fn cancelled(body: &str, places: &[usize]) -> Value {
    let body: Value = serde_json::from_str(body).expect("a request is JSON");
    let number = body["TransactItems"].as_array().map_or(0, Vec::len);
    let reasons = (0..number).map(|place| match places.contains(&place) {
        true => json!({ "Code": "ThrottlingError", "Message": MESSAGE }),
        false => json!({ "Code": "None" }),
    });
    let reasons: Vec<Value> = reasons.collect();
    let codes: Vec<_> = reasons.iter().filter_map(|reason| reason["Code"].as_str()).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    json!({ "__type": CANCELLED, "Message": message, "CancellationReasons": reasons })
}

/// The batch without the statements at these places (`None`: no statement is left), and for each
/// statement, `true` if it was left out.
pub(super) fn without(body: &str, places: &[usize]) -> (Option<Value>, Vec<bool>) {
    let mut body: Value = serde_json::from_str(body).expect("a request is JSON");
    let statements = body["Statements"].as_array_mut().expect("a batch has statements");
    let left_out: Vec<_> = (0..statements.len()).map(|place| places.contains(&place)).collect();
    let mut places = left_out.iter();
    statements.retain(|_| places.next() == Some(&false));
    let is_empty = statements.is_empty();
    ((!is_empty).then_some(body), left_out)
}

/// The response to a batch, with a throttling error for each statement that was left out.
pub(super) fn with_throttled(response: Value, left_out: &[bool]) -> Value {
    let mut carried_out = response["Responses"].as_array().cloned().unwrap_or_default().into_iter();
    let throttled = json!({ "Error": { "Code": "ThrottlingError", "Message": MESSAGE } });
    let responses: Vec<Value> = left_out
        .iter()
        .filter_map(|is_left_out| match is_left_out {
            true => Some(throttled.clone()),
            false => carried_out.next(),
        })
        .collect();
    let mut response = if response.is_null() { json!({}) } else { response };
    response["Responses"] = responses.into();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(statements: &Value) -> Request {
        let body = json!({ "Statements": statements }).to_string();
        Request { operation: "BatchExecuteStatement".to_owned(), body }
    }

    #[test]
    fn each_statement_is_a_write_of_its_own_and_a_select_is_none() {
        let request = batch(&json!([
            { "Statement": "SELECT * FROM t WHERE k = ?", "Parameters": [{ "S": "ord-1" }] },
            { "Statement": "INSERT INTO t VALUE {'k': ?}", "Parameters": [{ "S": "ord-2" }] },
        ]));
        let writes = of(&request);
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].place, 1);
        assert!(writes[0].text.contains(r#"{"S":"ord-2"}"#));
    }

    #[test]
    fn a_throttled_statement_keeps_its_place_among_the_responses() {
        let body = json!({ "Statements": ["first", "second", "third"] }).to_string();
        let (others, left_out) = without(&body, &[1]);
        assert_eq!(others, Some(json!({ "Statements": ["first", "third"] })));
        let response = with_throttled(json!({ "Responses": [{ "n": 1 }, { "n": 3 }] }), &left_out);
        let responses = response["Responses"].as_array().unwrap();
        assert_eq!((&responses[0]["n"], &responses[2]["n"]), (&json!(1), &json!(3)));
        assert_eq!(responses[1]["Error"]["Code"], "ThrottlingError");
        assert_eq!(without(&body, &[0, 1, 2]).0, None);
    }

    #[test]
    fn a_throttled_item_cancels_its_transaction_with_a_reason_for_each_item() {
        let body = json!({ "TransactItems": [{}, {}] }).to_string();
        let error = cancelled(&body, &[1]);
        assert_eq!(error["CancellationReasons"][0]["Code"], "None");
        assert_eq!(error["CancellationReasons"][1]["Code"], "ThrottlingError");
        assert!(error["Message"].as_str().unwrap().ends_with("[None, ThrottlingError]"));
    }
}
