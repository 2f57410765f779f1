# instar: the over-the-air update agent for MicroPython boards.
# SPDX-License-Identifier: MIT

__version__ = "0.1.0"
