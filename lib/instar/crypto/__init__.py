# What the firmware's C modules lack. Pure computation: nothing here does I/O.
