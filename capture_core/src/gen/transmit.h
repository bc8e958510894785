/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `afpacket` of the generator: frames handed to a packet socket in batches. They pass the
 * queueing discipline, so a capture of the same port sees them going out and a full queue makes us
 * wait.
 */
#ifndef FT_GEN_TRANSMIT_H
#define FT_GEN_TRANSMIT_H

#include <net/if.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ft/error.h"

#define FT_TRANSMIT_BATCH 64u

/* Owned by the main thread until frames flow, then by the sender's. */
struct ft_transmit {
	char device[IF_NAMESIZE];
	int ifindex;
	int fd;
	uint32_t max_bytes;	   /* of a frame, without FCS */
	uint32_t max_tagged_bytes; /* of a frame that begins with an 802.1Q tag */
	uint64_t speed_bps;	   /* 0: unknown */
	struct iovec frames[FT_TRANSMIT_BATCH];
	struct mmsghdr messages[FT_TRANSMIT_BATCH];
};

/* Resolve `[afpacket:]DEVICE`. -EINVAL, -ENODEV. Zero-initialise before. */
int ft_transmit_create(const char *spec, struct ft_transmit *transmit, struct ft_error *error);

/* Get the socket and wait a moment for the link. -EPERM, -ENETDOWN. */
int ft_transmit_open(struct ft_transmit *transmit, struct ft_error *error);

/* Whether the interface is up and has a link. -ENODEV when it has gone. */
int ft_transmit_has_link(const struct ft_transmit *transmit);

/*
 * Hand over the first `count` of `frames`, in order, each once. Waits while the port is busy.
 * Returns how many the kernel took: fewer only where `stop` was set. -ENETDOWN or -ENODEV with a
 * sentence when the port does not come back.
 */
int ft_transmit_send(struct ft_transmit *transmit, unsigned count, const atomic_bool *stop,
		     struct ft_error *error);

void ft_transmit_close(struct ft_transmit *transmit);

#endif
