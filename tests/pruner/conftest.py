import functools

import pytest
from support import models, rows


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """A file of 256 rows with "x" and "label", the place of the largest of x's first three."""
    features = models.features(256)
    features["label"] = features["x"][:, : models.CLASSES].argmax(1)
    return rows.write(tmp_path_factory.mktemp("labelled") / "rows", features)


@pytest.fixture(scope="session")
def pruned(saved, labelled, tmp_path_factory):
    """`pruned("keras", pattern="2_of_4")` is (directory, Pruned), made once."""
    from tfx_shrink.pruner.prune import prune

    root = tmp_path_factory.mktemp("pruned")

    @functools.cache
    def make(kind, **parameters):
        out = str(root / f"{kind}-{abs(hash(tuple(parameters.items())))}")
        if parameters.get("pattern") != "2_of_4":
            parameters.setdefault("target_sparsity", 0.8)
        if parameters.get("method") != "one_shot":
            parameters = {"label_key": "label", "epochs": 2, **parameters}
        return out, prune(saved(kind), out, examples=[labelled], **parameters)

    return make
