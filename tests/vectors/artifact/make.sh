#!/usr/bin/env bash
# Writes the Artifacts of this folder anew, with the real mender-artifact (3.9.0) and openssl.
# Keys, signatures and times differ from run to run; the tests do not depend on them.
# SPDX-License-Identifier: MIT
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "$work" <<'PYTHON'
import gzip, io, pathlib, random, sys, tarfile
words = random.Random(1)
lines = [" ".join(words.choice(["slot", "board", "update", "boot"]) for _ in range(9)) + f" {i}\n"
         for i in range(400)]
text = "".join(words.choice(lines) for _ in range(2400)).encode()[:100000]
work = pathlib.Path(sys.argv[1])
pathlib.Path("text.gz").write_bytes(gzip.compress(text, mtime=0))
bomb = io.BytesIO()
with tarfile.open(fileobj=bomb, mode="w") as tar:
    for name, size in (("header-info", 0), ("scripts/ArtifactInstall_Enter_00", 1 << 20)):
        member = tarfile.TarInfo(name)
        member.size = size
        tar.addfile(member, io.BytesIO(bytes(size)))
pathlib.Path("bomb_header.tar.gz").write_bytes(gzip.compress(bomb.getvalue(), mtime=0))
(work / "firmware.bin").write_bytes(text[:9000])
(work / "empty.bin").write_bytes(b"")
(work / "notes.txt").write_bytes(b"hello\n")
(work / "a" .ljust(119, "b")).write_bytes(b"a long name\n")
(work / "meta.json").write_text('{"dest_dir": "/app", "modes": ["a", "b"]}')
(work / "ArtifactInstall_Enter_00").write_text("#!/bin/sh\n")
PYTHON
openssl genrsa -traditional -out "$work/rsa.pem" 2048 2>/dev/null
openssl rsa -in "$work/rsa.pem" -pubout -out rsa.pub.pem 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out "$work/p256.pem"
openssl ec -in "$work/p256.pem" -pubout -out p256.pub.pem 2>/dev/null

rootfs="mender-artifact write rootfs-image --no-progress -n v2 -t esp32 -f $work/firmware.bin"
module="mender-artifact write module-image -n v2 -t esp32 -t pico -T micropython-app"
$rootfs -o rootfs_gzip.mender
$rootfs -o rootfs_none.mender --compression none -g fleet -N v1 -G fleet -d key:value -p made:here
$rootfs -o rootfs_xz.mender --compression lzma
$rootfs -o rootfs_script.mender -s "$work/ArtifactInstall_Enter_00"
$rootfs -o rootfs_version2.mender -v 2
$module -o module_files.mender -f "$work/notes.txt" -f "$work/empty.bin" -f "$work/firmware.bin" \
    -f "$work"/ab* -m "$work/meta.json"
$module -o module_no_files.mender
$module -o module_rsa.mender -f "$work/notes.txt" -k "$work/rsa.pem"
$module -o module_p256.mender -f "$work/notes.txt" -k "$work/p256.pem"
mender-artifact write bootstrap-artifact --no-progress -n v0 -t esp32 -p a:b --clears-provides 'x*' \
    -o bootstrap.mender
