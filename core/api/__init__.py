"""The gRPC services: validate, convert, run one use case, convert back."""
