"""What goes over a board's serial port: its REPL, deploys, factory settings, doctor, monitor."""
