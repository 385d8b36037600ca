"""The REST facade: HTTP and JSON in front of the core's gRPC services; keeps no state of its own."""
