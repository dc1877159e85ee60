"""Loads a compiled file as kfp's client does, strictly, and compiles it again.

Run by any Python that has kfp: load_with_kfp.py FILE AGAIN
"""

import sys

import kfp
import yaml
from google.protobuf import json_format
from kfp import compiler, components
from kfp.pipeline_spec import pipeline_spec_pb2


def main(path, again):
    with open(path) as file:
        spec, *rest = yaml.safe_load_all(file)
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(spec["deploymentSpec"], deployment)
    loaded = components.load_component_from_file(path)
    compiler.Compiler().compile(loaded, again)
    with open(again) as file:
        compiled = list(yaml.safe_load_all(file))
    assert compiled[0]["root"]["dag"]["tasks"].keys() == spec["root"]["dag"]["tasks"].keys()
    assert compiled[1:] == rest, (compiled[1:], rest)
    print(f"kfp {kfp.__version__} loaded {loaded.name}: {len(deployment.executors)} executors")


if __name__ == "__main__":
    main(*sys.argv[1:])
