#!/bin/bash
# What compose.yaml's health check does with Node: whether /probes/liveness answers 200.
exec 3<>/dev/tcp/127.0.0.1/8080
printf 'GET /probes/liveness HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
