"""Storage: tables, engine, queries and migrations. Knows neither proto nor grpc."""
