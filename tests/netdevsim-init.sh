#!/bin/busybox sh
# shellcheck shell=dash
# First process of the guest with netdevsim: puts memory over this machine's root, and goes there.
/bin/busybox mkdir -p /proc /sys /dev /lower /memory /root
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
for module in /modules/*.ko; do insmod "$module"; done
checkout=$(sed -e 's/.*checkout=//' -e 's/ .*//' /proc/cmdline)
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 root /lower
mount -t tmpfs memory /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work overlay /root
for folder in proc sys dev; do mount --move "/$folder" "/root/$folder"; done
mount -t debugfs debugfs /root/sys/kernel/debug
case $checkout in
    /tmp/*) ;; # there as it is, with memory over it
    *) mount -t tmpfs tmp /root/tmp ;;
esac
mount -t tmpfs run /root/run
mkdir -p /root/var/lib/fieldtap /root/lib/firmware
mount -t tmpfs lib /root/var/lib/fieldtap
echo "READY"
# shellcheck disable=SC2016  # the inner shell has the path as $1
exec switch_root /root /bin/sh -c '
    export HOME=/run PATH=/usr/sbin:/usr/bin:/sbin:/bin
    cd "$1" && build/venv/bin/python tests/netdevsim_scenarios.py
    echo o >/proc/sysrq-trigger; sleep 60' sh "$checkout"
