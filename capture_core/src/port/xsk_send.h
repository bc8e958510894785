/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An AF_XDP socket that sends (Documentation/networking/af_xdp.rst): memory whose pages the kernel
 * holds, a ring of what to send, and a ring that tells what has left.
 *
 * In copy mode the kernel takes descriptors only within our system calls, at most 32 in one
 * (net/xdp/xsk.c TX_BATCH_SIZE), and makes an skb of each. In zero-copy mode the driver takes them
 * when it likes.
 */
#ifndef FT_PORT_XSK_SEND_H
#define FT_PORT_XSK_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xdp/xsk.h>

/* No frame straddles two of these: they are what the kernel knows memory by. */
#define FT_XSK_SEND_CHUNK_BYTES 4096u

struct ft_xsk_send {
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill; /* of receiving: only a zero-copy driver looks at it */
	struct xsk_ring_cons completion;
	struct xsk_ring_prod ring;
	uint8_t *area;
	int fd;
	bool zero_copy;
	uint32_t ring_size;
	uint32_t taken;	    /* where in the ring the kernel goes on; of copy mode */
	uint32_t in_flight; /* handed over, and not yet told to have left */
};

/*
 * A socket on `queue` of a device, with memory at `area`, which is a multiple of the chunk. With
 * `zero_copy` the last `receive_chunks` chunks are the driver's to receive into. -EOPNOTSUPP where
 * the driver has no zero-copy; -EBUSY where another socket has the queue, also for a moment after
 * it was closed.
 */
int ft_xsk_send_open(struct ft_xsk_send *xsk, const char *device, unsigned queue, uint8_t *area,
		     size_t area_bytes, uint32_t ring_size, bool zero_copy,
		     uint32_t receive_chunks);

/* How many frames can be handed over now, after looking what has left. */
uint32_t ft_xsk_send_room(struct ft_xsk_send *xsk);

/* Put a frame that lies in `area` into the ring; there must be room. */
static inline void ft_xsk_send_put(struct ft_xsk_send *xsk, const uint8_t *frame, uint32_t bytes)
{
	uint32_t index = 0;
	struct xdp_desc *descriptor;

	xsk_ring_prod__reserve(&xsk->ring, 1, &index);
	descriptor = xsk_ring_prod__tx_desc(&xsk->ring, index);
	*descriptor = (struct xdp_desc){.addr = (uint64_t)(frame - xsk->area), .len = bytes};
	xsk->in_flight++;
}

/* Show the kernel what was put. */
static inline void ft_xsk_send_submit(struct ft_xsk_send *xsk, uint32_t count)
{
	xsk_ring_prod__submit(&xsk->ring, count);
}

/*
 * Have the kernel take from the ring. Of copy mode: a frame that the port dropped at once (-EBUSY)
 * is put back in its place. Negative errno says why it stopped.
 */
int ft_xsk_send_kick(struct ft_xsk_send *xsk);

/* Of copy mode: what was put and not yet taken. */
static inline uint32_t ft_xsk_send_pending(const struct ft_xsk_send *xsk)
{
	return xsk->ring.cached_prod - xsk->taken;
}

/* Accepts one that was never opened, if zeroed. */
void ft_xsk_send_close(struct ft_xsk_send *xsk);

#endif
