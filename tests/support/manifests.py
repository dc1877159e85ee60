"""Kubernetes manifests: rendering, and checking them against their schemas."""

import os
import subprocess
from pathlib import Path

import jsonschema
import yaml

PROJECT = Path(__file__).resolve().parents[2]
SERVING = PROJECT / "kubeflow" / "serving"
TOOLS = PROJECT / ".tools"
KUBECTL = TOOLS / "kubectl/bin/kubectl"
VALIDATE = TOOLS / "kubernetes-validate/bin/kubernetes-validate"
CRDS = PROJECT / "tests" / "crds"


def render(directory):
    """What `kubectl kustomize` makes of a directory."""
    done = subprocess.run(
        [KUBECTL, "kustomize", directory], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def render_own(directory, resource, components=(), **kustomization):
    """A user's own kustomization, written to `directory`, of one of our folders."""

    def relative(path):
        return os.path.relpath(SERVING / path, os.path.realpath(directory))

    content = {
        "resources": [relative(resource)],
        "components": [relative(f"components/{name}") for name in components],
        **kustomization,
    }
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return render(directory)


def custom_schemas():
    """{(apiVersion, kind): a JSON schema} of the custom kinds in tests/crds."""
    found = {}
    for path in sorted(CRDS.glob("*.yaml")):
        crd = yaml.safe_load(path.read_text())
        group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
        for version in crd["spec"]["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            found[f"{group}/{version['name']}", kind] = _strict(schema, top=True)
    return found


def custom_problems(document, schemas):
    """What is wrong with an object of a custom kind, a sentence each."""
    schema = schemas[document["apiVersion"], document["kind"]]
    errors = jsonschema.Draft7Validator(schema).iter_errors(document)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def _strict(schema, top=False):
    """Kubernetes's structural schema as JSON schema; unknown fields are errors, as for kubectl."""
    made = {
        key: value
        for key, value in schema.items()
        if key
        in {
            "type",
            "enum",
            "pattern",
            "required",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
        }
    }
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
    if "items" in schema:
        made["items"] = _strict(schema["items"])
    if "properties" in schema:
        made["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
        made["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    elif isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = _strict(schema["additionalProperties"])
    if top:
        made["properties"]["metadata"] = {"type": "object"}  # Kubernetes's own.
    return made
