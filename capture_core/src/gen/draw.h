/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random draws that anybody can repeat: SplitMix64 (Steele, Lea, Flood: "Fast splittable
 * pseudorandom number generators", 2014). Each thing that is drawn has a generator of its own,
 * begun from the seed and its name, so that adding a field leaves the draws of all others as they
 * are.
 */
#ifndef FT_GEN_DRAW_H
#define FT_GEN_DRAW_H

#include <stdint.h>

/* The state for `what` ("ipv4.source", "size") of the stream `name`: the seed XOR the FNV-1a hash
 * of "NAME/WHAT". */
static inline uint64_t ft_draw_begin(uint64_t seed, const char *name, const char *what)
{
	const char *const parts[] = {name, "/", what};
	uint64_t hash = 0xcbf29ce484222325;

	for (unsigned i = 0; i < 3; i++)
		for (const char *at = parts[i]; *at != '\0'; at++)
			hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
	return seed ^ hash;
}

static inline uint64_t ft_draw_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* From 0 up to `count` - 1, by the upper half of a product; 0 stands for 2^64. */
static inline uint64_t ft_draw_below(uint64_t *state, uint64_t count)
{
	uint64_t z = ft_draw_next(state);

	return count == 0 ? z : (uint64_t)((unsigned __int128)z * count >> 64);
}

#endif
