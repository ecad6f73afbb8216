//! A message of the dead-letter topic: a dead letter, or the receipt of a redrive.
//!
//! The readers are private to the redrive tool, whose public ways in need a broker, so their files
//! are compiled here.

#[expect(dead_code, reason = "the tool uses more of it")]
#[path = "../../../tools/redrive/src/message.rs"]
pub(crate) mod message;
// Its unit tests, which lints compile here too, use all of it.
#[cfg_attr(not(test), expect(dead_code, reason = "the tool uses more of it"))]
#[path = "../../../tools/redrive/src/receipt.rs"]
pub(crate) mod receipt;

use receipt::Receipt;

pub(crate) fn run(input: &[u8]) {
    if let Some(receipt) = Receipt::read(input) {
        let written = receipt.write().unwrap_or_default();
        assert_eq!(Receipt::read(&written), Some(receipt));
    }
    let content = message::read(input);
    assert!(!content.claims.is_empty(), "a message without records has no error");
    for claim in &content.claims {
        match claim {
            Ok(claim) => {
                let position = &claim.position;
                assert!((1..=249).contains(&position.topic.len()), "{position}");
                assert!(position.partition >= 0 && position.offset >= 0, "{position}");
            }
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
}
