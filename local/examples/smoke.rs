use local::stack::{Stack, StackOptions};
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let t = std::time::Instant::now();
    let stack = Stack::start(StackOptions {
        port: 0,
        function_dir: std::env::var("FDIR").ok().map(Into::into),
        ..Default::default()
    })
    .await;
    let stack = match stack {
        Ok(s) => s,
        Err(e) => {
            println!("ERR {e}");
            let mut s = std::error::Error::source(&e);
            while let Some(x) = s {
                println!(": {x}");
                s = x.source();
            }
            return;
        }
    };
    println!("started {:?} {:?}", t.elapsed(), stack.environment());
    let c = stack.database.client();
    c.put_item()
        .table_name(stack.table("StockTable"))
        .item("sku", aws_sdk_dynamodb::types::AttributeValue::S("A".into()))
        .item("available", aws_sdk_dynamodb::types::AttributeValue::N("1000000".into()))
        .item("reserved", aws_sdk_dynamodb::types::AttributeValue::N("0".into()))
        .send()
        .await
        .unwrap();
    c.put_item()
        .table_name(stack.table("AccountsTable"))
        .item("customerId", aws_sdk_dynamodb::types::AttributeValue::S("C1".into()))
        .item("balance", aws_sdk_dynamodb::types::AttributeValue::N("100000000".into()))
        .send()
        .await
        .unwrap();
    if let Some(n) = std::env::args().nth(1) {
        use futures::StreamExt;
        let n: usize = n.parse().unwrap();
        let http = reqwest::Client::new();
        let mut tap = local::tap::Tap::start(&stack.broker, &["order.completed", "order.failed"])
            .await
            .unwrap();
        let t = std::time::Instant::now();
        let url = format!("{}/orders", stack.api_url().unwrap());
        let post = futures::stream::iter(0..n).for_each_concurrent(32, |_| { let (http, url) = (http.clone(), url.clone()); async move {
            let r = http.post(url).body(r#"{"customerId":"C1","items":[{"sku":"A","quantity":1}],"totalAmount":10.50}"#).send().await.unwrap();
            if r.status() != 202 { println!("{} {}", r.status(), r.text().await.unwrap()); }
        }});
        let (_, _) = futures::join!(
            async {
                post.await;
                println!("posted {:?}", t.elapsed())
            },
            async {
                for i in 0..n {
                    tap.next().await;
                    if i % 1000 == 999 {
                        println!("{} at {:?}", i + 1, t.elapsed());
                    }
                }
            }
        );
        println!("all ended {:?}", t.elapsed());
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    } else {
        tokio::signal::ctrl_c().await.unwrap();
    }
    for (id, m) in &stack.mappings {
        println!("{id} {:?}", m.counts().snapshot());
    }
    println!("{:?}", stack.functions.as_ref().unwrap().outcomes().snapshot());
    let t = std::time::Instant::now();
    stack.stop().await;
    println!("stopped {:?}", t.elapsed());
}
