/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports: where frames come from. A port is written `[backend:]device[,key=value...]`; every back
 * end stands behind the same verbs. A port has one queue or more, each received by a thread of its
 * own; all else is done by one thread.
 *
 *   create -> open -> start -> (receive -> release)* -> close_input -> drain by receive -> free
 */
#ifndef FT_PORT_H
#define FT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "ft/error.h"

enum ft_direction {
	FT_DIRECTION_IN = 1,
	FT_DIRECTION_OUT = 2,
	FT_DIRECTION_BOTH = FT_DIRECTION_IN | FT_DIRECTION_OUT,
};

/* A received frame; `data` is valid until the batch is released. */
struct ft_frame {
	const uint8_t *data;
	uint64_t stamp_ns;	 /* UTC */
	uint32_t captured_bytes; /* bytes at `data`, without FCS */
	uint32_t length_bytes;	 /* the frame's own length, >= captured_bytes */
	uint64_t dropped_before; /* lost by the kernel since the port's previous frame */
	uint32_t epb_flags;	 /* direction and reception type, pcapng EPB flags word */
	uint16_t interface;	 /* which of the port's interfaces, 0 .. interface_count-1 */
	bool coalesced;		 /* longer than the port's MTU allows on the wire */
	bool unstamped;		 /* lacks the stamp that was asked for: `stamp_ns` is the host's */
};

#define FT_BATCH_FRAMES 64u

/* Which clock's stamps are wanted. */
enum ft_stamps {
	FT_STAMPS_BEST = 0, /* the adapter's where its driver stamps every frame, else the host's */
	FT_STAMPS_HOST,
	FT_STAMPS_ADAPTER,
	FT_STAMPS_ARISTA, /* as an Arista 7280 switch wrote into the frame (EtherType 0xd28b) */
};

struct ft_port_options {
	enum ft_direction directions;
	uint32_t snap_bytes;   /* keep at most so many bytes of a frame */
	uint64_t buffer_bytes; /* kernel ring */
	bool promiscuous;
	bool allow_coalesced; /* leave GRO and LRO as they are */
	enum ft_stamps stamps;
	/* Asked while opening waits for a source that says nothing yet; true: give up. */
	bool (*cancelled)(void *context);
	void *cancel_context;
};

/* What the kernel counted at one queue's socket since start; both only grow. */
struct ft_port_counts {
	uint64_t offered; /* drops included */
	uint64_t dropped_kernel;
};

/* The wire's statement: what `offered` must lie between. */
struct ft_port_wire {
	const char *source; /* NULL: the port has no wire */
	uint64_t min;
	uint64_t max;
	uint64_t dropped_adapter;
	int agrees; /* 1, 0, or -1 when this driver's counters prove nothing */
};

/* One for each direction. */
#define FT_PORT_MAX_INTERFACES 2u
#define FT_PORT_MAX_QUEUES     16u

/* One pcapng interface of the port. */
struct ft_port_interface {
	char name[80];
	char description[256];
	uint16_t link_type;	/* LINKTYPE_ */
	uint64_t speed_bps;	/* 0: unknown */
	const char *timestamps; /* where stamps come from: "host", "adapter", "file", ... */
	char clock[160];	/* that clock's index, TAI-UTC offset applied and state at start */
};

struct ft_port;

/* Parse and resolve; opens nothing. -EINVAL, -ENODEV for a port that does not exist. */
int ft_port_create(const char *spec, const struct ft_port_options *options, struct ft_port **port,
		   struct ft_error *error);

/* Get sockets, rings and settings; no frame is received yet. -ECANCELED as `cancelled` says. */
int ft_port_open(struct ft_port *port, struct ft_error *error);

/* Open the window: from here on frames are offered. */
int ft_port_start(struct ft_port *port, struct ft_error *error);

/*
 * Take up to FT_BATCH_FRAMES frames of a queue, waiting at most `timeout_ms` for the first. Returns
 * their number, 0 on time-out, -ENODATA at the end of a file or once a closed input is drained,
 * another negative errno (with `error`) when the port is lost. Each batch must be released before
 * the next.
 */
int ft_port_receive(struct ft_port *port, unsigned queue, struct ft_frame *frames, int timeout_ms,
		    struct ft_error *error);
void ft_port_release(struct ft_port *port, unsigned queue);

/*
 * Close the window in the kernel; what was queued can still be received, until -ENODATA. Once, by
 * any thread, also while others receive.
 */
int ft_port_close_input(struct ft_port *port, struct ft_error *error);

/* By the thread that receives the queue, or when it has ended. */
void ft_port_read_counts(struct ft_port *port, unsigned queue, struct ft_port_counts *counts);

/* After draining: compare with the interface's own counters. */
void ft_port_read_wire(struct ft_port *port, struct ft_port_wire *wire);

/* Close sockets, restore settings. Accepts NULL. */
void ft_port_free(struct ft_port *port);

/* The device as the user wrote it, without back end and keys. */
const char *ft_port_name(const struct ft_port *port);
const char *ft_port_backend(const struct ft_port *port); /* "afpacket", "file" */
const char *ft_port_mode(const struct ft_port *port);	 /* the mode obtained: "tpacket_v3", ... */
/* The interface that the port is, or 0. */
int ft_port_ifindex(const struct ft_port *port);
/* How many queues there are, from open on. */
unsigned ft_port_queue_count(const struct ft_port *port);
/* How many chunks the user reserves for the port by `blocks=N`; 0: does not say. */
unsigned ft_port_blocks(const struct ft_port *port);
/* Whether the source can wait for us: a file can, a wire cannot. */
bool ft_port_waits(const struct ft_port *port);
unsigned ft_port_interface_count(const struct ft_port *port);
const struct ft_port_interface *ft_port_interface(const struct ft_port *port, unsigned index);
/* Ring size, pause, VLAN filter, GRO and LRO as found and set: an object, owned by the caller. */
json_t *ft_port_describe(const struct ft_port *port);

#endif
