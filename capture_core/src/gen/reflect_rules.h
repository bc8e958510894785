/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What ft-reflect and its XDP program (bpf/reflect.bpf.c) tell each other in maps. */
#ifndef FT_GEN_REFLECT_RULES_H
#define FT_GEN_REFLECT_RULES_H

#include <linux/types.h>

#define FT_REFLECT_ECHO_PORT 7u

/* What becomes of a frame: each has one. Only those sent back do not go on to the host. */
enum ft_reflect_outcome {
	FT_REFLECT_SENT_BACK,
	FT_REFLECT_CAPPED,   /* beyond the cap */
	FT_REFLECT_FOREIGN,  /* no test frame */
	FT_REFLECT_GROUP,    /* from or to a group, or from nobody: an answer could reach many */
	FT_REFLECT_LOOP,     /* comes from a reflector */
	FT_REFLECT_FRAGMENT, /* a part of a UDP datagram */
	FT_REFLECT_LENGTH,   /* a UDP datagram whose lengths contradict each other */
	FT_REFLECT_OUTCOMES,
};

/* Written before the program is on the port. */
struct ft_reflect_rules {
	__u64 end_ns; /* CLOCK_MONOTONIC: from then on every frame passes, uncounted */
	__u64 cost;   /* of a frame, in 2^-FT_REFLECT_COST_SHIFT ns; 0: no cap */
	__u8 own_address[6];
	__u8 unused[2];
};

/* Room for two years of uptime, and 0.006 % of a smallest frame's time at 10GbE. */
#define FT_REFLECT_COST_SHIFT 8

/* How much earlier than the cap's even pace frames may come, for they come in batches. */
#define FT_REFLECT_EARLY_NS 10000000ull

/* Kept by each processor. */
struct ft_reflect_count {
	__u64 frames;
	__u64 bytes; /* without FCS */
};

#endif
