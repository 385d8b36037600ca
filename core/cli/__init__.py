"""The command line: starting the roles, administration on the database, a client of the REST API."""
