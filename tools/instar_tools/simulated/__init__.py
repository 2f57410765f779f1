"""The world around a simulated board: its flash file, its power, its serial port, its ROM."""
