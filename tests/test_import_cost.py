"""What the public names cost a pipeline author who has TFX anyway: no further package."""

import json
import os
import subprocess
import sys

PROBE = """
import json, sys
import tfx.v1
before = set(sys.modules)
from tfx_shrink import BucketPusher, Quantizer
print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))
"""
# Techniques are imported when a component runs, not when a pipeline is written.
TECHNIQUES = {"examples", "lineage", "publish", "quantize", "saved_model", "tflite"}


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_after_tfx_the_components_import_nothing_heavy():
    before, added = run(PROBE)
    known = {name.split(".")[0] for name in before} | sys.stdlib_module_names
    assert {name.split(".")[0] for name in added} - known == {"tfx_shrink"}
    assert "tfx_shrink.quantizer.component" in added
    assert not [name for name in added if TECHNIQUES & set(name.split("."))]


def test_the_package_itself_imports_no_other():
    code = "import json, sys, tfx_shrink; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.split(".")[0] for name in run(code)}
    assert not loaded & {"tensorflow", "tfx", "apache_beam", "numpy", "click"}
