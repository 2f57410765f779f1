# Payloads of the types single-file and directory, and the way of an update through them.
import asyncio

import artifact_build as build

from instar.artifact.reader import Reader
from instar.settings import Settings

FILE, FOLDER = "/data/conf.json", "/data/www"


class Board:
    settings_path = "/instar.json"
    state_dir = "/.instar"

    fed = 0

    def feed(self):
        Board.fed += 1


def settings(**values):
    return Settings(values)


def single(data=b"new", dest_dir="/data", filename="conf.json", permissions="644"):
    """The payload files of a single-file, in the generator's order."""
    texts = (("dest_dir", dest_dir), ("filename", filename), ("permissions", permissions))
    found = [(name, encoded(text)) for name, text in texts if text is not None]
    return found + [("conf.json", data)]


def directory(tar, dest_dir=FOLDER):
    """The payload files of a directory, in the generator's order."""
    return [("update.tar", tar), ("dest_dir", encoded(dest_dir))]


def encoded(text):
    return text if isinstance(text, bytes) else text.encode() + b"\n"


def tree_tar(rows):
    """What `tar -C DIR .` makes of {relative path: bytes, or None for a folder}."""
    members = [build.member("./", kind="5")]
    for name in sorted(rows):
        if rows[name] is None:
            members.append(build.member(f"./{name}/", kind="5"))
        else:
            members.append(build.member("./" + name, rows[name]))
    return b"".join(members) + build.END


def deliver(kind, payload, with_settings=None, packed=False, step=512):
    """Download a payload through the reader of Artifacts: the installer, ready to install().

    Ends as an update does: with cleanup() if anything in it is refused.
    """
    installer = kind(Board(), None, with_settings or settings())
    reader = Reader(installer.begin, installer.download)
    try:
        for view in build.chunks(build.artifact(files=payload, packed=packed), step):
            reader.feed(view)
        reader.finish()
        installer.installed()
    except Exception:
        asyncio.run(installer.cleanup())
        raise
    finally:
        reader.close()
    return installer


def run(installer, *states):
    for state in states:
        asyncio.run(getattr(installer, state)())


def again(kind, installed):
    """The installer that a start makes from the journal."""
    return kind(Board(), installed, settings())
