"""`python -m drivers.whatsapp_cloud.fake_graph`."""

from drivers.whatsapp_cloud.fake_graph.command_line import app

if __name__ == "__main__":
    app()
