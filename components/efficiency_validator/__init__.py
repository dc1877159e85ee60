"""EfficiencyValidator: blesses size, speed and quality, and shows them."""
