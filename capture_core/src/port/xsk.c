/* SPDX-License-Identifier: Apache-2.0 */
#include "port/xsk.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL_CHUNK_BYTES 2048u
#define LARGE_CHUNK_BYTES 4096u
#define HEADROOM_BYTES	  256u /* XDP_PACKET_HEADROOM, which the kernel keeps before each frame */
#define MIN_CHUNKS	  64u
#define MAX_CHUNKS	  (1u << 20)

#ifndef XDP_USE_SG /* since Linux 6.6 */
#define XDP_USE_SG (1 << 4)
#endif

void ft_xsk_lay_out(uint32_t longest_bytes, uint64_t buffer_bytes, struct ft_xsk_layout *layout)
{
	bool small = longest_bytes + HEADROOM_BYTES <= SMALL_CHUNK_BYTES;
	unsigned count = MIN_CHUNKS;

	layout->chunk_bytes = small ? SMALL_CHUNK_BYTES : LARGE_CHUNK_BYTES;
	layout->several_chunks = longest_bytes + HEADROOM_BYTES > LARGE_CHUNK_BYTES;
	while (count < MAX_CHUNKS && count * 2ull * layout->chunk_bytes <= buffer_bytes)
		count *= 2;
	layout->chunk_count = count;
}

static int open_memory(struct ft_xsk *xsk, const struct ft_xsk_layout *layout)
{
	const struct xsk_umem_config config = {
		.fill_size = layout->chunk_count,
		.comp_size = 1,
		.frame_size = layout->chunk_bytes,
	};

	xsk->area_bytes = (size_t)layout->chunk_bytes * layout->chunk_count;
	/* Zeroed: what the program did not write before a frame reads as nothing. */
	xsk->area = mmap(NULL, xsk->area_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (xsk->area == MAP_FAILED) {
		xsk->area = NULL;
		return -errno;
	}
	madvise(xsk->area, xsk->area_bytes, MADV_HUGEPAGE);
	return xsk_umem__create(&xsk->umem, xsk->area, xsk->area_bytes, &xsk->fill,
				&xsk->completion, &config);
}

static void give_all(struct ft_xsk *xsk, const struct ft_xsk_layout *layout)
{
	uint32_t index = 0;

	xsk_ring_prod__reserve(&xsk->fill, layout->chunk_count, &index);
	for (unsigned i = 0; i < layout->chunk_count; i++)
		*xsk_ring_prod__fill_addr(&xsk->fill, index + i) =
			(uint64_t)i * layout->chunk_bytes;
	xsk_ring_prod__submit(&xsk->fill, layout->chunk_count);
}

static int open_socket(struct ft_xsk *xsk, const char *device, unsigned queue,
		       const struct ft_xsk_layout *layout, bool zero_copy)
{
	const struct xsk_socket_config config = {
		.rx_size = layout->chunk_count,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD, /* we bring our own */
		.bind_flags =
			(uint16_t)(XDP_USE_NEED_WAKEUP | (zero_copy ? XDP_ZEROCOPY : XDP_COPY) |
				   (layout->several_chunks ? XDP_USE_SG : 0)),
	};
	int rc = xsk_socket__create(&xsk->socket, device, queue, xsk->umem, &xsk->received, NULL,
				    &config);

	if (rc == 0)
		xsk->fd = xsk_socket__fd(xsk->socket);
	return rc;
}

int ft_xsk_open(struct ft_xsk *xsk, const char *device, unsigned queue,
		const struct ft_xsk_layout *layout, bool zero_copy)
{
	int rc;

	*xsk = (struct ft_xsk){.fd = -1};
	rc = open_memory(xsk, layout);
	if (rc == 0) {
		give_all(xsk, layout); /* before a zero-copy driver looks for them */
		rc = open_socket(xsk, device, queue, layout, zero_copy);
	}
	if (rc != 0)
		ft_xsk_close(xsk);
	return rc;
}

/*
 * A frame counts in one of two: `rx_dropped` when it finds no chunk or is too long for them,
 * `rx_ring_full` when it finds no place in the ring. That the fill ring was empty is counted a
 * second time, elsewhere (net/xdp/xsk.c __xsk_rcv, net/xdp/xsk_buff_pool.c).
 */
uint64_t ft_xsk_dropped(const struct ft_xsk *xsk)
{
	struct xdp_statistics statistics;
	socklen_t bytes = sizeof(statistics);

	if (getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, &statistics, &bytes) != 0)
		return 0;
	return statistics.rx_dropped + statistics.rx_ring_full;
}

void ft_xsk_close(struct ft_xsk *xsk)
{
	if (xsk->socket != NULL)
		xsk_socket__delete(xsk->socket);
	if (xsk->umem != NULL)
		xsk_umem__delete(xsk->umem);
	if (xsk->area != NULL)
		munmap(xsk->area, xsk->area_bytes);
	*xsk = (struct ft_xsk){.fd = -1};
}
