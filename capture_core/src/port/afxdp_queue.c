/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end `afxdp`, frame by frame. Run by the hot thread of the queue; budget: 67 ns a frame
 * at 10GbE line rate of the smallest frame. It takes no lock, allocates nothing and makes a call
 * only when the ring is empty, when frames were lost, or when a driver asks to be woken.
 *
 * Frames stay where the kernel put them, in chunks, until the batch is released.
 */
#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ft/clock.h"
#include "port/afxdp.h"
#include "port/vlan.h"

#define DRAIN_NS     (2 * FT_NS_PER_SECOND)
#define TAI_CHECK_NS (50 * FT_NS_PER_MS)

#ifndef XDP_PKT_CONTD /* since Linux 6.6 */
#define XDP_PKT_CONTD (1u << 0)
#endif

/* Frames of several chunks: at most every second chunk of a batch begins one. */
#define JOINED_FRAMES	   (FT_BATCH_FRAMES / 2)
#define JOINED_ROOM_BYTES  64u /* before a frame: for its metadata and a tag put back */
#define JOINED_SPARE_BYTES 64u

static size_t joined_slot_bytes(const struct afxdp *a)
{
	return JOINED_ROOM_BYTES + ((a->longest_bytes + JOINED_SPARE_BYTES + 63) & ~(size_t)63);
}

int ft_afxdp_queue_prepare(const struct afxdp *a, struct afxdp_queue *queue)
{
	if (!a->layout.several_chunks)
		return 0;
	queue->joined = malloc(JOINED_FRAMES * joined_slot_bytes(a));
	return queue->joined != NULL ? 0 : -ENOMEM;
}

/*
 * TAI - UTC as the kernel's clocks have it now: whole seconds, 0 where nobody told the kernel. The
 * program stamps in TAI because the kernel gives it no UTC. Looked up again and again, as a clock
 * daemon may tell the kernel while we run.
 */
static uint64_t look_up_tai_utc_ns(void)
{
	uint64_t before_ns, tai_ns, after_ns;

	do {
		before_ns = ft_clock_utc_ns();
		tai_ns = ft_clock_read_ns(CLOCK_TAI);
		after_ns = ft_clock_utc_ns();
	} while (after_ns - before_ns >
		 FT_NS_PER_SECOND / 4); /* interrupted, or the clock stepped */
	return (tai_ns - before_ns + FT_NS_PER_SECOND / 2) / FT_NS_PER_SECOND * FT_NS_PER_SECOND;
}

static uint64_t utc_of_tai(struct afxdp_queue *queue, uint64_t tai_ns)
{
	if (tai_ns - queue->tai_checked_ns > TAI_CHECK_NS) {
		queue->tai_utc_ns = look_up_tai_utc_ns();
		queue->tai_checked_ns = tai_ns;
	}
	return tai_ns - queue->tai_utc_ns;
}

static void stamp_frame(const struct afxdp *a, struct afxdp_queue *queue, struct ft_xdp_meta *meta,
			struct ft_frame *frame)
{
	bool from_adapter = a->stamping.adapter && meta->tai_ns != 0 && meta->adapter_ns != 0;

	frame->unstamped = a->stamping.adapter && !from_adapter;
	if (from_adapter) {
		frame->stamp_ns = meta->adapter_ns - a->stamping.ahead_ns;
	} else if (__builtin_expect(meta->tai_ns != 0, 1)) {
		frame->stamp_ns = utc_of_tai(queue, meta->tai_ns);
	} else {
		frame->stamp_ns = ft_clock_utc_ns();
		queue->stamped_late++;
	}
}

/* Direction (bits 0-1) and reception type (bits 2-4) of the EPB flags word. */
static uint32_t flags_of(const struct afxdp *a, const uint8_t *destination)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (destination[0] & 1)
		return memcmp(destination, broadcast, 6) == 0 ? 1 | 3 << 2 : 1 | 2 << 2;
	return memcmp(destination, a->device.address, 6) == 0 ? 1 | 1 << 2 : 1 | 4 << 2;
}

/*
 * Put a frame of several chunks together, beginning at `index` of the ring with `available` chunks.
 * Returns how many it took, 0 when its end is not among them.
 */
static unsigned join_chunks(const struct afxdp *a, struct afxdp_queue *queue, uint32_t index,
			    unsigned available, struct ft_frame *frame)
{
	uint8_t *slot = queue->joined + queue->joined_count * joined_slot_bytes(a);
	uint8_t *data = slot + JOINED_ROOM_BYTES;
	size_t room = joined_slot_bytes(a) - JOINED_ROOM_BYTES;
	const struct xdp_desc *chunk;
	unsigned taken = 0;

	frame->captured_bytes = frame->length_bytes = 0;
	do {
		uint32_t part;

		if (taken == available)
			return 0;
		chunk = xsk_ring_cons__rx_desc(&queue->xsk.received, index + taken++);
		part = chunk->len;
		frame->length_bytes += part;
		if (part > room - frame->captured_bytes)
			part = (uint32_t)(room - frame->captured_bytes);
		memcpy(data + frame->captured_bytes, queue->xsk.area + chunk->addr, part);
		frame->captured_bytes += part;
	} while (chunk->options & XDP_PKT_CONTD);
	frame->data = data;
	queue->joined_count++;
	return taken;
}

