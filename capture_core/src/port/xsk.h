/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One receive queue's AF_XDP socket and the memory its frames lie in
 * (Documentation/networking/af_xdp.rst). The memory is cut into chunks, one a frame; each chunk is
 * with the kernel (in the fill ring or a driver's) or with us (in the receive ring). As there are
 * no more chunks than the receive ring has places, that ring cannot be full.
 */
#ifndef FT_PORT_XSK_H
#define FT_PORT_XSK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xdp/xsk.h>

#include "ft/error.h"

struct ft_xsk_layout {
	unsigned chunk_bytes;
	unsigned chunk_count; /* a power of two */
	bool several_chunks;  /* a frame may take more than one */
};

struct ft_xsk {
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion; /* of sending: unused, but the kernel wants it */
	struct xsk_ring_cons received;
	uint8_t *area;
	size_t area_bytes;
	int fd;
};

/* Which layout holds frames of `longest_bytes` in about `buffer_bytes`. */
void ft_xsk_lay_out(uint32_t longest_bytes, uint64_t buffer_bytes, struct ft_xsk_layout *layout);

/* Negative errno; -EOPNOTSUPP when the driver cannot do zero-copy and `zero_copy` demands it. */
int ft_xsk_open(struct ft_xsk *xsk, const char *device, unsigned queue,
		const struct ft_xsk_layout *layout, bool zero_copy);

/* Frames that the kernel meant for the socket and had to drop. */
uint64_t ft_xsk_dropped(const struct ft_xsk *xsk);

/* Accepts one that was never opened, if zeroed. */
void ft_xsk_close(struct ft_xsk *xsk);

#endif
