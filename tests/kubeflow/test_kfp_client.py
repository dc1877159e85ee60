"""The kfp client of the lock takes what is compiled here."""

from importlib.metadata import version

from support import kubeflow_pipelines, load_with_kfp

from tfx_shrink.kubeflow.runner import KubeflowRunner


def test_kfp_parses_loads_and_compiles_the_digits_pipeline_again(tmp_path, capsys):
    path = str(tmp_path / "digits.yaml")
    platform = {"Trainer": {"gpus": 1, "volumes": {"/data": "data"}}}
    made = kubeflow_pipelines.digits()
    KubeflowRunner(path, platform=platform).run(made)
    load_with_kfp.main(path, str(tmp_path / "again.yaml"))
    assert f"kfp {version('kfp')} loaded digits: 12 executors" in capsys.readouterr().out
