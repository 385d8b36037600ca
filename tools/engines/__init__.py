"""The engines that a gateway of many processes runs on, each in a folder of its own on this machine."""
