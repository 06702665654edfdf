#!/usr/bin/env bash
# Whether the program in this container is healthy: asks /healthz at the given port of this machine. The image has
# no HTTP client, and bash suffices.
set -euo pipefail

port=${1:?"usage: healthcheck.sh PORT"}
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
read -r -t 2 _ status _ <&3
[ "$status" = 200 ]
