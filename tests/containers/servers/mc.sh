#!/bin/bash
# What compose.yaml asks of MinIO's client: `mc ready local`, and `mc mb --ignore-existing ALIAS/BUCKET` with MC_HOST_ALIAS.
set -euo pipefail

case "$1" in
  ready) exec curl --silent --fail http://127.0.0.1:9000/minio/health/ready ;;
  mb)
    alias=${3%%/*}
    host=MC_HOST_$alias
    [[ ${!host} =~ ^(http://)(.*)@(.*)$ ]]
    curl --silent --show-error --fail --request PUT --user "${BASH_REMATCH[2]}" --aws-sigv4 aws:amz:us-east-1:s3 "${BASH_REMATCH[1]}${BASH_REMATCH[3]}/${3#*/}"
    echo "Bucket created successfully"
    ;;
  *) exit 2 ;;
esac
