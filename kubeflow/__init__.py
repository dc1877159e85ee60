"""Compile, submit and serve compression pipelines on Kubeflow."""
