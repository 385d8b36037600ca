"""neonize is loaded here once: it leaves a process and a file open when it is, which no test is to answer for."""

import gc
import importlib
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    importlib.import_module("drivers.whatsapp_web.adapter.client")
    gc.collect()
