//! The one table of what each route needs. Devices' routes are not in it: they ask for the app's token.

use axum::http::Method;
use utoipa::openapi::{OpenApi, extensions::ExtensionsBuilder, path::Operation};

use crate::catalog::Role::{self, Admin, Operator, Viewer};

/// The routes of API and dashboard, and the least role that may use each; `None` for everybody. One that is not here is for
/// administrators, and a test asks for it to be added.
const ROUTES: &[(&str, &str, Option<Role>)] = &[
    ("GET", "/api/session", None),
    // Whoever has signed in may end that, in any role.
    ("POST", "/api/session/end", None),
    ("GET", "/api/overview", Some(Viewer)),
    ("GET", "/api/events", Some(Viewer)),
    ("GET", "/api/freshness", Some(Viewer)),
    ("GET", "/api/launches", Some(Viewer)),
    ("GET", "/api/launches.csv", Some(Viewer)),
    ("GET", "/api/sizes", Some(Viewer)),
    ("GET", "/api/sizes.csv", Some(Viewer)),
    ("GET", "/api/costs", Some(Viewer)),
    ("GET", "/api/costs.csv", Some(Viewer)),
    ("GET", "/api/runs", Some(Viewer)),
    ("GET", "/api/runs/{run_id}", Some(Viewer)),
    ("GET", "/api/runs/{run_id}/jobs", Some(Viewer)),
    ("GET", "/api/runs/{run_id}/comparison", Some(Viewer)),
    ("GET", "/api/failures", Some(Viewer)),
    ("GET", "/api/runs/{run_id}/timeline", Some(Viewer)),
    ("GET", "/api/stores", Some(Viewer)),
    ("GET", "/api/stores/{store_id}", Some(Viewer)),
    ("GET", "/api/workers", Some(Viewer)),
    ("GET", "/api/delivery", Some(Viewer)),
    ("GET", "/metrics", Some(Viewer)),
    // Whose addresses are in it is not for everybody.
    ("GET", "/api/audit", Some(Operator)),
    ("POST", "/api/runs", Some(Operator)),
    ("POST", "/api/runs/{run_id}/retry", Some(Operator)),
    ("POST", "/api/runs/{run_id}/cancel", Some(Operator)),
    ("POST", "/api/runs/{run_id}/withdraw", Some(Operator)),
    ("POST", "/api/failures/{key}/retry", Some(Operator)),
    ("POST", "/api/failures/{key}/quarantine", Some(Operator)),
    ("POST", "/api/stores/{store_id}/seed", Some(Operator)),
    ("POST", "/api/stores/{store_id}/withdraw", Some(Operator)),
    ("POST", "/api/delivery", Some(Operator)),
    // Those that the caller has made; of all, for administrators.
    ("GET", "/api/tokens", Some(Operator)),
    ("POST", "/api/tokens", Some(Operator)),
    ("POST", "/api/tokens/{id}/revoke", Some(Operator)),
    // What cannot be undone, or is about every store.
    ("POST", "/api/snapshots/withdraw", Some(Admin)),
    ("GET", "/api/forgotten", Some(Admin)),
    ("POST", "/api/stores/{store_id}/forget", Some(Admin)),
    ("POST", "/api/stores/{store_id}/allow", Some(Admin)),
];

/// The name of the role in the OpenAPI document.
const EXTENSION: &str = "x-seedbed-role";

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Needed {
    /// Nothing.
    Nothing,
    /// This role or a higher one.
    Role(Role),
    /// Another method: one of these.
    Method(String),
}

/// Returns what a request to a route needs.
pub(super) fn needed(method: &Method, route: Option<&str>) -> Needed {
    let method = match *method {
        Method::HEAD => "GET",
        _ => method.as_str(),
    };
    let Some(route) = route else {
        return Needed::Role(Admin);
    };
    match in_table(method, route) {
        Some(None) => Needed::Nothing,
        Some(Some(role)) => Needed::Role(role),
        None => {
            let methods = ROUTES.iter().filter(|(_, path, _)| *path == route);
            let methods: Vec<&str> = methods.map(|(method, ..)| *method).collect();
            match methods.is_empty() {
                true => Needed::Role(Admin),
                false => Needed::Method(methods.join(",").replace("GET", "GET,HEAD")),
            }
        }
    }
}

fn in_table(method: &str, route: &str) -> Option<Option<Role>> {
    let found = ROUTES
        .iter()
        .find(|(of, path, _)| (*of, *path) == (method, route));
    found.map(|(_, _, role)| *role)
}

/// Says in the document which role each route needs.
pub(crate) fn say_roles(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in [("GET", &mut item.get), ("POST", &mut item.post)] {
            let role = in_table(method, path).flatten();
            if let (Some(operation), Some(role)) = (operation, role) {
                say_role(operation, role);
            }
        }
    }
}

fn say_role(operation: &mut Operation, role: Role) {
    let named = ExtensionsBuilder::new().add(EXTENSION, role.name()).build();
    operation.extensions.get_or_insert_default().merge(named);
    let about = format!("For the role {role} and above.");
    let text = operation.description.take();
    operation.description = Some(match text {
        Some(text) => format!("{text}\n\n{about}"),
        None => about,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_is_not_in_the_table_is_for_administrators_and_head_is_as_get() {
        let of = |method, path| needed(&method, Some(path));
        assert_eq!(of(Method::GET, "/api/nosuch"), Needed::Role(Admin));
        assert_eq!(of(Method::HEAD, "/api/runs"), Needed::Role(Viewer));
        assert_eq!(of(Method::POST, "/api/runs"), Needed::Role(Operator));
        assert_eq!(of(Method::GET, "/api/session"), Needed::Nothing);
        let others = Needed::Method("GET,HEAD,POST".to_owned());
        assert_eq!(of(Method::DELETE, "/api/runs"), others);
    }

    #[test]
    fn only_get_is_for_viewers_and_no_route_is_there_twice() {
        let mut seen = std::collections::HashSet::new();
        for (method, path, role) in ROUTES {
            assert!(seen.insert((method, path)), "{method} {path}");
            assert!(
                *method == "GET"
                    || *path == "/api/session/end"
                    || role.is_some_and(|role| role > Viewer),
                "{method} {path}"
            );
        }
    }
}
