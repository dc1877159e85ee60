"""Training a model again: data, losses, one Keras loop with logs and resume, signatures."""
