"""What every technique needs of a SavedModel: load, list its functions, say what blocks each."""
