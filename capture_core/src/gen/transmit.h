/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a generator run hands its frames over, by one of four back ends:
 *
 *   live      the kernel makes the frames itself, from one template (transmit_live.c)
 *   afxdp     an AF_XDP socket: no queue, and no packet socket sees them (transmit_afxdp.c)
 *   afpacket  a packet socket: every Ethernet port (transmit_afpacket.c)
 *   file      a capture file instead of a port, with the stamps of the schedule (transmit_file.c)
 */
#ifndef FT_GEN_TRANSMIT_H
#define FT_GEN_TRANSMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ft/error.h"
#include "ft/ledger.h"
#include "ft/source.h"

#define FT_TRANSMIT_BATCH 64u
/* Frames that a port may hold at a time, a power of two. */
#define FT_TRANSMIT_RING     1024u
#define FT_TRANSMIT_BACKENDS 3u
#define FT_TRANSMIT_MODE_MAX 96u

struct ft_transmit;
struct ft_frame_file;

struct ft_transmit_ops {
	const char *name;
	/* Get what it takes to send, and set `mode`. The sentence says why this port cannot. */
	int (*open)(struct ft_transmit *transmit, struct ft_error *error);
	/* As ft_transmit_send. */
	int (*send)(struct ft_transmit *transmit, unsigned count, const atomic_bool *stop,
		    struct ft_error *error);
	/* As ft_transmit_flood; NULL: frames come from a source. */
	int (*flood)(struct ft_transmit *transmit, struct ft_repeated *repeated, uint32_t count,
		     struct ft_error *error);
	/* Wait until what was handed over has left, as far as the back end can tell; may be NULL.
	 */
	void (*drain)(struct ft_transmit *transmit);
	/* Accepts one that open() refused. */
	void (*close)(struct ft_transmit *transmit);
};

extern const struct ft_transmit_ops ft_transmit_afpacket, ft_transmit_afxdp, ft_transmit_live,
	ft_transmit_file;

/* A back end that a run would have preferred, and why it did not get it. */
struct ft_transmit_refusal {
	const char *backend;
	struct ft_error reason;
};

/* Owned by the main thread until frames flow, then by the sender's. */
struct ft_transmit {
	const struct ft_transmit_ops *ops; /* NULL: not chosen yet (gen/probe.h) */
	void *state;			   /* the back end's own */
	const char *device;		   /* the interface, or the path of a file */
	int ifindex;			   /* 0: a file */
	uint32_t max_bytes;		   /* of a frame, without FCS */
	uint32_t max_tagged_bytes;	   /* of a frame that begins with an 802.1Q tag */
	uint64_t speed_bps;		   /* 0: unknown */
	uint32_t longest_bytes; /* that the run sends, without FCS; before opening; 0: unknown */

	char mode[FT_TRANSMIT_MODE_MAX]; /* what opening obtained */
	bool unseen;			 /* no packet socket of this machine sees the frames */
	bool unproven;	    /* frames may vanish without a word: only the port's counter tells */
	bool takes_all;	    /* what the port has no room for vanishes so too */
	bool keeps_no_time; /* it does not wait for frames to be due: it stamps them */
	unsigned refused_count;
	struct ft_transmit_refusal refused[FT_TRANSMIT_BACKENDS];

	/*
	 * A frame in memory of ft_transmit_memory may be rewritten once so many further ones were
	 * handed over; any other one once ft_transmit_send has returned.
	 */
	unsigned slots_in_flight;
	uint8_t *area; /* what ft_transmit_memory gave, then room of the back end's own */
	size_t memory_bytes, area_bytes;

	/* Asked while opening waits for a link: whether to give up. NULL: never. */
	bool (*given_up)(void *context);
	void *context;

	struct ft_frame_file *tap; /* NULL: none */
	uint64_t tap_waited_ns;	   /* that sending waited for it */
	ft_count frames_written;   /* of the back end `file` */
	uint64_t counted_before;   /* the port's counter at ft_transmit_begin_count */
	uint64_t due_ns; /* UTC: when the frames that are handed over were due; of `file` */

	struct iovec frames[FT_TRANSMIT_BATCH];
};

/* Resolve `[afpacket:|afxdp:|live:]DEVICE` or `file:PATH`. -EINVAL, -ENODEV. Zero it before. */
int ft_transmit_create(const char *spec, struct ft_transmit *transmit, struct ft_error *error);

/*
 * Memory for a source's frames, zeroed and aligned to a page, from which a port may send in place
 * what does not straddle 4096 bytes. Once, before opening; freed with the transmit. NULL when there
 * is none left.
 */
void *ft_transmit_memory(struct ft_transmit *transmit, size_t bytes);

/* Open the back end that `ops` names. Refuses with what ops->open says. */
int ft_transmit_open(struct ft_transmit *transmit, struct ft_error *error);

/* Wait a moment for the link of a port. -ENETDOWN, -ECANCELED. */
int ft_transmit_wait_for_link(const struct ft_transmit *transmit, struct ft_error *error);

/* Whether the interface is up and has a link; a file has. -ENODEV when it has gone. */
int ft_transmit_has_link(const struct ft_transmit *transmit);

/* Count from now on what the port sends. -ENODEV. */
int ft_transmit_begin_count(struct ft_transmit *transmit, struct ft_error *error);

/*
 * What the port has sent since then; what is in the file. -ENODEV; -EIO where its driver set the
 * counter back meanwhile, as some do when they reset the adapter.
 */
int ft_transmit_read_count(const struct ft_transmit *transmit, uint64_t *frames,
			   struct ft_error *error);

/* Which counter that is, as the report calls it. */
const char *ft_transmit_count_source(const struct ft_transmit *transmit);

/*
 * Hand over the first `count` of `frames`, in order, each once. Waits while the port is busy.
 * Returns how many were taken: fewer only where `stop` was set. -ENETDOWN or -ENODEV with a
 * sentence when the port does not come back; an errno of writing for a tap.
 */
int ft_transmit_send(struct ft_transmit *transmit, unsigned count, const atomic_bool *stop,
		     struct ft_error *error);

/* Whether the back end makes the frames itself: ft_transmit_flood in place of ft_transmit_send. */
static inline bool ft_transmit_floods(const struct ft_transmit *transmit)
{
	return transmit->ops->flood != NULL;
}

/*
 * Have the back end make and send the next `count` of `repeated`, as fast as it can; its number
 * goes on. Returns how many were made.
 */
int ft_transmit_flood(struct ft_transmit *transmit, struct ft_repeated *repeated, uint32_t count,
		      struct ft_error *error);

/* Wait until what was handed over has left, as far as the back end can tell. */
void ft_transmit_drain(struct ft_transmit *transmit);

/* Complete file and tap: their last words, and their names. */
int ft_transmit_finish(struct ft_transmit *transmit, struct ft_error *error);

/* Close the back end, so that another can be opened. */
void ft_transmit_close(struct ft_transmit *transmit);

/* All of it; accepts a zeroed one. */
void ft_transmit_free(struct ft_transmit *transmit);

/*
 * For back ends: what to do about a port that did not take a frame for the reason `reason` (an
 * errno): wait for as long as that may last, and return 0 to try again. `outage_ns` is 0 at first.
 */
int ft_transmit_wait(const struct ft_transmit *transmit, int reason, uint64_t *outage_ns,
		     struct ft_error *error);

#endif
