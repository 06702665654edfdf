//! `kubectl apply -k`: the first time, again, and in another version.

use serde_json::{Value, json};
use testkit::servers::Kubernetes;

use super::support::{Overlay, deploy, objects_of};

#[test]
fn the_overlay_is_applied_and_nothing_of_it_is_lost_or_changed() {
    let Some(kubernetes) = Kubernetes::shared() else {
        return;
    };
    let overlay = Overlay::new("applied");
    let folder = overlay.folder();
    let made = overlay.objects(&kubernetes).len();
    let applied = kubernetes.kubectl(&["apply", "-k", &folder]).fine();
    assert_eq!(applied.output.lines().count(), made, "{}", applied.output);
    assert!(
        applied
            .output
            .lines()
            .all(|line| line.ends_with(" created")),
        "{}",
        applied.output
    );
    // A field that the server does not know, or sets to something else, would be a difference.
    kubernetes.kubectl(&["diff", "-k", &folder]).fine();
    // Applied again, no object is another one.
    let versions = || {
        let got = kubernetes.kubectl(&["get", "-k", &folder, "-o", "json"]);
        let objects = objects_of(&got.fine().output);
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        objects.iter().map(version).collect::<Vec<_>>()
    };
    let before = versions();
    assert_eq!(before.len(), made);
    kubernetes.kubectl(&["apply", "-k", &folder]).fine();
    assert_eq!(versions(), before);
    // Both ways of applying end in the same.
    let server_side = ["apply", "--server-side", "--force-conflicts", "-k", &folder];
    kubernetes.kubectl(&server_side).fine();
    kubernetes.kubectl(&["diff", "-k", &folder]).fine();
}

#[test]
fn another_version_is_rolled_out_and_leaves_the_number_of_workers_to_keda() {
    let Some(kubernetes) = Kubernetes::shared() else {
        return;
    };
    let overlay = Overlay::new("upgraded");
    let folder = overlay.folder();
    kubernetes.kubectl(&["apply", "-k", &folder]).fine();
    let scale = ["--namespace", "upgraded", "scale", "--replicas=7"];
    let scale = [&scale[..], &["deployment/seedbed-worker"]].concat();
    kubernetes.kubectl(&scale).fine();
    let worker = || kubernetes.object("upgraded", "deployment", "seedbed-worker");
    let before = worker();

    overlay.change(
        "images:\n\
         - { name: registry.example.com/seedbed, newTag: 9.9.9 }\n\
         - { name: registry.example.com/seedbed-worker, newTag: 9.9.9 }\n",
    );
    let difference = kubernetes.kubectl(&["diff", "-k", &folder]);
    assert_eq!(difference.code, Some(1), "{difference:?}");
    let changed = difference.output.lines();
    let changed: Vec<_> = changed
        .filter(|line| line.starts_with('+') && !line.starts_with("+++"))
        .filter(|line| !line.contains("generation:"))
        .collect();
    assert_eq!(changed.len(), 4, "an image each: {changed:?}");
    kubernetes.kubectl(&["apply", "-k", &folder]).fine();
    let after = worker();
    assert_eq!(
        after["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.example.com/seedbed-worker:9.9.9"
    );
    assert_eq!(after["spec"]["replicas"], 7, "KEDA's to say");
    let generation = |object: &Value| object["metadata"]["generation"].as_u64();
    assert_eq!(generation(&after), generation(&before).map(|n| n + 1));

    // Settings have another name with another content, so that pods restart.
    let settings = |object: &Value| {
        object["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"].clone()
    };
    overlay.change(
        "configMapGenerator:\n\
         - name: seedbed-config\n  behavior: merge\n  literals: [\"seedbed.toml=[log]\"]\n",
    );
    kubernetes.kubectl(&["apply", "-k", &folder]).fine();
    assert_ne!(settings(&worker()), settings(&after));
}

#[test]
fn what_the_manifests_leave_to_kubernetes_is_what_is_meant() {
    let Some(kubernetes) = Kubernetes::shared() else {
        return;
    };
    let overlay = Overlay::new("defaults");
    kubernetes
        .kubectl(&["apply", "-k", &overlay.folder()])
        .fine();
    let object = |kind: &str, name: &str| kubernetes.object("defaults", kind, name);
    let coordinator = object("deployment", "seedbed");
    // A quarter of two is, rounded down, none: both go on serving while the third one starts.
    assert_eq!(
        coordinator["spec"]["strategy"],
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } })
    );
    for (kind, name) in [("deployment", "seedbed"), ("deployment", "seedbed-worker")] {
        let pod = &object(kind, name)["spec"]["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Always", "{name}");
        assert_eq!(pod["dnsPolicy"], "ClusterFirst", "{name}");
        for probe in ["livenessProbe", "readinessProbe"] {
            let probe = &pod["containers"][0][probe];
            assert!(probe["timeoutSeconds"].as_u64() >= Some(1), "{name}");
            // A number would not follow a port that is changed.
            assert_eq!(probe["httpGet"]["port"], "health", "{name}");
        }
        for constraint in pod["topologySpreadConstraints"].as_array().unwrap() {
            assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway", "{name}");
        }
    }
    for name in ["seedbed-run", "seedbed-gc"] {
        let spec = &object("cronjob", name)["spec"];
        assert_eq!(spec["suspend"], false, "{name}");
        let job = &spec["jobTemplate"]["spec"];
        assert_eq!(job["template"]["spec"]["restartPolicy"], "Never", "{name}");
        assert_eq!(
            job["podFailurePolicy"]["rules"][0]["action"], "Ignore",
            "{name}"
        );
    }
    let service = object("service", "seedbed");
    assert_eq!(service["spec"]["type"], "ClusterIP");
    assert_eq!(service["spec"]["ports"][0]["protocol"], "TCP");
}

#[test]
fn without_the_operators_kinds_the_answer_names_them_and_the_rest_is_applied() {
    let Some(kubernetes) = Kubernetes::start() else {
        return;
    };
    let folder = deploy("kubernetes/overlays/example");
    let applied = kubernetes.kubectl(&["apply", "-k", &folder]);
    let page = std::fs::read_to_string(deploy("platforms/KUBERNETES.md")).unwrap();
    for kind in [
        "ScaledObject",
        "TriggerAuthentication",
        "PodMonitor",
        "ServiceMonitor",
        "PrometheusRule",
    ] {
        let says = format!("no matches for kind \"{kind}\"");
        assert!(applied.error.contains(&says), "{}", applied.error);
        assert!(page.contains(&format!("`{kind}`")), "{kind} is named");
    }
    assert!(applied.refused().lines().count() >= 5);
    kubernetes.object("seedbed", "deployment", "seedbed-worker");
}

#[test]
fn the_example_for_the_external_secrets_operator_is_accepted() {
    let Some(kubernetes) = Kubernetes::shared() else {
        return;
    };
    kubernetes
        .kubectl(&["create", "namespace", "external"])
        .fine();
    let file = deploy("helm/examples/external-secrets.yaml");
    let apply = ["--namespace", "external", "apply", "-f", &file];
    let applied = kubernetes.kubectl(&apply).fine();
    assert_eq!(applied.output.matches(" created").count(), 4);
    // It makes the Secrets that the pods name.
    let worker = kubernetes.object("external", "externalsecret", "seedbed-worker");
    assert_eq!(worker["spec"]["target"]["name"], "seedbed-worker");
}
