"""One modem for as long as the process runs: found, served, watched, mended."""
