#!/usr/bin/env bash
# Whether the program in this container is ready: asks at the port of the image's probes, for want of an HTTP client.
set -euo pipefail
exec 3<>/dev/tcp/127.0.0.1/9090
printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
