#!/bin/sh
# update.tar: a folder as directory-artifact-gen packs it, by GNU tar. The long names make GNU's
# own extension for them. Run here.
set -e
dir=$(mktemp -d)
mkdir -p "$dir/www/empty" "$dir/$(printf 'd%.0s' $(seq 55))"
printf 'hello\n' > "$dir/index.html"
seq 2000 > "$dir/www/numbers.txt"
: > "$dir/www/nothing"
printf 'long\n' > "$dir/$(printf 'd%.0s' $(seq 55))/$(printf 'f%.0s' $(seq 60))"
tar --sort=name --owner=0 --group=0 --mtime=@0 -cf update.tar -C "$dir" .
rm -r "$dir"
