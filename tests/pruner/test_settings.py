"""Parameters are refused with both sides and the remedy, before anything else happens."""

import pytest

from tfx_shrink.errors import ParameterError
from tfx_shrink.pruner.settings import Settings

GOOD = {"target_sparsity": 0.8, "label_key": "label"}
REFUSED = [
    ({"target_sparsity": 0.0}, "between 0 and 1.*target_sparsity=0.0"),
    ({"target_sparsity": 1.0}, "between 0 and 1.*target_sparsity=1.0"),
    ({"target_sparsity": -0.5}, "between 0 and 1"),
    ({"target_sparsity": 80}, "between 0 and 1.*target_sparsity=80"),
    ({"target_sparsity": float("nan")}, "between 0 and 1"),
    ({"target_sparsity": None}, "between 0 and 1.*target_sparsity=None"),
    ({"pattern": "2_of_4"}, "means a sparsity of 0.5.*target_sparsity=0.8"),
    ({"pattern": "4_of_8"}, r"`pattern` must be one of \['unstructured'.*pattern='4_of_8'"),
    ({"schedule": "cosine"}, "`schedule` must be one of"),
    ({"scope": "model"}, r"`scope` must be one of \['tensor', 'global'\].*scope='model'"),
    ({"method": "train"}, "`method` must be one of .*method='train'"),
    ({"strategy": "tpu"}, "`strategy` must be one of .*strategy='tpu'"),
    ({"loss": "hinge_of_doom"}, "`loss` must be the name of a Keras loss.*'hinge_of_doom'"),
    ({"epochs": 0}, "`epochs` must be at least 1.*epochs=0"),
    ({"batch_size": -1}, "`batch_size` must be at least 1"),
    ({"learning_rate": 0.0}, "`learning_rate` must be above 0"),
    ({"learning_rate": float("nan")}, "`learning_rate` must be above 0"),
    ({"epochs": 1, "num_steps": 10}, "not both.*epochs=1, num_steps=10"),
    ({"layers": []}, r"`layers` must be a sequence.*layers=\[\]"),
    ({"layers": "dense"}, "`layers` must be a sequence.*layers='dense'"),
    ({"skip_layers": "dense"}, "`skip_layers` must be a sequence"),
    ({"pattern": "channel", "scope": "global"}, "Leave `scope` out"),
    ({"drop_signatures": ["serve"]}, "Leave `drop_signatures` out"),
    ({"method": "one_shot"}, "`label_key` belongs to training"),
    ({"method": "fine_tune", "label_key": None}, "needs a label"),
]


@pytest.mark.parametrize(("wrong", "words"), REFUSED)
def test_parameters_that_cannot_be_meant_are_refused(wrong, words):
    with pytest.raises(ParameterError, match=words):
        Settings(**{**GOOD, **wrong}).check()


def test_good_parameters_are_taken():
    Settings(**GOOD).check()
    Settings(pattern="2_of_4", label_key="label").check()
    assert Settings(pattern="2_of_4", target_sparsity=0.5).sparsity == 0.5
    Settings(target_sparsity=0.8, method="fine_tune").check(has_input_fn=True)
