"""What other tools hold about targets, taken over into a slo.yaml, and back. Values in, values out."""
