# What the board does in test_bootstrap_profiles.py: a JSON list of settings from stdin, each asks
# once; to stdout the list of what came: {"answer": {...}}, or {"error": class, "message": text}.
import asyncio
import json
import sys

from instar.errors import InstarError
from instar.servers.magistrala.bootstrap import bootstrap
from instar.settings import Settings


async def ask(values):
    try:
        answer = await bootstrap(Settings(values), values["external_id"])
    except InstarError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"answer": answer.__dict__}


async def main(tasks):
    found = []
    for values in tasks:  # MicroPython has no await in a comprehension
        found.append(await ask(values))
    print(json.dumps(found))


asyncio.run(main(json.load(sys.stdin)))
