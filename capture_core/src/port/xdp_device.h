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

bool ft_xdp_device_has_link(const char *device);

#endif
