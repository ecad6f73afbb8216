//! The HTTP API at the edges of HTTP: limits, malformed requests, and the event of a request.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at an error")]

mod greeter;

use std::time::Duration;

use emulator::stack::Stack;
use greeter::start;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends these bytes after `Host`; returns the status and the body.
async fn send(stack: &Stack, line: &str, rest: &[u8]) -> (u16, String) {
    let url = stack.api_url().unwrap();
    let address = url.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    connection.write_all(&[head.as_bytes(), rest].concat()).await.unwrap();
    let mut response = Vec::new();
    timeout(Duration::from_secs(30), connection.read_to_end(&mut response)).await.unwrap().ok();
    let response = String::from_utf8_lossy(&response).into_owned();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn event(stack: &Stack, line: &str, rest: &[u8]) -> Value {
    let (status, body) = send(stack, line, rest).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["event"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_receives_the_event_that_api_gateway_sends() {
    let (stack, _workspace) = start().await;
    let rest = b"Accept: a\r\naccept: b\r\nCookie: c=1; d=2\r\n\r\n";
    let event = event(&stack, "GET /a%20b/%C3%BC?q=%20x&q=y", rest).await;
    assert_eq!(event["rawPath"], "/a b/ü");
    assert_eq!(event["rawQueryString"], "q=%20x&q=y");
    assert_eq!(event["queryStringParameters"], json!({ "q": " x,y" }));
    assert_eq!(event["headers"]["accept"], "a,b");
    assert_eq!(event["cookies"], json!(["c=1", "d=2"]));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_beyond_a_limit_is_rejected_as_by_api_gateway() {
    let (stack, _workspace) = start().await;
    let header = |bytes: usize| format!("X: {}\r\n\r\n", "x".repeat(bytes));
    assert_eq!(send(&stack, "GET /", header(10_000).as_bytes()).await.0, 200);
    let too_long = (431, r#"{"message":"Request Header Fields Too Large"}"#.to_owned());
    assert_eq!(send(&stack, "GET /", header(10_240).as_bytes()).await, too_long);
    let line = format!("GET /?{}", "q".repeat(10_240));
    assert_eq!(send(&stack, &line, b"\r\n").await, too_long);
    // In base64, 5 MB exceed Lambda's limit of 6 MB.
    let head = b"Content-Length: 5000000\r\n\r\n";
    let response = send(&stack, "POST /", &[&head[..], &vec![0xff; 5_000_000]].concat()).await;
    assert_eq!(response, (413, r#"{"message":"Request Entity Too Large"}"#.to_owned()));
    let announced = send(&stack, "POST /", b"Content-Length: 7000000\r\n\r\n").await;
    assert_eq!(announced, (413, r#"{"message":"Request Entity Too Large"}"#.to_owned()));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_a_bad_request() {
    let (stack, _workspace) = start().await;
    let chunked = |chunks: &str| format!("Transfer-Encoding: chunked\r\n\r\n{chunks}");
    let fine = chunked("2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(event(&stack, "POST /", fine.as_bytes()).await["body"], "aGk=");
    for chunks in ["x\r\nhi\r\n", "2\r\nhi-\r\n", "FFFFFFFFFFFFFFFFF\r\n"] {
        let response = send(&stack, "POST /", chunked(chunks).as_bytes()).await;
        assert_eq!(response, (400, r#"{"message":"Bad Request"}"#.to_owned()), "{chunks:?}");
    }
    for rest in ["Host: localhost\r\n\r\n", "no colon\r\n\r\n"] {
        assert_eq!(send(&stack, "GET /", rest.as_bytes()).await.0, 400, "{rest:?}");
    }
    stack.stop().await;
}
