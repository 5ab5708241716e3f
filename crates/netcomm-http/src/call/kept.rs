//! Calls that are kept in the outbox where they cannot be made.

use http::StatusCode;
use netcomm_core::{Body, CallId, Class, Error, Event, Interest, Observation, Result, Stage, classify};

use crate::client::Client;
use crate::offline::Offline;
use crate::outbox::{Outbox, Ticket};
use crate::request::Request;
use crate::response::{Facts, Response};

/// The outbox of a call that wants to be kept where it cannot be made. Calls that change nothing are not kept.
pub(super) fn outbox_of<'c>(client: &'c Client, request: &Request) -> Option<&'c Outbox> {
    let own = request.options.resilience.as_deref().and_then(|own| own.offline);
    let is_wanted = own.unwrap_or(client.inner.offline) == Offline::Outbox && !request.method.is_safe();
    client.session.outbox.as_ref().filter(|_| is_wanted && request.options.continues.is_none())
}

/// Makes the call, unless earlier ones of its order wait; keeps it if that comes to nothing that lasts.
pub(super) async fn run(client: &Client, outbox: &Outbox, mut request: Box<Request>) -> Result<Response> {
    let method = request.method.clone();
    let uri = request.address.uri.clone();
    outbox.takes(&method, &uri, &request.headers)?;
    // Each sending has the same key, those of this call too.
    outbox.mark(&mut request.headers)?;
    let headers = request.headers.clone();
    let own = request.options.resilience.as_deref().and_then(|own| own.outbox_order.clone());
    let order = own.unwrap_or_else(|| Outbox::order_key(&request).into());
    let keep = async |body: Body, maybe_sent: bool| {
        let ticket = outbox.keep_parts(method.clone(), uri.clone(), headers.clone(), body, Some(&order), maybe_sent);
        let ticket = ticket.await?;
        client.tap().emit(Interest::DECISION, || {
            let event = Event::Kept { number: ticket.id().get(), maybe_sent };
            Observation::new(client.clock().now(), event).with_call(CallId(0), client.scope.name().cloned())
        });
        Ok(accepted(client, ticket, &uri))
    };
    if outbox.has_pending(&order) {
        return keep(std::mem::take(&mut request.body), false).await;
    }
    if request.body.try_clone().is_none() {
        let body = std::mem::take(&mut request.body);
        request.body = outbox.collect(body, &uri).await?.into();
    }
    let spare = request.body.try_clone().unwrap_or_default();
    match super::made(client, request).await {
        Ok(response) if classify(Ok(response.status())) == Class::Final => Ok(response),
        Ok(_) => keep(spare, true).await,
        Err(error) if !error.is_retryable() || error.stage() == Some(Stage::Policy) => Err(error),
        Err(error) => {
            // Several attempts: of the earlier ones the last one's failure says nothing.
            let maybe_sent = error.attempts() > 1 || !error.is_unsent();
            keep(spare, maybe_sent).await.map_err(|full: Error| full.with_source(error))
        }
    }
}

/// The answer that is made here (RFC 9110 §15.3.3).
fn accepted(client: &Client, ticket: Ticket, uri: &http::Uri) -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response.extensions_mut().insert(ticket);
    Response::new(response, Facts::of_no_exchange(uri.clone(), client.inner.policy.limits.buffered_bytes))
}
