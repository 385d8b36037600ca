"""`infinireach up`: the processes of a gateway on one machine, kept running.

Knows processes, ports and files, and the services only by their health. Nothing here is needed in production, where
systemd or an orchestrator does the same.
"""
