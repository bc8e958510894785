/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a source's schedule and the clock: a speed, which may change while frames are sent, and
 * stop in a pause. Each change begins where the schedule was then, so that nothing drifts.
 */
#ifndef FT_GEN_TEMPO_H
#define FT_GEN_TEMPO_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/pacing.h"

/* What never comes. */
#define FT_TEMPO_NEVER UINT64_MAX
/* 146 years. */
#define FT_TEMPO_FAR_NS 0x1p62L

struct ft_tempo {
	double speed; /* nanoseconds of the schedule in one of the clock */
	bool paused;
	uint64_t since_ns;  /* monotonic: when this speed began, */
	ft_fine_time since; /* and what of the schedule had passed by then */
};

static inline void ft_tempo_begin(struct ft_tempo *tempo, double speed, uint64_t now_ns)
{
	*tempo = (struct ft_tempo){.speed = speed, .since_ns = now_ns};
}

/*
 * When a moment of the schedule comes (monotonic); FT_TEMPO_NEVER during a pause, and what is too
 * far away for a clock.
 */
static inline uint64_t ft_tempo_ns(const struct ft_tempo *tempo, ft_fine_time at)
{
	bool past = at < tempo->since;
	ft_fine_time away = past ? tempo->since - at : at - tempo->since;
	long double ns = (long double)away / 0x1p32L / tempo->speed;

	if (tempo->paused)
		return FT_TEMPO_NEVER;
	if (past)
		return ns < (long double)tempo->since_ns ? tempo->since_ns - (uint64_t)ns : 0;
	if (ns >= FT_TEMPO_FAR_NS)
		return FT_TEMPO_NEVER;
	return tempo->since_ns + (tempo->speed == 1 ? ft_fine_ns(away) : (uint64_t)ns);
}

/* What of the schedule has passed at `now_ns` (monotonic). */
static inline ft_fine_time ft_tempo_at(const struct ft_tempo *tempo, uint64_t now_ns)
{
	uint64_t passed_ns = now_ns > tempo->since_ns ? now_ns - tempo->since_ns : 0;

	if (tempo->paused)
		return tempo->since;
	if (tempo->speed == 1)
		return tempo->since + ((ft_fine_time)passed_ns << FT_FINE_SHIFT);
	return tempo->since + (ft_fine_time)((long double)passed_ns * 0x1p32L * tempo->speed);
}

/* Go on at another speed from `now_ns` on. */
static inline void ft_tempo_change(struct ft_tempo *tempo, double speed, bool paused,
				   uint64_t now_ns)
{
	*tempo = (struct ft_tempo){speed, paused, now_ns, ft_tempo_at(tempo, now_ns)};
}

#endif
