/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the thread that receives a queue runs, once for up to FT_BATCH_FRAMES frames: at 10GbE line
 * rate of the smallest frame that is 67 ns a frame for everything. It takes no lock and makes no
 * call except poll() when the ring is empty, and reads the kernel's counts when it lost frames.
 */
#include <net/if.h> /* before the kernel's own */

#include "port/afpacket.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <sys/socket.h>

#include "ft/clock.h"
#include "port/vlan.h"

#define DRAIN_NS (2 * FT_NS_PER_SECOND)
/* So far ahead the ring is asked for: frames come from the cache of another core. */
#define PREFETCH_BYTES 1024

static struct ft_afpacket_queue *queue_of(const struct ft_port *port, unsigned index)
{
	struct ft_afpacket *a = port->state;

	return &a->queues[index];
}

static struct tpacket_block_desc *current_block(const struct ft_afpacket_queue *queue)
{
	return (struct tpacket_block_desc *)(queue->ring +
					     (size_t)queue->block * queue->block_bytes);
}

static void close_block(struct ft_afpacket_queue *queue)
{
	/* Release: we have read all of the block before the kernel may write to it. */
	__atomic_store_n(&current_block(queue)->hdr.bh1.block_status, TP_STATUS_KERNEL,
			 __ATOMIC_RELEASE);
	queue->block = queue->block + 1 == queue->block_count ? 0 : queue->block + 1;
}

/* The kernel resets its 32-bit counts at each reading; they are read at least once a second. */
static void read_statistics(struct ft_afpacket_queue *queue)
{
	struct tpacket_stats_v3 stats;
	socklen_t size = sizeof(stats);

	if (getsockopt(queue->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0)
		return;
	queue->counts.offered += stats.tp_packets;
	queue->counts.dropped_kernel += stats.tp_drops;
}

/* Say at the next frame what was lost before it. */
static void tell_lost(struct ft_afpacket_queue *queue)
{
	queue->lost_before += queue->counts.dropped_kernel - queue->dropped_told;
	queue->dropped_told = queue->counts.dropped_kernel;
}

/* Whether the kernel has handed the current block over; opens it then. */
static bool open_block(struct ft_afpacket_queue *queue)
{
	struct tpacket_block_desc *block = current_block(queue);
	/* Acquire: the frames of a block were written before its status. */
	uint32_t status = __atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE);

	if (!(status & TP_STATUS_USER))
		return false;
	queue->left = block->hdr.bh1.num_pkts;
	queue->next =
		(struct tpacket3_hdr *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
	if (status & TP_STATUS_LOSING) {
		read_statistics(queue);
		tell_lost(queue);
	}
	if (queue->left == 0)
		close_block(queue);
	return queue->left > 0;
}

/* sll_pkttype to direction (bits 0-1) and reception type (bits 2-4) of the EPB flags word. */
static uint32_t flags_of(uint8_t packet_type)
{
	switch (packet_type) {
	case PACKET_OUTGOING:
		return 2;
	case PACKET_HOST:
		return 1 | 1 << 2;
	case PACKET_MULTICAST:
		return 1 | 2 << 2;
	case PACKET_BROADCAST:
		return 1 | 3 << 2;
	case PACKET_OTHERHOST:
		return 1 | 4 << 2;
	default:
		return 1;
	}
}

void ft_afpacket_describe_frame(const struct ft_port *port, const struct ft_afpacket *a,
				struct tpacket3_hdr *header, struct ft_frame *frame)
{
	const struct sockaddr_ll *link =
		(const void *)((const uint8_t *)header + TPACKET_ALIGN(sizeof(*header)));
	bool outgoing = link->sll_pkttype == PACKET_OUTGOING;

	frame->data = (uint8_t *)header + header->tp_mac;
	frame->captured_bytes = header->tp_snaplen;
	frame->length_bytes = header->tp_len;
	frame->epb_flags = flags_of(link->sll_pkttype);
	frame->interface = outgoing && port->interface_count > 1;
	ft_stamps_read(&a->stamping, header->tp_status & TP_STATUS_TS_RAW_HARDWARE, outgoing,
		       header->tp_sec * FT_NS_PER_SECOND + header->tp_nsec, frame);
	if (header->tp_status & TP_STATUS_VLAN_VALID)
		ft_vlan_restore(frame, (uint16_t)header->hv1.tp_vlan_tci,
				header->tp_status & TP_STATUS_VLAN_TPID_VALID
					? header->hv1.tp_vlan_tpid
					: ETH_P_8021Q);
	frame->dropped_before = 0;
	frame->coalesced = frame->length_bytes > a->longest_bytes;
}

/* What poll() woke us for when no block came: the link went down (go on) or the port went away. */
static int check_socket(const struct ft_port *port, int fd, struct ft_error *error)
{
	const struct ft_afpacket *a = port->state;
	int code;
	socklen_t size = sizeof(code);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size); /* else poll() goes on saying so */
	if (if_nametoindex(port->device) == (unsigned)a->ifindex)
		return 0;
	return ft_fail(error, -ENODEV, "port '%s' is gone: its interface was removed",
		       port->device);
}

