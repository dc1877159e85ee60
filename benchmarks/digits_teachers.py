"""Teachers of handwritten digits, a student of them, and rows to teach with."""

import digits
import numpy as np
import tf_keras

from tfx_shrink.pipelines.digits.data import LABEL, SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE
from tfx_shrink.pipelines.digits.trainer import PROBABILITIES, build_model

HEAVY, LIGHT = "heavy CNN", "digits CNN"


def build_student() -> tf_keras.Model:
    """Returns the student, with 6,090 weights."""
    image = tf_keras.Input((SIDE, SIDE, 1), name=IMAGE)
    x = image
    for width in (16, 32):
        x = tf_keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = tf_keras.layers.MaxPooling2D()(x)
    x = tf_keras.layers.Flatten()(x)
    return tf_keras.Model(image, tf_keras.layers.Dense(10, activation="softmax")(x))


def build_heavy() -> tf_keras.Model:
    """Returns a compiled teacher whose forward pass is most of a step."""
    image = tf_keras.Input((SIDE, SIDE, 1), name=IMAGE)
    x = image
    for width in (112, 144, 112):
        x = tf_keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    x = tf_keras.layers.MaxPooling2D()(x)
    x = tf_keras.layers.Conv2D(128, 3, padding="same", activation="relu")(x)
    x = tf_keras.layers.GlobalMaxPooling2D()(x)
    x = tf_keras.layers.Dense(10, activation="softmax", name=PROBABILITIES)(x)
    model = tf_keras.Model(image, x)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


TEACHERS = {HEAVY: build_heavy, LIGHT: build_model}


def split() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns columns to train on, and others to test with."""
    images, labels = digits.digits()
    train, test = (
        {IMAGE: images[part], LABEL: labels[part]}
        for part in (slice(None, -digits.TEST_ROWS), slice(-digits.TEST_ROWS, None))
    )
    return train, test


def multiplied(columns: dict[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
    """Returns more rows: shifted by up to a pixel each way, with a little noise."""
    random = np.random.RandomState(0)
    chosen = random.randint(len(columns[LABEL]), size=rows)
    padded = np.pad(columns[IMAGE], ((0, 0), (1, 1), (1, 1), (0, 0)))
    images = np.empty([rows, SIDE, SIDE, 1], np.float32)
    for row, (down, right) in enumerate(random.randint(3, size=(rows, 2))):
        images[row] = padded[chosen[row], down : down + SIDE, right : right + SIDE]
    images += random.normal(scale=0.05, size=images.shape)
    return {IMAGE: images.clip(0, 1), LABEL: columns[LABEL][chosen]}


def save_teacher(
    kind: str, seed: int, columns: dict[str, np.ndarray], epochs: int, directory: str
) -> None:
    """Trains a teacher and saves it."""
    tf_keras.utils.set_random_seed(seed)
    model = TEACHERS[kind]()
    model.fit(columns[IMAGE], columns[LABEL], 32, epochs=epochs, verbose=0)
    model.save(directory, save_format="tf", signatures=digits.make_signatures(model))
