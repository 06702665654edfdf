#!/usr/bin/env python3
"""Checks what is in deploy/ as far as that goes without Docker and without Kubernetes.

usage: check.py (kubernetes CRDS | compose | rules) FILE...

kubernetes CRDS  the manifests that `kubectl kustomize` made of an overlay, against the schemas of Kubernetes itself and
                 of the custom resource definitions in the directory CRDS; and references between them
compose          what the services of a compose file say of each other and of files (its schema is check-jsonschema's business)
rules            every expression of alerts and dashboards is PromQL
"""

import json
import pathlib
import re
import sys

import jsonschema
import kubernetes_validate
import promql_parser
import yaml

KUBERNETES = "1.31"


def main():
    command, *arguments = sys.argv[1:] or [""]
    if command == "kubernetes" and len(arguments) == 2:
        wrong = kubernetes(*arguments)
    elif command == "compose" and len(arguments) == 1:
        wrong = compose(pathlib.Path(arguments[0]))
    elif command == "rules" and arguments:
        wrong = [problem for file in arguments for problem in rules(file)]
    else:
        sys.exit(__doc__.strip())
    sys.exit("\n".join(wrong) or None)


def documents(file):
    with open(file, encoding="utf-8") as text:
        return [document for document in yaml.safe_load_all(text) if document]


def kubernetes(crds, file):
    schemas = {key: schema for path in pathlib.Path(crds).glob("*.yaml") for key, schema in definitions(path)}
    manifests = documents(file)
    wrong = []
    for manifest in manifests:
        name = f'{manifest["kind"]} {manifest["metadata"]["name"]}'
        schema = schemas.get((manifest["apiVersion"], manifest["kind"]))
        try:
            if schema:
                jsonschema.validate(manifest, schema)
            else:
                kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
            wrong.append(f"{name}: {error.message}")
    return wrong + references(manifests)


def definitions(file):
    """Strict schemas of each version of a custom resource."""
    for definition in documents(file):
        spec = definition["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # A definition says nothing of what every object has.
            schema["properties"]["metadata"] = {"type": "object"}
            yield (f'{spec["group"]}/{version["name"]}', spec["names"]["kind"]), schema


def strict(schema):
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    if isinstance(schema.get("pattern"), str) and "(?i)" in schema["pattern"]:
        # Go has flags anywhere, Python at the start.
        schema["pattern"] = "(?i)" + schema["pattern"].replace("(?i)", "")
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
    return schema


def references(manifests):
    """What manifests name is there, and labels select something."""
    there = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    wrong = []

    def look(owner, kind, name):
        if (kind, name) not in there:
            wrong.append(f"{owner} names the {kind} {name}, which is not there")

    pods = []
    for manifest in manifests:
        owner = f'{manifest["kind"]} {manifest["metadata"]["name"]}'
        spec = manifest.get("spec", {})
        template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
        if template:
            pods.append(template["metadata"]["labels"])
            look(owner, "ServiceAccount", template["spec"]["serviceAccountName"])
            for volume in template["spec"]["volumes"]:
                if "configMap" in volume:
                    look(owner, "ConfigMap", volume["configMap"]["name"])
            for container in template["spec"]["containers"]:
                for source in container["envFrom"]:
                    look(owner, "Secret", source["secretRef"]["name"])
        if manifest["kind"] == "TriggerAuthentication":
            for parameter in spec["secretTargetRef"]:
                look(owner, "Secret", parameter["name"])
        if manifest["kind"] == "ScaledObject":
            look(owner, "Deployment", spec["scaleTargetRef"]["name"])
            for trigger in spec["triggers"]:
                look(owner, "TriggerAuthentication", trigger["authenticationRef"]["name"])
        if manifest["kind"] == "Ingress":
            for rule in spec["rules"]:
                for path in rule["http"]["paths"]:
                    look(owner, "Service", path["backend"]["service"]["name"])
    for manifest in manifests:
        spec = manifest.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector") or {}
        labels = selector.get("matchLabels", selector if manifest["kind"] == "Service" else {})
        if labels and not any(labels.items() <= pod.items() for pod in pods):
            wrong.append(f'{manifest["kind"]} {manifest["metadata"]["name"]} selects no pod')
    return wrong


def compose(file):
    project = documents(file)[0]
    services, wrong = project["services"], []
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        if "build" not in service and not re.search(r"\d+\.\d+|RELEASE\.", tag):
            wrong.append(f"{name}: the image {service['image']} has no version")
        for other, condition in service.get("depends_on", {}).items():
            if other not in services:
                wrong.append(f"{name} depends on {other}, which is not there")
            elif condition["condition"] == "service_healthy" and not has_healthcheck(services[other]):
                wrong.append(f"{name} waits for {other} to be healthy, which nobody checks")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(".") and not (file.parent / source).exists():
                wrong.append(f"{name}: there is no {source}")
            elif not source.startswith(".") and source not in project["volumes"]:
                wrong.append(f"{name}: the volume {source} is not declared")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                wrong.append(f"{name}: the port {port} is open to everybody")
    return wrong


def has_healthcheck(service):
    """Its own, or that of the image that is built here."""
    return "build" in service or "healthcheck" in service


def rules(file):
    """Every expression of alerts (YAML) or of a dashboard (JSON)."""
    if file.endswith(".json"):
        with open(file, encoding="utf-8") as text:
            panels = json.load(text)["panels"]
        expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    else:
        groups = [group for document in documents(file) for group in document.get("spec", {}).get("groups", [])]
        expressions = [rule["expr"] for group in groups for rule in group["rules"]]
    if not expressions:
        yield f"{file}: there is no expression"
    for expression in expressions:
        try:
            promql_parser.parse(expression.replace("$__rate_interval", "5m"))
        except ValueError as error:
            yield f"{file}: {expression}: {error}"


if __name__ == "__main__":
    main()
