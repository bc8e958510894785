/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flows of back end `synth`: UDP over IPv4, flow i from 198.18.0.0+i port 1024+i%60000 to
 * 198.19.0.1 port 9. They live in cohorts; the frames of the cohort that lives are ready made, each
 * flow's once, in one piece of memory. A frame is drawn from the flows that still have some to
 * send, all equally likely, in an order that the seed alone decides.
 *
 * ft_synth_deck_draw() is run by the hot thread for every frame: two nanoseconds.
 */
#ifndef FT_PORT_SYNTH_FLOWS_H
#define FT_PORT_SYNTH_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

struct ft_synth_flow {
	const uint8_t *frame;
	uint64_t left; /* frames to send */
};

/* What frames are drawn from. */
struct ft_synth_deck {
	struct ft_synth_flow *alive; /* those with frames left, in no order */
	uint64_t alive_count;
	uint64_t random;
};

struct ft_synth_flows {
	uint32_t frame_bytes; /* without FCS */
	uint64_t flow_count;
	uint32_t live;	/* flows of a cohort */
	uint64_t count; /* frames in all; 0: endless, FT_SYNTH_TURN_FRAMES a flow and turn */

	struct ft_synth_deck deck;
	uint64_t next_flow; /* the first of the next cohort */
	uint8_t *frames;
	uint32_t stride; /* from one frame to the next */
	uint64_t ip_sum; /* of the parts that all flows share */
	uint64_t udp_sum;
};

/* Without an end, a flow sends so many frames, then the next cohort lives. */
#define FT_SYNTH_TURN_FRAMES 1024u

/* -ENOMEM. The fields down to `count` are the caller's. */
int ft_synth_flows_create(struct ft_synth_flows *flows, uint64_t seed);
void ft_synth_flows_destroy(struct ft_synth_flows *flows);

/*
 * When no flow is alive: let the next cohort live, in the memory of the last. False at the end of
 * the last one.
 */
bool ft_synth_flows_renew(struct ft_synth_flows *flows);

/* A step of wyrand, the generator of wyhash (public domain): 64 random bits. */
static inline uint64_t ft_synth_random(uint64_t *state)
{
	__uint128_t product;

	*state += 0xa0761d6478bd642full;
	product = (__uint128_t)*state * (*state ^ 0xe7037ed1a0b428dbull);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The next frame; some flow must be alive. */
static inline const uint8_t *ft_synth_deck_draw(struct ft_synth_deck *deck)
{
	uint64_t random = ft_synth_random(&deck->random) >> 32;
	struct ft_synth_flow *flow = &deck->alive[random * deck->alive_count >> 32];
	const uint8_t *frame = flow->frame;

	if (__builtin_expect(--flow->left == 0, 0))
		*flow = deck->alive[--deck->alive_count];
	return frame;
}

#endif
