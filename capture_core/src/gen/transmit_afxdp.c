/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `afxdp` of the generator: one AF_XDP socket on the first queue of the port. Where the
 * driver has zero-copy the adapter reads frames from our own memory; else the kernel copies each
 * into an skb that goes straight to the driver. Neither passes a queueing discipline or a packet
 * socket.
 *
 * send() runs on the sender's thread; in copy mode nearly all of its time is the kernel's (about
 * 1.3 us a frame on veth), in zero-copy mode it has the 67 ns of 10GbE line rate. It allocates
 * nothing and sleeps only where the port cannot take more.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ft/clock.h"
#include "gen/transmit.h"
#include "port/xdp_device.h"
#include "port/xdp_program.h"
#include "port/xsk_send.h"

#define QUEUE 0u
/* A queue is given back a while after its socket was closed. */
#define BIND_WAIT_NS  FT_NS_PER_SECOND
#define BIND_PAUSE_US 50000
/* Without a frame that leaves, draining ends after so many pauses of FULL_WAIT_US. */
#define DRAIN_PAUSES 5000
#define FULL_WAIT_US 20
#define FULL_WAIT_MS 1

struct afxdp {
	struct ft_xsk_send xsk;
	struct ft_xdp_program program; /* zero-copy only: drivers ask for one */
	uint32_t next_slot;	       /* of the copies, after the sources' memory */
};

static int bind_queue(struct ft_transmit *t, struct afxdp *a, bool zero_copy)
{
	uint64_t began_ns = ft_clock_monotonic_ns();
	int rc;

	while ((rc = ft_xsk_send_open(&a->xsk, t->device, QUEUE, t->area, t->area_bytes,
				      FT_TRANSMIT_RING, zero_copy, FT_TRANSMIT_RING)) == -EBUSY &&
	       ft_clock_monotonic_ns() - began_ns < BIND_WAIT_NS)
		usleep(BIND_PAUSE_US);
	return rc;
}

/*
 * Drivers make the queues of zero-copy only where an XDP program is attached. Its window is never
 * opened, so that it lets every frame pass to the host.
 */
static int open_zero_copy(struct ft_transmit *t, struct afxdp *a)
{
	struct ft_error ignored; /* copy mode comes next */
	int rc = ft_xdp_program_load(&a->program, t->ifindex, false);

	if (rc == 0)
		rc = ft_xdp_program_attach(&a->program, t->device, t->ifindex, false, &ignored);
	if (rc == 0)
		rc = bind_queue(t, a, true);
	if (rc != 0)
		ft_xdp_program_free(&a->program);
	return rc;
}

static int refuse(const struct ft_transmit *t, int rc, struct ft_error *error)
{
	if (rc == -EBUSY)
		return ft_fail(error, rc,
			       "-o: port '%s': another AF_XDP socket has its queue %u; end that "
			       "program, or send by afpacket:%s",
			       t->device, QUEUE, t->device);
	if (rc == -EPERM)
		return ft_fail(error, rc,
			       "-o: port '%s': cannot open an AF_XDP socket: %s; run as root or "
			       "give the program cap_net_raw and cap_net_admin",
			       t->device, strerror(-rc));
	return ft_fail(error, rc, "-o: port '%s': cannot open an AF_XDP socket: %s", t->device,
		       strerror(-rc));
}

