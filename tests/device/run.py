# Runs one test function under MicroPython: micropython run.py MODULE FUNCTION
# A coroutine is run by asyncio. The exit code is 0 only if the function returned.
import sys


def main(module, function):
    test = getattr(__import__(module), function)
    result = test()
    if hasattr(result, "send"):
        import asyncio

        asyncio.run(result)


main(sys.argv[1], sys.argv[2])
