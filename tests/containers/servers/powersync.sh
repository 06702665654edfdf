#!/bin/bash
# The stand-in with the key of compose/service.yaml and a tenth of the rows of compose/postgres: 40 stores with 10 to 400.
set -euo pipefail

stores=()
for number in $(seq 40); do stores+=("--store-rows=$(printf 'store-%03d' "$number")=$((number * 10))"); done
socat TCP-LISTEN:8080,fork,reuseaddr TCP:127.0.0.1:8081 &
exec powersync-stand-in --listen 127.0.0.1:8081 --kid seedbed --secret "$PS_JWT_KEY" "${stores[@]}"
