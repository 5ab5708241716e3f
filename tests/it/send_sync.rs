//! What users hold can be sent to other tasks and shared among them.

fn send<T: Send>() {}
fn send_and_sync<T: Send + Sync>() {}
fn cheap_handle<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}

/// Checks each type of a list; it need not run.
macro_rules! all {
    ($check:ident: $($kind:ty),+ $(,)?) => {
        $($check::<$kind>();)+
    };
}

#[test]
fn core() {
    use netcomm_core::{
        AlwaysOnline, AnyDial, AnyTransport, Body, CallId, Clock, ConnectInfo, Connectivity, Endpoint, Env, Error,
        ErrorKind, Event, ForwardProxy, Host, Interest, Io, Limits, MinRate, Network, NetworkChange, Observation,
        Observe, Pattern, Phase, Policy, PrivateAddresses, Reach, Redacted, Scope, ScopeBuilder, Secret, Sleep, Steps,
        Tap, Target, Timeouts, TlsInfo, TlsTarget,
    };
    use std::sync::Arc;

    all!(send: Body, Io, NetworkChange);
    all!(send_and_sync:
        AlwaysOnline, CallId, ConnectInfo, Endpoint, Error, ErrorKind, Event, ForwardProxy, Host, Interest, Limits,
        MinRate, Network, Observation, Pattern, Phase, Policy, PrivateAddresses, Reach, Redacted<'_>, ScopeBuilder,
        Secret, Sleep, Steps, Target, Timeouts, TlsInfo, TlsTarget, Arc<dyn Clock>, Arc<dyn Connectivity>,
        Arc<dyn Observe>,
    );
    all!(cheap_handle: AnyDial, AnyTransport, Env, Scope, Secret, Tap);
}

#[test]
fn http() {
    use netcomm_http::batch::{
        Answers, Batcher, BatcherBuilder, Encoded, Json, JsonArray, JsonRpc, MultipartMixed, RpcCall, RpcError,
    };
    use netcomm_http::testing::{
        Gate, ReceivedRequest, Recorder, Recording, Replayer, Reply, Script, ScriptedServer, ScriptedServerBuilder,
    };
    use netcomm_http::{Client, ClientBuilder, Request, RequestBuilder, Response};

    all!(send: BatcherBuilder<JsonRpc>, Request, RequestBuilder, Response);
    all!(send_and_sync: ClientBuilder, ReceivedRequest, Recording, Reply, Script, ScriptedServerBuilder);
    all!(send_and_sync:
        Answers<Json>, Encoded<usize>, Json, JsonArray, JsonRpc, MultipartMixed, RpcCall, RpcError,
    );
    all!(cheap_handle: Batcher<JsonRpc>, Batcher<MultipartMixed>, Client, Gate, Recorder, Replayer, ScriptedServer);
}

#[test]
fn fixtures() {
    use netcomm_tests::{
        CollectingObserver, ManualClock, ManualConnectivity, ScriptedDialer, TestCa, TestIdentity, TokioClock,
    };

    all!(send_and_sync: TestCa, TestIdentity);
    all!(cheap_handle: CollectingObserver, ManualClock, ManualConnectivity, ScriptedDialer, TokioClock);
}
