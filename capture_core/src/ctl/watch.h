/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a run from outside while it lasts: links that go down and come back, a system
 * clock that is set, memory that runs short. None of it ends a run; all of it is told, with its
 * time, as an alarm.
 */
#ifndef FT_CTL_WATCH_H
#define FT_CTL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/manager.h"
#include "ft/port.h"

struct ft_watched_link {
	const char *name;
	int ifindex;
	bool known;
	bool up;
	uint32_t changes;     /* of the carrier, counted by the kernel */
	uint32_t changes_had; /* of those, since the first look */
	uint64_t down_ns;     /* monotonic: seen to be down since then; 0: it is up */
};

/* Owned by the main thread. Zero is a good beginning. */
struct ft_watch {
	unsigned link_count;
	struct ft_watched_link links[16];
	uint64_t looked_ns; /* monotonic */
	bool clock_watched; /* and `clock_fd` tells when it is set */
	int clock_fd;
	uint32_t clock_sets;	 /* how often that was */
	int64_t clock_offset_ns; /* system clock less monotonic clock */
	uint64_t stalled_us;	 /* for want of memory, counted by the kernel */
	uint64_t pressure_told_ns;
};

/* A port that is an interface; others are not watched. */
void ft_watch_add(struct ft_watch *watch, const struct ft_port *port);
/* `name` must stay. */
void ft_watch_add_link(struct ft_watch *watch, const char *name, int ifindex);

/* Call it at every tick; it looks five times a second. */
void ft_watch_look(struct ft_watch *watch, struct ft_manager *manager);
void ft_watch_look_now(struct ft_watch *watch, struct ft_manager *manager);

/* Accepts a zeroed one. */
void ft_watch_close(struct ft_watch *watch);

#endif
