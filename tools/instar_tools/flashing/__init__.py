"""What `instar flash` does: firmware files, flash layouts, esptool."""
