//! Serves one request: chooses its fault, executes it, and reports the exchange.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use tokio::time::sleep;

use super::{
    call::Call,
    exchange::{Exchange, InFlight, Observers, Recording},
    execution::{Execution, Incoming, Outcome, lock},
    fault::{Fault, Rejection},
    pending::{self, Hold, Injection, Pending},
    plan::FaultPlan,
    wire,
};
use crate::upstream::cut_off;

#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) execution: Execution,
    pub(super) pending: Arc<Mutex<Vec<Pending>>>,
    pub(super) plan: Arc<Mutex<Option<FaultPlan>>>,
    pub(super) observers: Observers,
    pub(super) in_flight: InFlight,
    pub(super) recording: Recording,
}

pub(super) async fn serve(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response {
    // A separate task: the request is executed and reported even if its client disconnects.
    let served = tokio::spawn(async move { proxy.serve(headers, body).await });
    served.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
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
            None => self.execution.execute(incoming).await,
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
                self.execution.reject_items(&codes, incoming).await
            }
            Fault::UnprocessedKeys => self.execution.leave_keys(places, incoming).await,
            Fault::Delay(time) => {
                sleep(time).await;
                self.execution.execute(incoming).await
            }
            Fault::LateResponse(time) => {
                let outcome = self.execution.execute(incoming).await;
                sleep(time).await;
                outcome
            }
            Fault::CutResponse => {
                Outcome { response: None, ..self.execution.execute(incoming).await }
            }
            Fault::LoseResponse => {
                let response = Some(Rejection::InternalServerError.reply());
                Outcome { response, ..self.execution.execute(incoming).await }
            }
            Fault::HoldResponse | Fault::ItemLimit => self.execution.execute(incoming).await,
        };
        outcome.with(fault)
    }

    async fn hold(&self, mut hold: Hold, incoming: Incoming) -> Outcome {
        let outcome = self.execution.execute(incoming).await;
        if let Some(reached) = hold.reached.take() {
            reached.send(()).ok();
        }
        hold.release.changed().await.ok();
        outcome.with(Fault::HoldResponse)
    }
}

/// The operation, from a header such as `DynamoDB_20120810.PutItem`.
fn operation(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.rsplit('.').next()).unwrap_or_default().to_owned()
}
