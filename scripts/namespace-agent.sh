#!/bin/sh
# namespace-agent.sh HOST COMMAND…: in place of ssh, for hosts that are network namespaces of this machine: see two-hosts.ts.
# $GPUGRAD_HOSTS has their addresses and names: "10.77.0.1=name-a 10.77.0.2=name-b".
address=$1
shift
for pair in $GPUGRAD_HOSTS; do
  [ "${pair%%=*}" = "$address" ] && name=${pair#*=}
done
exec ip netns exec "${name:?no host has the address $address}" unshare --uts sh -c 'hostname "$0"; eval "$*"' "$name" "$@"
