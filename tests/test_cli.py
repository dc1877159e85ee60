"""What the command line prints, and how it ends."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner
from support import models, rows
from support.command_lines import parse

from tfx_shrink.cli import main
from tfx_shrink.version import __version__


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result, *words):
    """One line for a person, no traceback."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    for word in words:
        assert word in line


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    path = tmp_path_factory.mktemp("examples") / "rows.tfrecord"
    return rows.write(path, models.features(rows=40))


@pytest.fixture(scope="module")
def quantized(saved, examples, tmp_path_factory):
    """What `quantize` wrote, and what it said."""
    out = tmp_path_factory.mktemp("quantized") / "model"
    said = invoke(
        *("quantize", saved("keras"), out, "--scheme", "dynamic_range"),
        *("--examples", examples, "--num-calibration-examples", 20, "--json"),
    )
    return str(out), said


def test_version():
    result = invoke("--version")
    assert result.exit_code == 0
    assert __version__ in result.stdout


@pytest.mark.parametrize(
    "command",
    ["run", "quantize", "prune", "distill", "inspect", "compile", "run-compiled", "submit"],
)
def test_every_command_has_help(command):
    assert command in invoke("-h").stdout
    assert invoke(command, "-h").exit_code == 0


def test_an_unknown_scheme_is_answered_with_the_known_ones(tmp_path):
    out = tmp_path / "out"
    result = invoke("quantize", tmp_path, out, "--scheme", "int7", "--examples", "none")
    assert_refused(result, "Received: scheme='int7'.")
    assert "`scheme` must be one of ['float32', 'dynamic_range', " in result.stderr
    assert not out.exists()


def test_a_directory_without_a_model_is_one_line(tmp_path):
    result = invoke(
        *("quantize", tmp_path, tmp_path / "out", "--scheme", "int8", "--examples", "none")
    )
    assert_refused(result, str(tmp_path))
    assert not (tmp_path / "out").exists()
    assert_refused(invoke("inspect", tmp_path), str(tmp_path))


def test_quantize_writes_a_model_and_prints_json(quantized):
    out, said = quantized
    assert said.exit_code == 0, said.stderr
    done = json.loads(said.stdout)
    assert done["source_signature"] == "serving_default"
    assert 0 < done["result"]["bytes"] < done["source"]["bytes"]
    assert done["difference"]["rows"] == 5
    assert sorted(os.listdir(out)) == ["assets.extra", "model.tflite", "tflite"]


def test_quantize_prints_bytes_and_difference(saved, examples, tmp_path):
    pattern = examples.replace("rows", "ro*")
    result = invoke(
        *("quantize", saved("keras"), tmp_path / "out", "--scheme", "float32"),
        *("--examples", examples, "--examples", pattern, "--signature-name", "serving_default"),
    )
    assert result.exit_code == 0, result.stderr
    assert "out: float32 of serving_default\n" in result.stdout
    assert " bytes  " in result.stdout
    assert "on 8 rows" in result.stdout


def test_inspect_shows_a_tflite_model_and_its_record(quantized):
    out, _ = quantized
    result = invoke("inspect", out)
    assert result.exit_code == 0, result.stderr
    assert f"{out}: TFLite, " in result.stdout
    assert "int8 weights: " in result.stdout
    assert "in  x: float32[?,16]" in result.stdout
    assert "made by: quantize {" in result.stdout

    found = json.loads(invoke("inspect", out, "--json").stdout)
    assert found["container"] == "TFLite"
    assert found["functions"][0]["inputs"] == {"x": "float32[?,16]"}
    assert found["steps"][0]["parameters"]["scheme"] == "dynamic_range"


def test_inspect_names_what_blocks_each_signature_of_a_saved_model(saved):
    directory = saved("with_table")
    result = invoke("inspect", directory)
    assert result.exit_code == 0, result.stderr
    assert f"{directory}: SavedModel, " in result.stdout
    blocks = dict(block.split("\n", 1) for block in result.stdout.split("\n\n")[1:])
    assert "blocked by: " in blocks["serving_default"]
    assert "ParseExample" in blocks["serving_default"]
    assert "converts to TFLite" in blocks["dense"]


@pytest.mark.parametrize("url", ["ftp://x", "hdfs://models"])
def test_a_run_to_an_unknown_destination_is_refused_before_anything_is_written(tmp_path, url):
    root = tmp_path / "root"
    result = invoke("run", "digits", "--root", root, "--push-to", url)
    assert_refused(result, f"push_destination={url!r}", "['file://', 'gs://'")
    assert not root.exists()


def test_a_run_to_an_unwritable_destination_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    push_to = f"file://{tmp_path}/file/bucket"
    result = invoke("run", "digits", "--root", tmp_path / "root", "--push-to", push_to)
    assert_refused(result, push_to, "can write to")
    assert os.listdir(tmp_path) == ["file"]


def test_a_run_whose_model_was_not_published_fails_with_the_reason(tmp_path, monkeypatch):
    from tfx_shrink.pipelines.digits import run
    from tfx_shrink.pipelines.verdict import Verdict

    verdict = Verdict(False, False, None, None, "not pushed: accuracy was 0.9")
    done = run.DigitsRun([], verdict, 1.0, "log")
    monkeypatch.setattr(run, "run_digits", lambda *arguments, **keywords: done)
    result = invoke("run", "digits", "--root", tmp_path)
    assert_refused(result, "not pushed: accuracy was 0.9")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    features = models.features(rows=96)
    features["label"] = features["x"][:, : models.CLASSES].argmax(1)
    return rows.write(tmp_path_factory.mktemp("labelled") / "rows", features)


