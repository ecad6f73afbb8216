//! Entity tags and `If-None-Match` (RFC 9110, 13.1.2).

use engine::Digest;

use crate::response::Response;

/// The response with its entity tag; 304 without a body if the client has it already.
///
/// The tag is a digest of the body.
pub(crate) fn with_etag(response: Response, if_none_match: Option<&str>) -> Response {
    let tag = format!("\"{}\"", Digest::of(response.body().as_bytes()));
    let is_known = if_none_match.is_some_and(|tags| names(tags, &tag));
    let response = if is_known { Response::empty(304) } else { response };
    // Cached by the client alone, and revalidated each time.
    response.with("etag", &tag).with("cache-control", "private, no-cache")
}

/// Compares weakly, as `If-None-Match` requires.
fn names(tags: &str, tag: &str) -> bool {
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|other| other == "*" || other.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn response(status: &str) -> Response {
        Response::new(200, "application/json", &json!({ "status": status }))
    }

    fn tag(response: &Response) -> String {
        let digest = Digest::of(response.body().as_bytes());
        format!("\"{digest}\"")
    }

    #[test]
    fn a_response_that_the_client_has_is_not_sent_again() {
        let known = tag(&response("COMPLETED"));
        for tags in [known.clone(), format!("\"other\", W/{known}"), "*".to_owned()] {
            let response = with_etag(response("COMPLETED"), Some(&tags));
            assert_eq!((response.status, response.body()), (304, ""), "{tags}");
        }
    }

    #[test]
    fn a_response_that_has_changed_is_sent() {
        let known = tag(&response("PENDING"));
        for tags in [Some(known.as_str()), Some("no tag"), None] {
            assert_eq!(with_etag(response("COMPLETED"), tags).status, 200, "{tags:?}");
        }
    }
}
