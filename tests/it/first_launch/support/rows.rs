//! What the stores of the clients' tests hold, and what their clients subscribe to.

use serde_json::{Value, json};
use testkit::powersync::{PowerSync, Products, Source, StreamDefinition, SyncConfig};

/// Generated products of a store, unless a test says otherwise.
pub(super) const PRODUCTS: u32 = 300;

/// The same for all, so that a product can be found by its index.
const SEED: u64 = 1;

/// Products that every client of a store gets, and orders for those that subscribe to them.
pub(super) fn streams() -> SyncConfig {
    let store = || Source::claim("store_id");
    SyncConfig::streams([
        StreamDefinition::new("store_products", "products").parameter("store_id", store()),
        StreamDefinition::new("orders_by_status", "orders")
            .parameter("store_id", store())
            .parameter("status", Source::subscription("status"))
            .on_demand(),
    ])
}

/// What snapshots and apps subscribe to, in Seedbed's settings.
pub(super) const STREAM: &str = r#"
[[streams]]
stream = "orders_by_status"
parameters = { status = "open" }
"#;

/// The same as a request has it.
pub(super) fn subscriptions() -> Value {
    json!([{"stream": "orders_by_status", "parameters": {"status": "open"}, "override_priority": null}])
}

pub(super) fn add_store(service: &PowerSync, store: &str, products: u32) {
    service.add_generated_store(store, products, SEED);
    for number in 1..=10 {
        put_order(service, store, number, number);
    }
}

/// Every third order is closed.
fn put_order(service: &PowerSync, store: &str, number: u32, total: u32) {
    let status = if number.is_multiple_of(3) {
        "closed"
    } else {
        "open"
    };
    let id = format!("{store}-{number}");
    let order = json!({"id": id, "store_id": store, "status": status, "total": total});
    service.put("orders", order);
}

/// 20 products are changed, 20 removed, 5 orders that the store's clients have are changed and 5 are new.
pub(in super::super) fn change_50_rows(service: &PowerSync, store: &str) {
    let products = Products::new(store, PRODUCTS, SEED);
    for index in 0..20 {
        let id = products.id(index);
        service.put(
            "products",
            json!({"id": id, "store_id": store, "name": "Changed", "quantity": index}),
        );
        assert!(service.remove("products", &products.id(100 + index)));
    }
    for number in [1, 2, 4, 5, 7, 100, 101, 103, 104, 106] {
        put_order(service, store, number, 1000);
    }
}
