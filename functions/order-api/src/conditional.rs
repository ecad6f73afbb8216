//! Does the client have this answer already? Entity tags and `If-None-Match` (RFC 9110, 13.1.2).

use engine::Digest;

use crate::answer::Answer;

/// The answer with its entity tag; 304 without a body where the client has it already.
///
/// The tag is a digest of the body, so that it changes with whatever the answer says.
pub(crate) fn tagged(answer: Answer, if_none_match: Option<&str>) -> Answer {
    let tag = format!("\"{}\"", Digest::of(answer.body().as_bytes()));
    let is_known = if_none_match.is_some_and(|tags| names(tags, &tag));
    let answer = if is_known { Answer::empty(304) } else { answer };
    // Kept by the client alone, and asked about each time.
    answer.with("etag", &tag).with("cache-control", "private, no-cache")
}

/// Whether a list of tags, weak ones included, names this one.
fn names(tags: &str, tag: &str) -> bool {
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|other| other == "*" || other.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: &str) -> Answer {
        Answer::new(200, "application/json", &json!({ "status": status }))
    }

    fn tag(answer: &Answer) -> String {
        let digest = Digest::of(answer.body().as_bytes());
        format!("\"{digest}\"")
    }

    #[test]
    fn an_answer_that_the_client_has_is_not_sent_again() {
        let known = tag(&answer("COMPLETED"));
        for tags in [known.clone(), format!("\"other\", W/{known}"), "*".to_owned()] {
            let answer = tagged(answer("COMPLETED"), Some(&tags));
            assert_eq!((answer.status, answer.body()), (304, ""), "{tags}");
        }
    }

    #[test]
    fn an_answer_that_has_changed_is_sent() {
        let known = tag(&answer("PENDING"));
        for tags in [Some(known.as_str()), Some("no tag"), None] {
            assert_eq!(tagged(answer("COMPLETED"), tags).status, 200, "{tags:?}");
        }
    }
}
