"""`python -m drivers.whatsapp_web` runs the driver of a WhatsApp account by way of WhatsApp Web."""

from drivers.runtime import run
from drivers.whatsapp_web.driver import WhatsAppWebDriver

if __name__ == "__main__":
    run(WhatsAppWebDriver)
