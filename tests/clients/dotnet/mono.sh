#!/usr/bin/env bash
# Compiles the package for .NET with its driver and the stand-in for libraries that are not served here, by Mono, to FOLDER/driver.exe.
# Ends with 3 where there is no Mono, or no Newtonsoft.Json.
#
#   tests/clients/dotnet/mono.sh FOLDER
set -euo pipefail

folder=$(readlink -m "$1")
cd "$(dirname "$(readlink -f "$0")")"
package=../../../deploy/clients/dotnet
command -v mono mcs >/dev/null || exit 3
json=$(find /usr/lib/mono/gac/Newtonsoft.Json -name "*.dll" -print -quit 2>/dev/null) || exit 3

mkdir -p "$folder"
mcs -langversion:latest -warnaserror -nowarn:649 -out:"$folder/driver.exe" \
  -r:System.Net.Http -r:System.IO.Compression -r:"$json" \
  -resource:"$package/finish-v1.json",Seedbed.Client.finish-v1.json \
  -recurse:"$package/src/*.cs" Driver.cs stand-in/*.cs
