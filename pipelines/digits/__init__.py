"""The main job: real handwritten digits, from a CSV file to a published int8 model."""
