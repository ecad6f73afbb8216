//! The caller, and the customer whose orders they may see and send.
//!
//! If a claim is configured, it names the customer, and a request without it is rejected: API
//! Gateway has verified the token, so a caller cannot leave the claim out. If `CUSTOMER_CLAIM` is
//! not set, every token is rejected, because its customer is not known.

use engine::CustomerIndexKey;
use runtime::Environment;

use crate::{problem::problem, request::Request, response::Response};

/// The value of `CUSTOMER_CLAIM` that trusts every caller with a token.
const NO_CLAIM: &str = "none";

/// The claim of a token that names the customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CustomerClaim {
    /// Requests with a token are rejected.
    #[default]
    Unset,
    /// Every caller with a token is trusted with the orders of all customers.
    None,
    /// The claim of this name.
    Named(String),
}

impl CustomerClaim {
    pub(crate) fn read(environment: &mut Environment) -> Self {
        match environment.optional_text("CUSTOMER_CLAIM") {
            None => Self::Unset,
            Some(text) if text == NO_CLAIM => Self::None,
            Some(name) => Self::Named(name),
        }
    }
}

/// The caller of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller<'a> {
    /// Trusted with the orders of all customers.
    Unrestricted,
    /// Restricted to the orders of this customer.
    Customer(&'a str),
}

impl<'a> Caller<'a> {
    /// The caller that the claim names.
    pub(crate) fn of(request: &'a Request, claim: &CustomerClaim) -> Result<Self, Response> {
        let name = match claim {
            CustomerClaim::Unset if request.has_token() => {
                const DETAIL: &str = "CUSTOMER_CLAIM is not set, so no token is accepted: the \
                     operator must set it to the claim that names the customer (CustomerClaim in \
                     template.yaml), or to none if every caller may see all orders";
                tracing::error!(error = DETAIL, "configuration error");
                return Err(problem(500, DETAIL));
            }
            CustomerClaim::Unset | CustomerClaim::None => return Ok(Self::Unrestricted),
            CustomerClaim::Named(name) => name,
        };
        match request.claim(name).filter(|customer_id| !customer_id.trim().is_empty()) {
            Some(customer_id) => Ok(Self::Customer(customer_id)),
            None => Err(problem(403, &format!("the token must name the customer: claim {name}"))),
        }
    }

    pub(crate) fn may_act_for(self, customer_id: &str) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::Customer(own) => own == customer_id,
        }
    }

    /// `listed`: the order's key in the index by customer.
    pub(crate) fn may_see(self, listed: Option<&CustomerIndexKey>) -> bool {
        match (self, listed) {
            (Self::Unrestricted, _) => true,
            (Self::Customer(_), None) => false,
            (Self::Customer(_), Some(listed)) => self.may_act_for(&listed.customer_id),
        }
    }

    /// Scopes an idempotency key, so that equal keys of two customers do not collide.
    pub(crate) fn scoped(self, key: &str) -> String {
        match self {
            Self::Unrestricted => key.to_owned(),
            // A key is printable, so the last zero byte is this one.
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

    fn named() -> CustomerClaim {
        CustomerClaim::Named("sub".to_owned())
    }

    #[test]
    fn without_a_claim_set_a_signature_is_enough_and_no_token_is() {
        let unset = CustomerClaim::Unset;
        for authorizer in [json!(null), json!({ "iam": { "userId": "cust-1" } })] {
            let request = with_authorizer(&authorizer);
            assert_eq!(Caller::of(&request, &unset).unwrap(), Caller::Unrestricted);
        }
        assert!(Caller::Unrestricted.may_see(None));
        for authorizer in [
            json!({ "jwt": { "claims": { "sub": "cust-1" } } }),
            json!({ "jwt": null }),
            json!({ "lambda": { "sub": "cust-1" } }),
            json!({}),
        ] {
            let request = with_authorizer(&authorizer);
            let refused = Caller::of(&request, &unset).unwrap_err();
            assert_eq!(refused.status, 500, "{authorizer}");
            assert!(refused.body().contains("CUSTOMER_CLAIM is not set"), "{authorizer}");
            let trusted = Caller::of(&request, &CustomerClaim::None).unwrap();
            assert_eq!(trusted, Caller::Unrestricted);
        }
    }

    #[test]
    fn the_claim_is_a_name_or_the_word_none() {
        for (value, claim) in
            [("", CustomerClaim::Unset), ("none", CustomerClaim::None), ("sub", named())]
        {
            let variables = [("CUSTOMER_CLAIM".to_owned(), value.to_owned())];
            assert_eq!(CustomerClaim::read(&mut Environment::new(variables)), claim);
        }
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
            assert_eq!(Caller::of(&request, &named()).unwrap_err().status, 403, "{authorizer}");
        }
    }

    #[test]
    fn a_customer_sees_their_own_orders_only() {
        let request = with_authorizer(&json!({ "jwt": { "claims": { "sub": "cust-1" } } }));
        let caller = Caller::of(&request, &named()).unwrap();
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
