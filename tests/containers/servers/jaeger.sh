#!/bin/bash
# Jaeger with everything in memory, reached from other containers.
exec env SPAN_STORAGE_TYPE=memory jaeger --collector.otlp.http.host-port="$JAEGER_LISTEN_HOST:4318"