static int afxdp_open(struct ft_transmit *t, struct ft_error *error)
{
	struct afxdp *a = t->state = calloc(1, sizeof(*a));
	uint64_t features = 0;
	int rc = -EOPNOTSUPP;

	if (a == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	a->xsk.fd = a->program.link_fd = -1;
	if (t->longest_bytes > FT_XSK_SEND_CHUNK_BYTES)
		return ft_fail(error, -EMSGSIZE,
			       "-o: port '%s': afxdp sends frames of up to %u bytes, and there may "
			       "be one of %u; send by afpacket:%s",
			       t->device, FT_XSK_SEND_CHUNK_BYTES, t->longest_bytes, t->device);
	if (ft_xdp_device_read_features(t->ifindex, &features) == 0 &&
	    (features & FT_XDP_FEATURE_ZERO_COPY))
		rc = open_zero_copy(t, a);
	snprintf(t->mode, sizeof(t->mode), "%s", rc == 0 ? "zero-copy" : "copy");
	/* A copy goes the way of every skb, to the driver's ndo_start_xmit and its counter. */
	t->unproven = rc == 0;
	if (rc != 0)
		rc = bind_queue(t, a, false);
	if (rc != 0)
		return refuse(t, rc, error);
	t->unseen = true;
	return ft_transmit_wait_for_link(t, error); /* which an attached program may have reset */
}

/* Where the kernel finds a frame: where it is, or else a copy of it. */
static const uint8_t *place(const struct ft_transmit *t, struct afxdp *a, const struct iovec *frame)
{
	const uint8_t *data = frame->iov_base;
	size_t at = (size_t)(data - t->area);
	uint8_t *slot;

	if (data >= t->area && at < t->memory_bytes &&
	    at % FT_XSK_SEND_CHUNK_BYTES + frame->iov_len <= FT_XSK_SEND_CHUNK_BYTES)
		return data;
	slot = t->area + t->memory_bytes +
	       (size_t)(a->next_slot++ % FT_TRANSMIT_RING) * FT_XSK_SEND_CHUNK_BYTES;
	memcpy(slot, data, frame->iov_len);
	return slot;
}

static unsigned put(const struct ft_transmit *t, struct afxdp *a, unsigned first, unsigned count)
{
	unsigned room = ft_xsk_send_room(&a->xsk);

	if (room > count - first)
		room = count - first;
	for (unsigned i = first; i < first + room; i++)
		ft_xsk_send_put(&a->xsk, place(t, a, &t->frames[i]),
				(uint32_t)t->frames[i].iov_len);
	ft_xsk_send_submit(&a->xsk, room);
	return room;
}

/* How many of the frames that were put the port has. */
static unsigned count_taken(const struct afxdp *a, unsigned put_count)
{
	return a->xsk.zero_copy ? put_count : put_count - ft_xsk_send_pending(&a->xsk);
}

static int kick(struct afxdp *a)
{
	if (a->xsk.zero_copy && !xsk_ring_prod__needs_wakeup(&a->xsk.ring))
		return 0;
	return ft_xsk_send_kick(&a->xsk);
}

/* `rc` is the kernel's answer. 0: try again. A short sleep would let a full ring run dry. */
static int wait_for_port(const struct ft_transmit *t, const struct afxdp *a, int rc,
			 uint64_t *outage_ns, struct ft_error *error)
{
	struct pollfd waiter = {.fd = a->xsk.fd, .events = POLLOUT};

	if (rc != 0 || !a->xsk.zero_copy)
		return ft_transmit_wait(t, rc != 0 ? -rc : EAGAIN, outage_ns, error);
	poll(&waiter, 1, FULL_WAIT_MS);
	return 0;
}

static int afxdp_send(struct ft_transmit *t, unsigned count, const atomic_bool *stop,
		      struct ft_error *error)
{
	struct afxdp *a = t->state;
	unsigned put_count = 0, taken = 0;
	uint64_t outage_ns = 0;

	for (;;) {
		unsigned before = taken;
		int rc;

		put_count += put(t, a, put_count, count);
		rc = kick(a);
		taken = count_taken(a, put_count);
		if (taken == count)
			return (int)count;
		if (taken > before) {
			outage_ns = 0;
			continue;
		}
		if (atomic_load_explicit(stop, memory_order_relaxed))
			return (int)taken;
		rc = wait_for_port(t, a, rc, &outage_ns, error);
		if (rc != 0)
			return rc;
	}
}

static void afxdp_drain(struct ft_transmit *t)
{
	struct afxdp *a = t->state;
	uint32_t before = a->xsk.in_flight;

	for (unsigned pauses = 0; pauses < DRAIN_PAUSES; pauses++) {
		ft_xsk_send_room(&a->xsk);
		if (a->xsk.in_flight == 0)
			return;
		if (a->xsk.in_flight != before)
			pauses = 0;
		before = a->xsk.in_flight;
		kick(a);
		usleep(FULL_WAIT_US);
	}
}

static void afxdp_close(struct ft_transmit *t)
{
	struct afxdp *a = t->state;

	if (a == NULL)
		return;
	ft_xsk_send_close(&a->xsk);
	ft_xdp_program_free(&a->program);
	free(a);
}

const struct ft_transmit_ops ft_transmit_afxdp = {
	.name = "afxdp",
	.open = afxdp_open,
	.send = afxdp_send,
	.drain = afxdp_drain,
	.close = afxdp_close,
};
