"""The HTTP API and its client."""
