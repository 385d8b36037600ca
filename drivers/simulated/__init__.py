"""The simulated driver: phones and a network that exist only here, for development, demonstrations and tests."""
