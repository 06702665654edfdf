//! `helm install`, `upgrade`, `rollback` and `uninstall`.

use serde_json::Value;
use testkit::servers::Kubernetes;

use super::support::deploy;

/// The arguments of every call: the chart, and the values and settings of its example.
fn chart() -> Vec<String> {
    let settings = deploy("kubernetes/overlays/example/seedbed.toml");
    vec![
        "seedbed".to_owned(),
        deploy("helm/seedbed"),
        format!("--values={}", deploy("helm/examples/values.yaml")),
        format!("--set-file=settings={settings}"),
    ]
}

fn helm(kubernetes: &Kubernetes, namespace: &str, verb: &str, more: &[&str]) -> String {
    let chart = chart();
    let chart = chart.iter().map(String::as_str);
    let mut arguments = vec![verb, "--namespace", namespace];
    arguments.extend(chart);
    arguments.extend(more);
    kubernetes.helm(&arguments).fine().output
}

/// What the chart makes, as JSON by kubectl.
pub(super) fn template(kubernetes: &Kubernetes, more: &[&str]) -> String {
    let made = helm(kubernetes, "restricted", "template", more);
    let create = ["create", "--dry-run=client", "--validate=false"];
    let create = [&create[..], &["-o", "json", "-f", "-"]].concat();
    kubernetes.kubectl_with(&create, &made).fine().output
}

#[test]
fn a_release_is_installed_upgraded_rolled_back_and_leaves_nothing() {
    let Some(kubernetes) = Kubernetes::shared() else {
        return;
    };
    let name = "released";
    kubernetes.kubectl(&["create", "namespace", name]).fine();
    let label = "pod-security.kubernetes.io/warn=restricted";
    kubernetes
        .kubectl(&["label", "namespace", name, label])
        .fine();
    helm(&kubernetes, name, "install", &[]);
    let worker = || kubernetes.object(name, "deployment", "seedbed-worker");
    let image =
        |worker: &Value| worker["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let (installed, first) = (worker(), image(&worker()));
    // What the server has is what the chart made, field by field.
    let made = kubernetes
        .helm(&["get", "manifest", "seedbed", "--namespace", name])
        .fine();
    let diff = ["--namespace", name, "diff", "-f", "-"];
    kubernetes.kubectl_with(&diff, &made.output).fine();

    let scale = ["--namespace", name, "scale", "--replicas=7"];
    let scale = [&scale[..], &["deployment/seedbed-worker"]].concat();
    kubernetes.kubectl(&scale).fine();
    helm(
        &kubernetes,
        name,
        "upgrade",
        &["--set=worker.image.tag=9.9.9,worker.graceMinutes=10"],
    );
    let upgraded = worker();
    assert_eq!(
        image(&upgraded),
        "registry.example.com/seedbed-worker:9.9.9"
    );
    assert_eq!(upgraded["spec"]["replicas"], 7, "KEDA's to say");
    let grace = "/spec/template/spec/terminationGracePeriodSeconds";
    assert_eq!(upgraded.pointer(grace), Some(&660.into()));

    kubernetes
        .helm(&["rollback", "seedbed", "1", "--namespace", name])
        .fine();
    assert_eq!(image(&worker()), first);
    assert_eq!(worker().pointer(grace), installed.pointer(grace));

    kubernetes
        .helm(&["uninstall", "seedbed", "--namespace", name])
        .fine();
    let kinds = "deployment,service,cronjob,ingress,networkpolicy,poddisruptionbudget,scaledobject,triggerauthentication,podmonitor,servicemonitor,prometheusrule,configmap,secret,serviceaccount";
    // What every namespace has, and what only removes itself where there is a garbage collector.
    let left = kubernetes
        .kubectl(&["--namespace", name, "get", kinds, "-o", "name"])
        .fine();
    let left: Vec<_> = left
        .output
        .lines()
        .filter(|line| !line.contains("kube-root-ca"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_switch_makes_what_the_server_accepts() {
    let Some(kubernetes) = Kubernetes::shared() else {
        return;
    };
    let name = "switches";
    kubernetes.kubectl(&["create", "namespace", name]).fine();
    let create = ["--namespace", name, "create", "--dry-run=server", "-f", "-"];
    for more in [
        "scaling.enabled=false,monitoring.enabled=false,worker.replicas=3",
        "networkPolicies.enabled=false,ingress.enabled=false,run.enabled=false,gc.enabled=false",
        "scaling.oldestJobSeconds=0,image.pullPolicy=Always,image.pullSecrets={pull}",
        "worker.nodeSelector.disk=fast,worker.tolerations[0].operator=Exists",
        "serviceAccount.existing=own,existingConfigMap=mine",
        "ingress.className=nginx,scaling.min=1,scaling.max=3",
    ] {
        let set = format!("--set={more}");
        let made = helm(&kubernetes, name, "template", &[&set]);
        kubernetes.kubectl_with(&create, &made).fine();
    }
    // The server is asked about every field: one that it does not know is refused.
    let made = helm(&kubernetes, name, "template", &[]);
    let misspelt = made.replace("minAvailable:", "minAvailabel:");
    assert_ne!(made, misspelt);
    let refused = kubernetes.kubectl_with(&create, &misspelt).refused();
    assert!(refused.contains("minAvailabel"), "{refused}");
}
