#!/bin/bash
# The first process of the second node, in namespaces of its own (see life.ts, which sets the variables). Its end is that of the node.
set -u
until ip link show eth0 > /dev/null 2>&1; do sleep 0.05; done
ip link set lo up
ip address add "$ADDRESS/32" dev eth0
ip link set eth0 up
ip route add "$HOST_ADDRESS" dev eth0
ip route add default via "$HOST_ADDRESS" dev eth0
echo 1 > /proc/sys/net/ipv4/ip_forward

# What a machine forgets when it loses power.
mount --make-rshared /
for dir in /run/containerd /var/lib/cni "$STATE" "$DIR/cni-addresses"; do
  mkdir -p "$dir"
  mount -t tmpfs tmpfs "$dir"
done

log() { exec "$@" >> "$LOGS/node-2-$(basename "$1").log" 2>&1; }
log containerd --config "$CONTAINERD_CONFIG" &
until ctr --address "$SOCKET" version > /dev/null 2>&1; do sleep 0.1; done
# Again at each start: a tag may have moved since.
for image in $IMAGES; do
  ctr --address "$SOCKET" --namespace k8s.io images pull --hosts-dir "$REGISTRIES" "$image" >> "$LOGS/node-2-images.log" 2>&1
done

if [ -n "${POLICY_AGENT:-}" ]; then
  log "$POLICY_AGENT" --kubeconfig "$ADMIN_KUBECONFIG" --node "$NAME" &
  # Until the agent listens, the kernel drops what is queued. The node's own programs, such as the kubelet that probes pods, pass.
  queue='-m conntrack --ctstate NEW -j NFQUEUE --queue-num 100'
  iptables -t mangle -A POSTROUTING -m owner --uid-owner 0 -j ACCEPT
  iptables -t mangle -A POSTROUTING -d "$POD_CIDR" $queue
  iptables -t mangle -A POSTROUTING -s "$POD_CIDR" $queue
fi

# shellcheck disable=SC2086 # flags without spaces
log "$KUBERNETES/kubelet" $KUBELET_FLAGS &
# shellcheck disable=SC2086
log "$KUBERNETES/kube-proxy" $KUBE_PROXY_FLAGS &
wait
