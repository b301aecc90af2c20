#!/bin/sh
# Deploys a version of the shop on this node, while no other node does: `sh deploy.sh 4.2`. The action deploy-shop, which has the
# lock, the drain and the check, is in config/rollouts.yaml. The lock is this script's as long as it runs: if it is killed, the
# lock is stale and keeps the next node out.
set -eu
version=$1

# Waits for the turn and drains the node. 1: nothing to do. 75: not now, so try later.
holdline begin deploy-shop --pid $$ >/dev/null || {
  code=$?
  [ "$code" -eq 1 ] && exit 0
  exit "$code"
}
# Whatever goes wrong from here on keeps the lock, and the node drained.
trap 'holdline end deploy-shop --failed --message "deploy.sh $version did not come to its end"' EXIT

shop-install "$version"
shop-migrate
systemctl restart shop.service

trap - EXIT
# Checks, undrains, soaks, and lets the next node go.
holdline end deploy-shop
