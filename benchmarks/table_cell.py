"""One cell of the table, in a process of its own; prints one line of JSON.

table_cell.py train MODEL SEED ROOT
table_cell.py make MODEL SEED ROOT RECIPE OUT
"""

import json
import os
import sys
import tempfile
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from table_models import data_of, train
from table_recipes import RECIPES

from tfx_shrink.efficiency_validator.opened import open_model, same_question
from tfx_shrink.errors import ShrinkError
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.examples.files import read_rows
from tfx_shrink.examples.sample import Sample
from tfx_shrink.measure.metrics import correct
from tfx_shrink.measure.size import model_size


def make(model: str, seed: int, root: str, recipe: str, out: str) -> dict:
    """Makes a model; tells its bytes, and how many test rows it answers as their label says."""
    data, base = data_of(model, root), os.path.join(root, str(seed), "base")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        source = base
        *first, last = RECIPES[recipe]
        for number, step in enumerate(first):
            made = os.path.join(work, str(number))
            step(source, made, data, seed)
            source = made
        last(source, out, data, seed)
    seconds = time.perf_counter() - started
    size = model_size(out)
    found = {"seconds": seconds, "bytes": size.raw, "gzip": size.gzip, "right": None, "rows": 0}
    if data.label_key is not None:
        sample = Sample(list(read_rows(data.test)), from_transform=False)
        question = same_question(
            open_model(out), open_model(base), sample, transform_graph=data.graph, schema=None
        )
        read = {name: question.rows[name] for name in question.model.inputs}
        (scores,) = run_in_batches(question.model.call_arrays, read, question.model.inputs).values()
        labels = np.load(os.path.join(data.root, "labels.npy"))
        right = correct(scores, labels)
        found.update(right=int(right.sum()), rows=len(right))
    return found


def main() -> None:
    """Does what the command line says."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    task, model, seed, root, *rest = sys.argv[1:]
    if task == "train":
        train(model, int(seed), root)
        print(json.dumps({}))
        return
    try:
        found = make(model, int(seed), root, *rest)
    except ShrinkError as error:
        found = {"refused": str(error).splitlines()[0]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
