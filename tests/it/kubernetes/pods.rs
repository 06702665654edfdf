//! Pods: nothing runs them here, but the API server decides whether they may be.

use serde_json::{Value, json};
use testkit::servers::{Answer, Kubernetes};

use super::{
    chart,
    support::{Overlay, objects_of},
};

/// A pod for each object that would make some, with the object's name.
fn pods_of(objects: &[Value]) -> Vec<(String, Value)> {
    let pod = |object: &Value| {
        let spec = &object["spec"];
        let template = [&spec["template"], &spec["jobTemplate"]["spec"]["template"]];
        let template = template.into_iter().find(|template| template.is_object())?;
        let name = object["metadata"]["name"].as_str()?.to_owned();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": template["metadata"]["labels"] },
            "spec": template["spec"],
        });
        Some((name, pod))
    };
    objects.iter().filter_map(pod).collect()
}

/// Asks whether a pod may be made, without making it.
fn try_pod(kubernetes: &Kubernetes, namespace: &str, pod: &Value) -> Answer {
    let create = ["--namespace", namespace, "create", "--dry-run=server"];
    let create = [&create[..], &["-o", "json", "-f", "-"]].concat();
    kubernetes.kubectl_with(&create, &pod.to_string())
}

#[test]
fn every_pod_is_one_of_a_namespace_that_enforces_the_restricted_standard() {
    let Some(kubernetes) = Kubernetes::shared() else {
        return;
    };
    let overlay = Overlay::new("restricted");
    kubernetes
        .kubectl(&["apply", "-k", &overlay.folder()])
        .fine();
    let namespace = kubernetes.object("restricted", "namespace", "restricted");
    let label = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(label, "restricted", "the overlay says so");
    let made = pods_of(&overlay.objects(&kubernetes));
    let charted = pods_of(&objects_of(&chart::template(&kubernetes, &[])));
    assert_eq!((made.len(), charted.len()), (4, 4));
    for (name, pod) in made.iter().chain(&charted) {
        let accepted = try_pod(&kubernetes, "restricted", pod).fine();
        let accepted: Value = serde_json::from_str(&accepted.output).unwrap();
        // No token of the API gets into a pod that does not use it.
        let volumes = accepted["spec"]["volumes"].as_array().unwrap();
        let projected = volumes
            .iter()
            .filter(|volume| volume["projected"] != Value::Null);
        assert_eq!(projected.count(), 0, "{name}");
    }

    // It is the server that decides: each of these alone makes it refuse.
    let (_, worker) = &made[0];
    for (path, value, complaint) in [
        (
            "/spec/securityContext/runAsNonRoot",
            json!(false),
            "runAsNonRoot",
        ),
        (
            "/spec/securityContext/seccompProfile",
            Value::Null,
            "seccompProfile",
        ),
        (
            "/spec/containers/0/securityContext/allowPrivilegeEscalation",
            json!(true),
            "allowPrivilegeEscalation",
        ),
        (
            "/spec/containers/0/securityContext/capabilities",
            Value::Null,
            "unrestricted capabilities",
        ),
    ] {
        let mut pod = worker.clone();
        *pod.pointer_mut(path).unwrap() = value;
        let refused = try_pod(&kubernetes, "restricted", &pod).refused();
        assert!(refused.contains("restricted:latest"), "{refused}");
        assert!(refused.contains(complaint), "{complaint}: {refused}");
    }
}

#[test]
fn a_pod_that_is_evicted_for_a_node_has_a_budget_that_lets_it_go() {
    let Some(kubernetes) = Kubernetes::shared() else {
        return;
    };
    let overlay = Overlay::new("budgets");
    kubernetes
        .kubectl(&["apply", "-k", &overlay.folder()])
        .fine();
    for (name, field, value) in [
        ("seedbed", "minAvailable", json!(1)),
        ("seedbed-worker", "maxUnavailable", json!("50%")),
    ] {
        let budget = kubernetes.object("budgets", "poddisruptionbudget", name);
        assert_eq!(budget["spec"][field], value, "{name}");
        let deployment = kubernetes.object("budgets", "deployment", name);
        let selected = &budget["spec"]["selector"]["matchLabels"];
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        for (key, value) in selected.as_object().unwrap() {
            assert_eq!(&labels[key], value, "{name}");
        }
    }
    let grace = |name: &str| {
        let deployment = kubernetes.object("budgets", "deployment", name);
        let template = deployment["spec"]["template"].clone();
        let seconds = template["spec"]["terminationGracePeriodSeconds"].as_u64();
        (
            seconds.unwrap(),
            template["metadata"]["annotations"].clone(),
        )
    };
    // cluster-autoscaler waits for at most ten minutes, whatever a pod was promised.
    for name in ["seedbed", "seedbed-worker"] {
        let (seconds, annotations) = grace(name);
        let stays = annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
            && annotations["karpenter.sh/do-not-disrupt"] == "true";
        assert!(seconds <= 600 || stays, "{name}");
    }
}
