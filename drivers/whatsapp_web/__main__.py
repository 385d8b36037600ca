"""`python -m drivers.whatsapp_web` runs the driver of a WhatsApp account by way of WhatsApp Web."""

import os
import sys

from drivers.runtime import run
from drivers.runtime.main import EXIT_SETTINGS_INVALID
from drivers.whatsapp_web.config import library_problems, missing_settings
from drivers.whatsapp_web.driver import WhatsAppWebDriver

if __name__ == "__main__":
    problems = [*missing_settings(os.environ), *library_problems()]
    if problems and not {"--help", "-h"} & set(sys.argv[1:]):
        print("\n".join(problems), file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_SETTINGS_INVALID)
    run(WhatsAppWebDriver)