def test_prune_writes_a_model_and_prints_what_it_saved(saved, labelled, tmp_path):
    result = invoke(
        *("prune", saved("keras"), tmp_path / "out", "--target-sparsity", 0.8),
        *("--examples", labelled, "--label-key", "label", "--num-steps", 6),
        *("--skip-layers", "probabilities", "--log-dir", tmp_path / "logs"),
    )
    assert result.exit_code == 0, result.stderr
    assert "out: unstructured by fine_tune: it can be trained\n" in result.stdout
    assert "sparsity           0.800 of 2 weights" in result.stdout
    assert "bytes after gzip" in result.stdout
    assert "not pruned         probabilities/kernel: named in `skip_layers`" in result.stdout
    assert os.listdir(tmp_path / "logs") == ["train"]


def test_prune_prints_json_and_takes_user_code(saved, labelled, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def compile_fn(model):\n"
        "    model.compile('sgd', 'sparse_categorical_crossentropy', run_eagerly=True)\n"
    )
    result = invoke(
        *("prune", saved("keras"), tmp_path / "out", "--pattern", "2_of_4", "--num-steps", 2),
        *("--examples", labelled, "--label-key", "label", "--json"),
        *("--module-file", tmp_path / "mine.py", "--work-dir", tmp_path / "work"),
    )
    assert result.exit_code == 0, result.stderr
    done = json.loads(result.stdout)
    assert done["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert done["result_gzip"] < done["source_gzip"]
    inspected = invoke("inspect", tmp_path / "out")
    assert "made by: prune {" in inspected.stdout


def test_prune_refuses_in_one_line(saved, labelled, quantized, tmp_path):
    out = tmp_path / "out"
    wrong = [
        (("--target-sparsity", 1.5), "target_sparsity=1.5"),
        (("--target-sparsity", 0.5, "--pattern", "4_of_8"), "pattern='4_of_8'"),
        (("--target-sparsity", 0.5, "--layers", "dence*"), "'dence*' matches no layer"),
        (("--target-sparsity", 0.5, "--module-path", "no.such"), "module_path='no.such'"),
    ]
    for options, words in wrong:
        said = invoke("prune", saved("keras"), out, "--examples", labelled, *options)
        assert_refused(said, words)
    tflite, _ = quantized
    said = invoke("prune", tflite, out, "--examples", labelled, "--target-sparsity", 0.5)
    assert_refused(said, "prune before quantizing")
    assert not out.exists()


STUDENT = """
import tf_keras

def student_fn(fn_args):
    x = tf_keras.Input([16], name="x")
    return tf_keras.Model(x, tf_keras.layers.Dense(3, name="top")(x))
"""


def test_distill_writes_a_student_and_prints_json(saved, labelled, tmp_path):
    (tmp_path / "mine.py").write_text(STUDENT)
    result = invoke(
        *("distill", saved("keras"), tmp_path / "out", "--module-file", tmp_path / "mine.py"),
        *("--examples", labelled, "--eval-examples", labelled, "--label-key", "label"),
        *("--num-steps", 2, "--work-dir", tmp_path / "work", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    done = json.loads(result.stdout)
    assert done["student_parameters"] == 51
    assert done["quality"]["rows"] == 96
    assert done["result_gzip"] < done["source_gzip"]
    assert os.listdir(tmp_path / "work") == []
    inspected = invoke("inspect", tmp_path / "out")
    assert "made by: distill {" in inspected.stdout


def test_distill_prints_what_became_of_the_teacher(saved, labelled, tmp_path):
    result = invoke(
        *("distill", saved("keras"), tmp_path / "out", "--student", "auto", "--width", 0.05),
        *("--examples", labelled, "--label-key", "label", "--num-steps", 1),
        *("--loss", "feature", "--feature-pair", "dense=dense"),
    )
    assert result.exit_code == 0, result.stderr
    assert "out: feature from " in result.stdout
    assert "parameters         10,627 -> " in result.stdout


def test_distill_names_the_loss_that_it_took(saved, labelled, tmp_path):
    result = invoke(
        *("distill", saved("regression"), tmp_path / "out", "--student", "auto", "--width", 0.1),
        *("--examples", labelled, "--label-key", "label", "--num-steps", 1),
    )
    assert result.exit_code == 0, result.stderr
    assert "out: mse from " in result.stdout


def test_distill_refuses_in_one_line(saved, labelled, tmp_path):
    out = tmp_path / "out"
    wrong = [
        (("--student", "auto"), "width=None"),
        (("--student", "small"), "'small'"),
        ((), "There is no student"),
        (("--student", "auto", "--width", 0.5, "--loss", "hinton"), "loss='hinton'"),
        (("--student", "auto", "--width", 0.5, "--temperature", 0), "temperature=0.0"),
        (("--student", "auto", "--width", 0.5, "--feature-pair", "dense"), "'dense'"),
    ]
    for options, words in wrong:
        said = invoke("distill", saved("keras"), out, "--examples", labelled, *options)
        assert_refused(said, words)
    assert not out.exists()


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_shows_an_example_that_it_takes(name):
    examples = re.findall(r"tfx-shrink (.+)", main.commands[name].epilog)
    assert examples
    for example in examples:
        assert example.split()[0] == name
        parse(shlex.split(example))


def test_shells_complete_commands_and_options():
    def complete(words):
        done = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "tfx-shrink")],
            env={
                **os.environ,
                "_TFX_SHRINK_COMPLETE": "bash_complete",
                "COMP_WORDS": f"tfx-shrink {words}",
                "COMP_CWORD": str(len(words.split())),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    assert "plain,quantize" in complete("quan")
    assert "plain,--scheme" in complete("quantize --sch")
