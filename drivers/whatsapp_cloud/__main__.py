"""`python -m drivers.whatsapp_cloud` runs the driver of numbers on Meta's Cloud API."""

from drivers.runtime import run
from drivers.whatsapp_cloud.driver import WhatsAppCloudDriver

if __name__ == "__main__":
    run(WhatsAppCloudDriver)
