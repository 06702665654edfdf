//! Servers at which people sign in.

use testkit::{
    login::provider::{CLIENT, Provider, SECRET},
    powersync::PowerSync,
    program::Program,
    serving::{LOCAL_SERVE, Serving, prepared},
};

/// Where the provider leads back to, whatever the port is: a test's browser goes there by itself.
pub(super) const REDIRECT: &str = "https://seedbed.example.com/login/callback";

/// A service and a program at which people of `provider` sign in.
pub(super) async fn with_login(provider: &Provider) -> (PowerSync, Program) {
    let (service, mut program) = prepared(&["store-0001"], 5).await;
    program.set("SERVE__RATE_LIMIT", "0");
    program.set("LOGIN__ISSUER", &provider.url);
    program.set("LOGIN__CLIENT_ID", CLIENT);
    program.set("LOGIN__CLIENT_SECRET", SECRET);
    program.set("LOGIN__REDIRECT_URL", REDIRECT);
    program.set("LOGIN__ADMINS", "root");
    program.set("LOGIN__OPERATORS", "ops, duty");
    program.set("LOGIN__VIEWERS", "staff");
    (service, program)
}

/// The same, and it serves.
pub(super) async fn serving_with(provider: &Provider) -> (PowerSync, Program, Serving) {
    let (service, program) = with_login(provider).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    (service, program, serving)
}
