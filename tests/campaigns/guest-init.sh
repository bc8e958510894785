#!/bin/busybox sh
# shellcheck shell=dash
# The first and only process tree of the guest for power cuts. It ends with the power.
/bin/busybox mkdir -p /proc /sys /dev /run /disk
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
for module in /modules/*.ko; do insmod "$module"; done
mode=$(sed -e 's/.*campaign=//' -e 's/ .*//' /proc/cmdline)

fail() {
    echo "FAILED: $*"
    sleep 1000
}

until [ -b /dev/vda ]; do sleep 0.1; done

if [ "$mode" = proof ]; then
    # With O_DIRECT the disk has both files; only one of them was flushed. No journal commit of its
    # own comes before the cut.
    mount -t ext4 -o commit=600 /dev/vda /disk || fail "mount"
    dd if=/dev/urandom of=/disk/flushed bs=64k count=16 oflag=direct 2>/dev/null || fail "dd"
    sync
    dd if=/dev/urandom of=/disk/unflushed bs=64k count=16 oflag=direct 2>/dev/null || fail "dd"
    echo "WROTE $(stat -c %s /disk/unflushed) bytes"
    sleep 1000
fi

mount -t ext4 /dev/vda /disk || fail "mount"
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
/bin/iproute2 link add ft-left type veth peer name ft-right || fail "veth"
ip link set ft-left up
ip link set ft-right up
export FIELDTAP_RUN_DIR=/run
case "$mode" in
rotating) set -- -b packets:3000 ;;
*) set -- ;;
esac
ft-capture -q -i ft-right -d in -w /disk/x.pcapng --name tap "$@" &
engine=$!
until [ -S /run/tap/control.sock ]; do
    kill -0 $engine || fail "ft-capture ended"
    sleep 0.1
done
echo "READY"
stamped_sender ft-left -r 2000 -s 1000 -p
