/* SPDX-License-Identifier: Apache-2.0 */
/* What a device says of itself that matters to XDP. */
#ifndef FT_PORT_XDP_DEVICE_H
#define FT_PORT_XDP_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

struct ft_xdp_device {
	int ifindex;
	unsigned queue_count; /* receive queues in use */
	unsigned mtu_bytes;
	uint8_t address[6];
	bool stamps;   /* its driver tells an XDP program the adapter's stamp, */
	bool tags;     /* the VLAN tag that the adapter took out of the frame */
	bool has_link; /* a carrier */
};

/* -EINVAL when the port is not Ethernet, -ENETDOWN when it is down, -ENODEV. */
int ft_xdp_device_read(const char *device, struct ft_xdp_device *found, struct ft_error *error);

/*
 * What a driver does beside receiving (linux/netdev.h NETDEV_XDP_ACT_), as it is now: some of it
 * comes and goes with programs and settings, on veth with those of the peer.
 */
#define FT_XDP_FEATURE_SENDS	 (1u << 2) /* frames that a program redirects to it */
#define FT_XDP_FEATURE_ZERO_COPY (1u << 3)

/* FT_XDP_FEATURE_ bits. -EOPNOTSUPP where the kernel, of before 6.3, does not tell. */
int ft_xdp_device_read_features(int ifindex, uint64_t *features);

bool ft_xdp_device_has_link(const char *device);

#endif
