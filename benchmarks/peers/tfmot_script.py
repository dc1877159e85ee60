"""Magnitude pruning as TFMOT's guide shows it: wrap, train on, strip, save."""

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras


def prune(
    model_dir: str, features: dict, labels: np.ndarray, sparsity: float, epochs: int, out_dir: str
) -> None:
    """Prunes a Keras model to a constant sparsity while it trains on."""
    model = tf_keras.models.load_model(model_dir)
    pruned = tfmot.sparsity.keras.prune_low_magnitude(
        model, tfmot.sparsity.keras.ConstantSparsity(sparsity, begin_step=0, frequency=10)
    )
    pruned.compile("adam", model.loss)
    pruned.fit(
        features,
        labels,
        epochs=epochs,
        verbose=0,
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
    )
    tfmot.sparsity.keras.strip_pruning(pruned).save(out_dir, save_format="tf")
