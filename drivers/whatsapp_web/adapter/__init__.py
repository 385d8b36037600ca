"""The library neonize behind the port `drivers.whatsapp_web.account`; nothing else imports it.

What has to be so before the library is loaded is done here.
"""

import logging
import os

os.environ["NEONIZE_BOT_TAG"] = "off"
"""Otherwise the library marks every message as a bot's; it looks only when it is loaded."""
if logging.lastResort is not None and not logging.getLogger().handlers:
    # Otherwise the library makes a log of its own for the whole process.
    logging.getLogger().addHandler(logging.lastResort)
for _name in ("neonize", "whatsmeow", "Whatsmeow"):
    # They name numbers. What matters comes as an event or an error too.
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False
logging.getLogger("neonize.utils.log").setLevel(logging.CRITICAL)
"""The level of this one is what the part in Go writes at."""
