//! Servers at which people sign in.

use testkit::serving::login::provider::Provider;
use testkit::{
    powersync::PowerSync,
    program::Program,
    serving::{LOCAL_SERVE, Serving, prepared},
};

/// A service and a program at which people of `provider` sign in.
pub(super) async fn with_login(provider: &Provider) -> (PowerSync, Program) {
    let (service, mut program) = prepared(&["store-0001"], 5).await;
    program.set("SERVE__RATE_LIMIT", "0");
    provider.sign_in_at(&mut program);
    (service, program)
}

/// The same, and it serves.
pub(super) async fn serving_with(provider: &Provider) -> (PowerSync, Program, Serving) {
    let (service, program) = with_login(provider).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    (service, program, serving)
}
