# Mender Artifacts: bytes in, verified files out. No socket, no file, no board.
