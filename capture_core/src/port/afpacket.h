/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside back end `afpacket`: afpacket.c is the port, afpacket_socket.c the socket and ring of a
 * queue, afpacket_ring.c what the thread that receives a queue runs.
 */
#ifndef FT_PORT_AFPACKET_H
#define FT_PORT_AFPACKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/if_packet.h>

#include "port/offload.h"
#include "port/port_ops.h"
#include "port/stamps.h"
#include "port/wire.h"

/* Set up by the main thread; from the start on, all but `fd` is its receiving thread's. */
struct ft_afpacket_queue {
	int fd;
	uint8_t *ring;
	size_t ring_bytes;
	unsigned block_bytes;
	unsigned block_count;
	unsigned block; /* the one being read */
	unsigned left;	/* frames of it not yet handed out; 0: block not open */
	struct tpacket3_hdr *next;

	struct ft_port_counts counts;
	uint64_t dropped_told; /* of counts.dropped_kernel, told with some frame */
	uint64_t lost_before;  /* to be told with the next */
	uint64_t received;
} __attribute__((aligned(64))); /* no two threads write to one cache line */

struct ft_afpacket {
	struct ft_afpacket_queue queues[FT_PORT_MAX_QUEUES];
	int order_fd; /* see keep_order */
	int ifindex;
	unsigned mtu_bytes;
	uint32_t longest_bytes; /* beyond this a frame was joined by the stack */
	struct ft_offload offload;
	struct ft_stamping stamping;
	_Atomic uint64_t closed_ns; /* monotonic; 0: open. Written by who closes the input. */
	struct ft_wire wire;
};

/* --- afpacket_socket.c: negative errno, and a sentence where an error is asked for --- */

/* A packet socket that receives nothing yet. */
int ft_afpacket_socket(void);

/* Give a queue its kernel ring, mapped, of about `buffer_bytes`. */
int ft_afpacket_map_ring(const struct ft_port *port, struct ft_afpacket_queue *queue,
			 uint64_t buffer_bytes, struct ft_error *error);
void ft_afpacket_close(struct ft_afpacket_queue *queue);

int ft_afpacket_bind(int fd, int ifindex);

/* Refuse every frame from now on. */
int ft_afpacket_refuse_all(int fd);

/* Take frames of the wanted directions, which then count as offered, in place of any earlier. */
int ft_afpacket_take_wanted(const struct ft_port *port, int fd);

/* Share the port's frames among its queues' sockets, which are bound. */
int ft_afpacket_share(const struct ft_port *port, struct ft_afpacket *a);

/* --- afpacket_ring.c --- */

int ft_afpacket_receive(struct ft_port *port, unsigned queue, struct ft_frame *frames,
			int timeout_ms, struct ft_error *error);
void ft_afpacket_release(struct ft_port *port, unsigned queue);
void ft_afpacket_read_counts(struct ft_port *port, unsigned queue, struct ft_port_counts *counts);

/* What the kernel says of one frame; its bytes stay in the ring. */
void ft_afpacket_describe_frame(const struct ft_port *port, const struct ft_afpacket *a,
				struct tpacket3_hdr *header, struct ft_frame *frame);

#endif