/* Returns how many chunks the frame at `index` takes, 0 when not all of them are there. */
static unsigned describe_frame(const struct afxdp *a, struct afxdp_queue *queue, uint32_t index,
			       unsigned available, struct ft_frame *frame)
{
	const struct xdp_desc *chunk = xsk_ring_cons__rx_desc(&queue->xsk.received, index);
	uint8_t *data = queue->xsk.area + chunk->addr;
	struct ft_xdp_meta *meta = (struct ft_xdp_meta *)data - 1;
	unsigned taken = 1;

	if (__builtin_expect(chunk->options & XDP_PKT_CONTD, 0)) {
		taken = join_chunks(a, queue, index, available, frame);
		if (taken == 0)
			return 0;
	} else {
		frame->data = data;
		frame->captured_bytes = frame->length_bytes = chunk->len;
	}
	stamp_frame(a, queue, meta, frame);
	frame->epb_flags = flags_of(a, data);
	frame->interface = 0;
	frame->dropped_before = 0;
	frame->coalesced = frame->length_bytes > a->longest_bytes;
	if (__builtin_expect(meta->tai_ns != 0 && meta->vlan_tpid != 0, 0)) {
		uint16_t tci = meta->vlan_tci, tpid = meta->vlan_tpid;

		meta->tai_ns = 0; /* the tag goes over the metadata */
		ft_vlan_restore(frame, tci, tpid);
	}
	meta->tai_ns = 0; /* else the chunk's next frame could seem to have it */
	return taken;
}

void ft_afxdp_queue_read_counts(const struct afxdp *a, struct afxdp_queue *queue,
				struct ft_port_counts *counts)
{
	queue->counts.offered = ft_xdp_program_frames(&a->program, (unsigned)(queue - a->queues));
	queue->counts.dropped_kernel = ft_xsk_dropped(&queue->xsk);
	*counts = queue->counts;
}

/* Tell losses with the frame that came next, which is `lost_at` where the place is known. */
static void tell_losses(struct afxdp_queue *queue, struct ft_frame *frames, unsigned count)
{
	unsigned place = 0;

	if (queue->lost) {
		place = queue->lost_at - queue->first;
		if ((int)place >= (int)queue->taken)
			return; /* still to come */
		queue->lost = false;
		queue->counts.dropped_kernel = ft_xsk_dropped(&queue->xsk);
		if ((int)place < 0 || place >= count)
			place = 0;
	}
	frames[place].dropped_before = queue->counts.dropped_kernel - queue->dropped_told;
	queue->dropped_told = queue->counts.dropped_kernel;
}

static int take_batch(const struct afxdp *a, struct afxdp_queue *queue, struct ft_frame *frames)
{
	struct xsk_ring_cons *ring = &queue->xsk.received;
	unsigned available = xsk_ring_cons__peek(ring, FT_BATCH_FRAMES, &queue->first);
	unsigned count = 0;

	queue->taken = 0;
	queue->joined_count = 0;
	while (queue->taken < available) {
		unsigned taken = describe_frame(a, queue, queue->first + queue->taken,
						available - queue->taken, &frames[count]);

		if (taken == 0)
			break;
		queue->taken += taken;
		count++;
	}
	xsk_ring_cons__cancel(ring, available - queue->taken);
	if (count > 0)
		tell_losses(queue, frames, count);
	queue->received += count;
	return (int)count;
}

/* Once closed: whether every frame that was counted and not dropped has been received. */
static bool drained(const struct afxdp *a, struct afxdp_queue *queue)
{
	uint64_t closed_ns = atomic_load_explicit(&a->closed_ns, memory_order_acquire);
	struct ft_port_counts counts;

	if (closed_ns == 0)
		return false;
	ft_afxdp_queue_read_counts(a, queue, &counts);
	return queue->received >= counts.offered - counts.dropped_kernel ||
	       ft_clock_monotonic_ns() - closed_ns > DRAIN_NS;
}

/* The socket does not say that its device went away. */
static int check_device(const struct ft_port *port, const struct afxdp *a, struct ft_error *error)
{
	char name[IF_NAMESIZE];

	if (if_indextoname((unsigned)a->device.ifindex, name) != NULL || errno != ENXIO)
		return 0;
	return ft_fail(error, -ENODEV, "port '%s' is gone: its interface was removed",
		       port->device);
}

int ft_afxdp_queue_receive(struct ft_port *port, struct afxdp_queue *queue, struct ft_frame *frames,
			   int timeout_ms, struct ft_error *error)
{
	const struct afxdp *a = port->state;
	struct pollfd waiter = {.fd = queue->xsk.fd, .events = POLLIN};
	int count = take_batch(a, queue, frames);

	if (count > 0)
		return count;
	if (drained(a, queue))
		return -ENODATA;
	/* Also wakes a driver that waits for chunks. */
	if (poll(&waiter, 1, timeout_ms) == 0)
		return check_device(port, a, error);
	return take_batch(a, queue, frames);
}

/* Chunks went out of the fill ring faster than they came back: what comes now may be lost. */
static bool is_starved(const struct xsk_ring_prod *fill)
{
	return __atomic_load_n(fill->consumer, __ATOMIC_RELAXED) == fill->cached_prod;
}

void ft_afxdp_queue_release(struct afxdp_queue *queue)
{
	struct ft_xsk *xsk = &queue->xsk;
	uint32_t index = 0;

	if (__builtin_expect(is_starved(&xsk->fill) && !queue->lost, 0)) {
		queue->lost = true;
		queue->lost_at = __atomic_load_n(xsk->received.producer, __ATOMIC_RELAXED);
	}
	xsk_ring_prod__reserve(&xsk->fill, queue->taken, &index); /* has room for every chunk */
	for (unsigned i = 0; i < queue->taken; i++)
		*xsk_ring_prod__fill_addr(&xsk->fill, index + i) =
			xsk_ring_cons__rx_desc(&xsk->received, queue->first + i)->addr;
	xsk_ring_cons__release(&xsk->received, queue->taken);
	xsk_ring_prod__submit(&xsk->fill, queue->taken);
	if (__builtin_expect(xsk_ring_prod__needs_wakeup(&xsk->fill), 0))
		recvfrom(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}