/* Once closed: whether everything that the kernel accepted has been received. */
static bool drained(const struct ft_afpacket *a, struct ft_afpacket_queue *queue)
{
	uint64_t closed_ns = atomic_load_explicit(&a->closed_ns, memory_order_acquire);

	if (closed_ns == 0)
		return false;
	read_statistics(queue);
	return queue->received >= queue->counts.offered - queue->counts.dropped_kernel ||
	       ft_clock_monotonic_ns() - closed_ns > DRAIN_NS;
}

static int wait_for_block(const struct ft_port *port, struct ft_afpacket_queue *queue,
			  int timeout_ms, struct ft_error *error)
{
	struct pollfd waiter = {.fd = queue->fd, .events = POLLIN};

	if (drained(port->state, queue))
		return -ENODATA;
	if (poll(&waiter, 1, timeout_ms) > 0 && (waiter.revents & (POLLERR | POLLHUP | POLLNVAL)))
		return check_socket(port, queue->fd, error);
	return 0;
}

int ft_afpacket_receive(struct ft_port *port, unsigned index, struct ft_frame *frames,
			int timeout_ms, struct ft_error *error)
{
	const struct ft_afpacket *a = port->state;
	struct ft_afpacket_queue *queue = queue_of(port, index);
	unsigned count;

	if (queue->left == 0 && !open_block(queue)) {
		int rc;

		/* A reading of the counts clears the mark of the next block. All that came before
		 * the loss has been taken by now. */
		tell_lost(queue);
		rc = wait_for_block(port, queue, timeout_ms, error);

		if (rc != 0 || !open_block(queue))
			return rc;
	}
	count = queue->left < FT_BATCH_FRAMES ? queue->left : FT_BATCH_FRAMES;
	for (unsigned i = 0; i < count; i++) {
		struct tpacket3_hdr *header = queue->next;

		queue->next = (struct tpacket3_hdr *)((uint8_t *)header + header->tp_next_offset);
		__builtin_prefetch((const uint8_t *)header + PREFETCH_BYTES);
		__builtin_prefetch((const uint8_t *)header + PREFETCH_BYTES + 64);
		__builtin_prefetch((const uint8_t *)header + PREFETCH_BYTES + 128);
		__builtin_prefetch(queue->next);
		ft_afpacket_describe_frame(port, a, header, &frames[i]);
	}
	frames[0].dropped_before = queue->lost_before;
	queue->lost_before = 0;
	queue->left -= count;
	queue->received += count;
	return (int)count;
}

void ft_afpacket_release(struct ft_port *port, unsigned index)
{
	struct ft_afpacket_queue *queue = queue_of(port, index);

	if (queue->left == 0)
		close_block(queue);
}

void ft_afpacket_read_counts(struct ft_port *port, unsigned index, struct ft_port_counts *counts)
{
	struct ft_afpacket_queue *queue = queue_of(port, index);

	read_statistics(queue);
	*counts = queue->counts;
}
