"""What a compiled pipeline tells its containers' entrypoint."""

COMMAND = ["python", "-m", "tfx_shrink.kubeflow.entrypoint"]

# The files' span, version and fingerprint must be found before the executor runs.
RUN_DRIVER = "--run_example_gen_driver"

# Executors get gs:// URIs, since a Beam engine elsewhere cannot see this container's disk.
KEEP_URIS = "--keep_uris"

# Where the launcher's copies lie if the entrypoint runs in no container.
POD_ROOT_VARIABLE = "TFX_SHRINK_POD_ROOT"

# An output of this name, beside one that holds report.html, is what the user interface shows.
HTML_OUTPUT = "_html"
HTML_TYPE = {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}
