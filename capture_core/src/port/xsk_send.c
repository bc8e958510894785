/* SPDX-License-Identifier: Apache-2.0 */
#include "port/xsk_send.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef XDP_MAX_TX_SKB_BUDGET /* since Linux 6.17 */
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#define KICK_FRAMES 64

static void give_receive_chunks(struct ft_xsk_send *xsk, size_t area_bytes, uint32_t count)
{
	uint64_t address = area_bytes - (size_t)count * FT_XSK_SEND_CHUNK_BYTES;
	uint32_t index = 0;

	xsk_ring_prod__reserve(&xsk->fill, count, &index);
	for (uint32_t i = 0; i < count; i++, address += FT_XSK_SEND_CHUNK_BYTES)
		*xsk_ring_prod__fill_addr(&xsk->fill, index + i) = address;
	xsk_ring_prod__submit(&xsk->fill, count);
}

static int open_socket(struct ft_xsk_send *xsk, const char *device, unsigned queue)
{
	const struct xsk_socket_config config = {
		.tx_size = xsk->ring_size,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (uint16_t)(XDP_USE_NEED_WAKEUP |
					 (xsk->zero_copy ? XDP_ZEROCOPY : XDP_COPY)),
	};
	int rc = xsk_socket__create(&xsk->socket, device, queue, xsk->umem, NULL, &xsk->ring,
				    &config),
	    budget = KICK_FRAMES;

	if (rc != 0)
		return rc;
	xsk->fd = xsk_socket__fd(xsk->socket);
	/* Fewer calls; an older kernel stays with its 32. */
	setsockopt(xsk->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	return 0;
}

int ft_xsk_send_open(struct ft_xsk_send *xsk, const char *device, unsigned queue, uint8_t *area,
		     size_t area_bytes, uint32_t ring_size, bool zero_copy, uint32_t receive_chunks)
{
	const struct xsk_umem_config config = {
		.fill_size = ring_size,
		.comp_size = ring_size,
		.frame_size = FT_XSK_SEND_CHUNK_BYTES,
	};
	int rc;

	/* Zeroed: libxdp 1.3 does not set all fields of a ring. */
	*xsk = (struct ft_xsk_send){
		.area = area, .fd = -1, .zero_copy = zero_copy, .ring_size = ring_size};
	if (!zero_copy) /* pages that nothing will use need not be held */
		area_bytes -= (size_t)receive_chunks * FT_XSK_SEND_CHUNK_BYTES;
	rc = xsk_umem__create(&xsk->umem, area, area_bytes, &xsk->fill, &xsk->completion, &config);
	if (rc == 0 && zero_copy)
		give_receive_chunks(xsk, area_bytes, receive_chunks);
	if (rc == 0)
		rc = open_socket(xsk, device, queue);
	if (rc != 0)
		ft_xsk_send_close(xsk);
	return rc;
}

uint32_t ft_xsk_send_room(struct ft_xsk_send *xsk)
{
	uint32_t index, left = xsk_ring_cons__peek(&xsk->completion, xsk->ring_size, &index);

	xsk_ring_cons__release(&xsk->completion, left);
	xsk->in_flight -= left;
	return xsk_prod_nb_free(&xsk->ring, xsk->ring_size) < xsk->ring_size - xsk->in_flight
		       ? xsk_prod_nb_free(&xsk->ring, xsk->ring_size)
		       : xsk->ring_size - xsk->in_flight;
}

/*
 * The kernel has taken the descriptor before `next` and the port dropped its frame. All that wait
 * move one place on to let it go first again: in copy mode nobody else reads the ring now.
 */
static void put_back(struct ft_xsk_send *xsk, uint32_t next)
{
	uint32_t index = 0;

	if (xsk_ring_prod__reserve(&xsk->ring, 1, &index) != 1)
		return;
	for (; index != next; index--)
		*xsk_ring_prod__tx_desc(&xsk->ring, index) =
			*xsk_ring_prod__tx_desc(&xsk->ring, index - 1);
	*xsk_ring_prod__tx_desc(&xsk->ring, next) = *xsk_ring_prod__tx_desc(&xsk->ring, next - 1);
	xsk_ring_prod__submit(&xsk->ring, 1);
	xsk->in_flight++; /* the dropped one is told to have left too */
}

int ft_xsk_send_kick(struct ft_xsk_send *xsk)
{
	int rc = sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? -errno : 0;
	uint32_t told;

	if (xsk->zero_copy)
		return rc;
	/*
	 * The kernel tells where it goes on only after it has sent something
	 * (net/xdp/xsk.c __xsk_generic_xmit), so that it is silent where the first was dropped.
	 */
	told = __atomic_load_n(xsk->ring.consumer, __ATOMIC_ACQUIRE);
	if ((int32_t)(told - xsk->taken) > 0)
		xsk->taken = told;
	else if (rc == -EBUSY)
		xsk->taken++;
	if (rc == -EBUSY)
		put_back(xsk, xsk->taken);
	return rc;
}

void ft_xsk_send_close(struct ft_xsk_send *xsk)
{
	if (xsk->socket != NULL)
		xsk_socket__delete(xsk->socket);
	if (xsk->umem != NULL)
		xsk_umem__delete(xsk->umem);
	*xsk = (struct ft_xsk_send){.fd = -1};
}
