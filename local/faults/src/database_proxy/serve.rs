//! Serves one request: chooses its fault, executes it, and reports the exchange.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use tokio::time::sleep;

use super::{
    call::Call,
    exchange::{Exchange, InFlight, Observers, Recording, Reply},
    fault::{Fault, Rejection},
    limits::Limits,
    pending::{self, Hold, Injection, Pending},
    plan::FaultPlan,
    wire,
};
use crate::upstream::{Upstream, cut_off};

#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) upstream: Upstream,
    pub(super) pending: Arc<Mutex<Vec<Pending>>>,
    pub(super) plan: Arc<Mutex<Option<FaultPlan>>>,
    pub(super) limits: Arc<Mutex<Option<Arc<Limits>>>>,
    pub(super) observers: Observers,
    pub(super) in_flight: InFlight,
    pub(super) recording: Recording,
}

/// A request as it came.
pub(super) struct Incoming {
    headers: HeaderMap,
    body: Bytes,
    pub(super) call: Call,
}

/// The responses to a request, and its fault.
pub(super) struct Outcome {
    /// The response of the database.
    executed: Option<Reply>,
    /// The response for the client; `None` to cut the connection.
    response: Option<Reply>,
    fault: Option<Fault>,
}

pub(super) async fn serve(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response {
    // A separate task: the request is executed and reported even if its client disconnects.
    let served = tokio::spawn(async move { proxy.serve(headers, body).await });
    served.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Locks, also after a panic elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    async fn serve(&self, headers: HeaderMap, body: Bytes) -> Response {
        let _in_flight = self.in_flight.begin();
        let (requested_at, operation) = (Instant::now(), operation(&headers));
        self.recording.record(&operation, &body);
        let call = Call::read(&operation, &body);
        let injection = self.injection(&call);
        let incoming = Incoming { headers, body: body.clone(), call };
        let Outcome { executed, response, fault } = match injection {
            None => self.execute(incoming).await,
            Some((injection, places)) => self.inject(injection, &places, incoming).await,
        };
        let exchange = Exchange {
            requested_at,
            operation,
            request: body,
            executed,
            responded_at: Instant::now(),
            response,
            fault,
        };
        self.observers.report(&exchange);
        match exchange.response {
            Some(reply) => reply.into_response(),
            None => (StatusCode::OK, cut_off()).into_response(),
        }
    }

    /// The fault of a request: a pending one, or that of the plan.
    fn injection(&self, call: &Call) -> Option<(Injection, Vec<usize>)> {
        let taken = pending::take(&mut lock(&self.pending), call);
        taken.or_else(|| {
            let (fault, places) = lock(&self.plan).as_mut()?.draw(call)?;
            Some((Injection::Plain(fault), places))
        })
    }

    async fn inject(&self, injection: Injection, places: &[usize], incoming: Incoming) -> Outcome {
        let fault = match injection {
            Injection::Hold(hold) => return self.hold(hold, incoming).await,
            Injection::Plain(fault) => fault,
        };
        let outcome = match fault {
            Fault::ThrottleRequest => Outcome::withheld(Some(wire::throttled())),
            Fault::Reject(rejection) => Outcome::withheld(Some(rejection.reply())),
            Fault::Reset => Outcome::withheld(None),
            Fault::ThrottleItem | Fault::RejectItem(_) => {
                let code = |place| {
                    let number = places.iter().position(|it| *it == place)?;
                    fault.item_code(number)
                };
                let codes: Vec<_> = (0..incoming.call.parts().len()).map(code).collect();
                self.reject_items(&codes, incoming).await
            }
            Fault::UnprocessedKeys => self.leave_keys(places, incoming).await,
            Fault::Delay(time) => {
                sleep(time).await;
                self.execute(incoming).await
            }
            Fault::LateResponse(time) => {
                let outcome = self.execute(incoming).await;
                sleep(time).await;
                outcome
            }
            Fault::CutResponse => Outcome { response: None, ..self.execute(incoming).await },
            Fault::LoseResponse => {
                let response = Some(Rejection::InternalServerError.reply());
                Outcome { response, ..self.execute(incoming).await }
            }
            Fault::HoldResponse | Fault::ItemLimit => self.execute(incoming).await,
        };
        outcome.with(fault)
    }

    async fn hold(&self, hold: Hold, incoming: Incoming) -> Outcome {
        let outcome = self.execute(incoming).await;
        hold.reached.send(()).ok();
        hold.release.await.ok();
        outcome.with(Fault::HoldResponse)
    }

    pub(super) async fn forward(&self, incoming: Incoming) -> Outcome {
        let Incoming { headers, body, .. } = incoming;
        let executed = self.upstream.send(Method::POST, "", headers, body).await;
        let response = executed.clone().unwrap_or_else(|| wire::empty(StatusCode::BAD_GATEWAY));
        Outcome { executed, response: Some(response), fault: None }
    }

    /// Rejects parts with these codes, and executes the other statements of a batch.
    async fn reject_items(&self, codes: &[Option<&str>], incoming: Incoming) -> Outcome {
        match incoming.call.operation.as_str() {
            "BatchExecuteStatement" => self.reject_statements(codes, incoming).await,
            "TransactWriteItems" => Outcome::withheld(Some(wire::cancelled(codes))),
            _ => {
                let code = codes.iter().flatten().next().copied().unwrap_or_default();
                Outcome::withheld(Some(wire::rejected_write(code)))
            }
        }
    }

    pub(super) async fn reject_statements(
        &self,
        codes: &[Option<&str>],
        incoming: Incoming,
    ) -> Outcome {
        let executed = match wire::without_rejected(&incoming.call, codes) {
            None => None,
            Some(others) => self.execute_body(&incoming, others.to_string()).await,
        };
        let response = Some(wire::with_rejected(executed.as_ref(), codes));
        Outcome { executed, response, fault: None }
    }

    /// Reads the other keys, and lists those at these places as unprocessed.
    async fn leave_keys(&self, places: &[usize], incoming: Incoming) -> Outcome {
        let executed = match wire::keys_at(&incoming.call, places, false) {
            None => None,
            Some(others) => self.execute_body(&incoming, others.to_string()).await,
        };
        let response = wire::with_unprocessed(executed.as_ref(), &incoming.call, places);
        Outcome { executed, response: Some(response), fault: None }
    }

    async fn execute_body(&self, incoming: &Incoming, body: String) -> Option<Reply> {
        self.upstream.send(Method::POST, "", incoming.headers.clone(), body.into()).await
    }
}

impl Outcome {
    /// The outcome of a request that the database does not receive.
    pub(super) fn withheld(response: Option<Reply>) -> Self {
        Self { executed: None, response, fault: None }
    }

    pub(super) fn with(self, fault: Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }
}

/// The operation, from a header such as `DynamoDB_20120810.PutItem`.
fn operation(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.rsplit('.').next()).unwrap_or_default().to_owned()
}
