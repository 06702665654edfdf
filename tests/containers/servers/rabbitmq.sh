#!/bin/bash
# RabbitMQ with the user and the virtual host of its image's variables.
set -euo pipefail

cat >/etc/rabbitmq/rabbitmq.conf <<END
default_user = $RABBITMQ_DEFAULT_USER
default_pass = $RABBITMQ_DEFAULT_PASS
default_vhost = $RABBITMQ_DEFAULT_VHOST
loopback_users = none
END
chown -R rabbitmq:rabbitmq /var/lib/rabbitmq
# Its variables are for this script; the server would warn of them.
unset RABBITMQ_DEFAULT_USER RABBITMQ_DEFAULT_PASS RABBITMQ_DEFAULT_VHOST
export HOME=/var/lib/rabbitmq
exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups /usr/lib/rabbitmq/bin/rabbitmq-server
