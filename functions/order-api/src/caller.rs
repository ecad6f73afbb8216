//! Who is calling, and whose orders may they see and send?
//!
//! Where a claim is set, it names the customer, and a request without it is refused: a token is
//! what API Gateway has checked, so that nobody gets here by leaving it out.

use engine::CustomerIndexKey;

use crate::{answer::Answer, problem::problem, request::Request};

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller<'a> {
    /// Somebody trusted with the orders of all customers.
    Unrestricted,
    /// This customer.
    Customer(&'a str),
}

impl<'a> Caller<'a> {
    /// The caller that the claim of this name says; anybody where no claim is set.
    pub(crate) fn of(request: &'a Request, claim: Option<&str>) -> Result<Self, Answer> {
        let Some(name) = claim else { return Ok(Self::Unrestricted) };
        match request.claim(name).filter(|customer_id| !customer_id.trim().is_empty()) {
            Some(customer_id) => Ok(Self::Customer(customer_id)),
            None => Err(problem(403, &format!("the token must say the customer: claim {name}"))),
        }
    }

    /// Whether the caller may deal with the orders of this customer.
    pub(crate) fn may_act_for(self, customer_id: &str) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::Customer(own) => own == customer_id,
        }
    }

    /// Whether the caller may deal with an order that is listed there.
    pub(crate) fn may_see(self, listed: Option<&CustomerIndexKey>) -> bool {
        match (self, listed) {
            (Self::Unrestricted, _) => true,
            (Self::Customer(_), None) => false,
            (Self::Customer(_), Some(listed)) => self.may_act_for(&listed.customer_id),
        }
    }

    /// What an idempotency key is told apart by: two customers' same keys never meet.
    pub(crate) fn scoped(self, key: &str) -> String {
        match self {
            Self::Unrestricted => key.to_owned(),
            // A key is printable, so that the last zero byte is this one.
            Self::Customer(customer_id) => format!("{customer_id}\0{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::tests::request;

    fn with_authorizer(authorizer: &Value) -> Request {
        request(&json!({
            "rawPath": "/orders",
            "requestContext": { "http": { "method": "GET" }, "authorizer": authorizer },
        }))
    }

    #[test]
    fn without_a_claim_set_nothing_is_asked_for() {
        for authorizer in [json!(null), json!({ "jwt": { "claims": { "sub": "cust-1" } } })] {
            let request = with_authorizer(&authorizer);
            assert_eq!(Caller::of(&request, None).unwrap(), Caller::Unrestricted);
        }
        assert!(Caller::Unrestricted.may_see(None));
    }

    #[test]
    fn a_request_without_the_claim_is_refused() {
        for authorizer in [
            json!(null),
            json!({ "iam": { "userId": "cust-1" } }),
            json!({ "jwt": null }),
            json!({ "jwt": { "claims": {} } }),
            json!({ "jwt": { "claims": { "sub": " " } } }),
            json!({ "jwt": { "claims": { "sub": 1 } } }),
        ] {
            let request = with_authorizer(&authorizer);
            assert_eq!(Caller::of(&request, Some("sub")).unwrap_err().status, 403, "{authorizer}");
        }
    }

    #[test]
    fn a_customer_sees_their_own_orders_only() {
        let request = with_authorizer(&json!({ "jwt": { "claims": { "sub": "cust-1" } } }));
        let caller = Caller::of(&request, Some("sub")).unwrap();
        let listed = |customer_id: &str| CustomerIndexKey {
            customer_id: customer_id.to_owned(),
            accepted_at: String::new(),
        };
        assert!(caller.may_see(Some(&listed("cust-1"))));
        assert!(!caller.may_see(Some(&listed("cust-2"))));
        assert!(!caller.may_see(None));
    }

    #[test]
    fn the_same_key_of_two_callers_is_two_keys() {
        let keys = [
            Caller::Unrestricted.scoped("key"),
            Caller::Customer("cust-1").scoped("key"),
            Caller::Customer("cust-2").scoped("key"),
            Caller::Customer("cust-1\0k").scoped("ey"),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{key:?}");
        }
    }
}
