"""Does on one machine what KFP's API server, driver and launcher do on a cluster.

Mirrors Kubeflow Pipelines 2.17.
"""

MIRRORED_VERSION = "2.17"
