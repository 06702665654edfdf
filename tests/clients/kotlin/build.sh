#!/usr/bin/env bash
# Builds the package for Kotlin with its driver in FOLDER, unless they have not changed since: the driver is then all of
# FOLDER/driver/target/driver.jar and FOLDER/driver/target/lib, and driver.jsa has its classes as the JVM maps them, since it is started
# a hundred times. Libraries come from Maven Central, into FOLDER/repository. FOLDER/libsqlite3mc.so is a SQLite with ciphers, made of
# SQLITE, an amalgamation of SQLite3MultipleCiphers.
#
#   tests/clients/kotlin/build.sh FOLDER SQLITE
set -euo pipefail

folder=$(readlink -m "$1")
sqlite=$2
here=$(dirname "$(readlink -f "$0")")
package=../../../deploy/clients/kotlin
mkdir -p "$folder"

flags=(-O1 -w -fPIC -shared -DSQLITE_ENABLE_FTS5)
made="$(sha256sum <"$sqlite") ${flags[*]}"
if [ "$(cat "$folder/sqlite3mc.txt" 2>/dev/null)" != "$made" ]; then
  gcc "${flags[@]}" -o "$folder/libsqlite3mc.so" "$sqlite" -lm -ldl -lpthread
  echo "$made" >"$folder/sqlite3mc.txt"
fi

sources=$(cd "$here" && find build.sh pom.xml driver "$package" -type f -not -path "*/target/*" -exec sha256sum {} + | sort)
[ "$(cat "$folder/built.txt" 2>/dev/null)" != "$sources" ] || exit 0
rm -rf "$folder/package" "$folder/driver" "$folder/built.txt"
cp -r "$here/$package" "$folder/package"
cp -r "$here/pom.xml" "$here/driver" "$folder"
mvn --file "$folder/pom.xml" --batch-mode --quiet --no-transfer-progress -Dmaven.repo.local="$folder/repository" package

# A launch that finds no server, and so the classes of one. The JVM goes without the archive if it is another one.
device=$(mktemp -d)
trap 'rm -rf "$device"' EXIT
target=$folder/driver/target
open='{"id": 1, "do": "open", "directory": "'$device'", "url": "http://127.0.0.1:9/database", "storeId": "x", "token": "x"}'
mkfifo "$device/commands"
java -XX:ArchiveClassesAtExit="$target/driver.jsa" -XX:+UseSerialGC -Djava.io.tmpdir="$device" \
  -cp "$target/driver.jar:$target/lib/*" seedbed.conformance.DriverKt <"$device/commands" >"$device/answers" 2>/dev/null &
exec 3>"$device/commands"
echo "$open" >&3
while kill -0 $! 2>/dev/null && ! grep -q '"id":1' "$device/answers"; do sleep 0.1; done
exec 3>&-
wait $!
echo "$sources" >"$folder/built.txt"
