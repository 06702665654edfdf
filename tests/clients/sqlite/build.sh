#!/usr/bin/env bash
# Makes FOLDER/libsqlite3mc.so, a SQLite with ciphers and full-text search, unless it is there: of SQLITE, an amalgamation of
# SQLite3MultipleCiphers. Drivers use it in place of libraries that are not served here.
#
#   tests/clients/sqlite/build.sh FOLDER SQLITE
set -euo pipefail

folder=$(readlink -m "$1")
sqlite=$2
flags=(-O1 -w -fPIC -shared -DSQLITE_ENABLE_FTS5)
made="$(sha256sum <"$sqlite") ${flags[*]}"
[ "$(cat "$folder/made.txt" 2>/dev/null)" != "$made" ] || exit 0
mkdir -p "$folder"
gcc "${flags[@]}" -o "$folder/libsqlite3mc.so" "$sqlite" -lm -ldl -lpthread
echo "$made" >"$folder/made.txt"
