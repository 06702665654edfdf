#!/usr/bin/env bash
# Builds the package for Kotlin with its driver in FOLDER, unless they have not changed since: the driver is then all of
# FOLDER/driver/target/driver.jar and FOLDER/driver/target/lib. Libraries come from Maven Central, into FOLDER/repository.
#
#   tests/clients/kotlin/build.sh FOLDER
set -euo pipefail

folder=$(readlink -m "$1")
here=$(dirname "$(readlink -f "$0")")
package=../../../deploy/clients/kotlin

sources=$(cd "$here" && find build.sh pom.xml driver "$package" -type f -not -path "*/target/*" -exec sha256sum {} + | sort)
[ "$(cat "$folder/built.txt" 2>/dev/null)" != "$sources" ] || exit 0
rm -rf "$folder/package" "$folder/driver" "$folder/built.txt"
mkdir -p "$folder"
cp -r "$here/$package" "$folder/package"
cp -r "$here/pom.xml" "$here/driver" "$folder"
mvn --file "$folder/pom.xml" --batch-mode --quiet --no-transfer-progress -Dmaven.repo.local="$folder/repository" package
echo "$sources" >"$folder/built.txt"
