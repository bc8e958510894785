/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `synth`: frames made in memory, so that the engine's own speed can be seen without a
 * kernel under it. `synth:size=BYTES,flows=N,live=L,rate=RATE,count=N,seed=S`; see synth_flows.h
 * for what is in them.
 *
 * Without a rate the source waits for us and frames come as fast as they are taken. With one they
 * fall due on an absolute schedule, like a wire's: what there is no room for is lost.
 *
 * receive() is run by the hot thread; it has 5 ns a frame: no copy, division or call, and one
 * reading of the clock a batch.
 */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ft/clock.h"
#include "ft/units.h"
#include "port/port_ops.h"
#include "port/synth_flows.h"

#define LINKTYPE_ETHERNET 1

#define MIN_BYTES     64u
#define MAX_BYTES     9218u
#define MAX_FLOWS     (1u << 24)
#define MAX_LIVE      (1u << 16)
#define MAX_PPS	      1e9 /* stamps have nanoseconds */
#define DEFAULT_FLOWS 256u
#define DEFAULT_LIVE  256u

#define INBOUND_UNICAST (1u | 1u << 2) /* pcapng EPB flags */
#define OUTBOUND	2u

struct synth {
	struct ft_synth_flows flows;
	uint32_t frame_flags;
	double rate_pps;      /* 0: as fast as they are taken */
	uint64_t interval;    /* nanoseconds from one frame to the next, 32 of its bits below 1 */
	uint64_t started_ns;  /* monotonic */
	uint64_t started_utc; /* ns */
	uint64_t last_ns;     /* the latest stamp */
	uint64_t offered;
	atomic_bool closed;
};

static int read_rate(const struct ft_port *port, struct synth *s, uint64_t size_bytes,
		     struct ft_error *error)
{
	const char *text = ft_port_key(port, "rate");
	struct ft_rate rate = {.unit = FT_RATE_MAX};
	struct ft_error why;

	if (text != NULL && ft_parse_rate(text, &rate, &why) != 0)
		return ft_fail(error, -EINVAL, "port '%s': key 'rate': %s", port->device, why.text);
	if (rate.unit == FT_RATE_PERCENT)
		return ft_fail(error, -EINVAL,
			       "port '%s': key 'rate': '%s' needs a link speed, which %s has not; "
			       "give pps or bps",
			       port->device, text, port->device);
	if (rate.unit == FT_RATE_PPS)
		s->rate_pps = rate.value;
	else if (rate.unit == FT_RATE_BPS)
		s->rate_pps = rate.value / 8 / (double)size_bytes;
	else if (rate.unit == FT_RATE_BPS_L1)
		s->rate_pps = rate.value / 8 / (double)(size_bytes + FT_WIRE_OVERHEAD_BYTES);
	if (s->rate_pps > MAX_PPS || (s->rate_pps > 0 && s->rate_pps < 1 / 3600.0))
		return ft_fail(error, -EINVAL,
			       "port '%s': key 'rate': '%s' is not from a frame an hour to 1 Gpps",
			       port->device, text);
	if (s->rate_pps > 0)
		s->interval = (uint64_t)llround(1e9 / s->rate_pps * 4294967296.0);
	return 0;
}

static int synth_create(struct ft_port *port, struct ft_error *error)
{
	struct synth *s = calloc(1, sizeof(*s));
	uint64_t size_bytes = ft_port_key_number(port, "size", MIN_BYTES);
	int rc;

	if (s == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	port->state = s;
	port->mode = "memory";
	s->flows.frame_bytes = (uint32_t)size_bytes - FT_FCS_BYTES;
	s->flows.flow_count = ft_port_key_number(port, "flows", DEFAULT_FLOWS);
	s->flows.live = (uint32_t)ft_port_key_number(port, "live", DEFAULT_LIVE);
	s->flows.count = ft_port_key_number(port, "count", 0);
	s->frame_flags = port->options.directions == FT_DIRECTION_OUT ? OUTBOUND : INBOUND_UNICAST;
	rc = read_rate(port, s, size_bytes, error);
	port->waits = s->rate_pps == 0;
	return rc;
}

static int synth_open(struct ft_port *port, struct ft_error *error)
{
	struct synth *s = port->state;

	port->interface_count = 1;
	port->interfaces[0] = (struct ft_port_interface){
		.name = "synth",
		.link_type = LINKTYPE_ETHERNET,
		.timestamps = "monotonic",
		.clock = "system clock at start, then the time that passed",
	};
	snprintf(port->interfaces[0].description, sizeof(port->interfaces[0].description),
		 "made in memory: frames of %u bytes, %llu flows",
		 s->flows.frame_bytes + FT_FCS_BYTES, (unsigned long long)s->flows.flow_count);
	if (ft_synth_flows_create(&s->flows, ft_port_key_number(port, "seed", 1)) != 0)
		return ft_fail(error, -ENOMEM,
			       "port '%s': no memory for %u frames; ask for fewer: live=N",
			       port->device, s->flows.live);
	return 0;
}

static int synth_start(struct ft_port *port, struct ft_error *error)
{
	struct synth *s = port->state;

	(void)error;
	s->started_ns = ft_clock_monotonic_ns();
	s->started_utc = ft_clock_utc_ns();
	return 0;
}

/* When a frame falls due, after the start. */
static uint64_t due_ns(const struct synth *s, uint64_t frame)
{
	return (uint64_t)((__uint128_t)frame * s->interval >> 32);
}

static void draw_frame(const struct synth *s, struct ft_synth_deck *deck, struct ft_frame *frame,
		       uint64_t stamp_ns)
{
	*frame = (struct ft_frame){
		.data = ft_synth_deck_draw(deck),
		.stamp_ns = stamp_ns,
		.captured_bytes = s->flows.frame_bytes,
		.length_bytes = s->flows.frame_bytes,
		.epb_flags = s->frame_flags,
	};
}

/*
 * One loop a mode, each on a copy of the deck, which the compiler can keep in registers. A batch
 * ends with its cohort, whose frames must stay until it is released.
 */
static unsigned fill_at_once(struct synth *s, struct ft_frame *frames)
{
	uint64_t stamp_ns = s->started_utc + (ft_clock_monotonic_ns() - s->started_ns);
	struct ft_synth_deck deck = s->flows.deck;
	unsigned count = 0;

	if (stamp_ns <= s->last_ns)
		stamp_ns = s->last_ns + 1;
	while (count < FT_BATCH_FRAMES && deck.alive_count > 0)
		draw_frame(s, &deck, &frames[count++], stamp_ns++);
	s->last_ns = stamp_ns - 1;
	s->flows.deck = deck;
	return count;
}

static unsigned fill_when_due(struct synth *s, struct ft_frame *frames)
{
	uint64_t now_ns = ft_clock_monotonic_ns() - s->started_ns;
	struct ft_synth_deck deck = s->flows.deck;
	unsigned count = 0;

	while (count < FT_BATCH_FRAMES && deck.alive_count > 0) {
		uint64_t due = due_ns(s, s->offered + count);

		if (due > now_ns)
			break;
		draw_frame(s, &deck, &frames[count++], s->started_utc + due);
	}
	s->flows.deck = deck;
	return count;
}

static void wait_until_due(const struct synth *s, int timeout_ms)
{
	uint64_t due = s->started_ns + due_ns(s, s->offered);
	uint64_t until_ns = ft_clock_monotonic_ns() + (uint64_t)timeout_ms * FT_NS_PER_MS;
	struct timespec until;

	if (due < until_ns)
		until_ns = due;
	until = (struct timespec){.tv_sec = (time_t)(until_ns / FT_NS_PER_SECOND),
				  .tv_nsec = (long)(until_ns % FT_NS_PER_SECOND)};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int synth_receive(struct ft_port *port, unsigned queue, struct ft_frame *frames,
			 int timeout_ms, struct ft_error *error)
{
	struct synth *s = port->state;
	unsigned count;

	(void)queue;
	(void)error;
	if (atomic_load_explicit(&s->closed, memory_order_relaxed))
		return -ENODATA;
	if (s->flows.deck.alive_count == 0 && !ft_synth_flows_renew(&s->flows))
		return -ENODATA;
	if (s->interval == 0) {
		count = fill_at_once(s, frames);
	} else {
		count = fill_when_due(s, frames);
		if (count == 0) {
			wait_until_due(s, timeout_ms);
			count = fill_when_due(s, frames);
		}
	}
	s->offered += count;
	return (int)count;
}

static void synth_release(struct ft_port *port, unsigned queue)
{
	(void)port;
	(void)queue;
}

static int synth_close_input(struct ft_port *port, struct ft_error *error)
{
	struct synth *s = port->state;

	(void)error;
	atomic_store_explicit(&s->closed, true, memory_order_relaxed);
	return 0;
}

static void synth_read_counts(struct ft_port *port, unsigned queue, struct ft_port_counts *counts)
{
	const struct synth *s = port->state;

	(void)queue;
	*counts = (struct ft_port_counts){.offered = s->offered};
}

static json_t *synth_describe(const struct ft_port *port)
{
	const struct synth *s = port->state;

	return json_pack("{s:i, s:I, s:i, s:f, s:I}", "size_bytes",
			 (int)(s->flows.frame_bytes + FT_FCS_BYTES), "flows",
			 (json_int_t)s->flows.flow_count, "live", (int)s->flows.live, "rate_pps",
			 s->rate_pps, "count", (json_int_t)s->flows.count);
}

static void synth_free(struct ft_port *port)
{
	struct synth *s = port->state;

	ft_synth_flows_destroy(&s->flows);
	free(s);
}

static const struct ft_port_key keys[] = {
	{"size", MIN_BYTES, MAX_BYTES},
	{"flows", 1, MAX_FLOWS},
	{"live", 1, MAX_LIVE},
	{"rate"},
	{"count", 1, INT64_MAX},
	{"seed", 0, INT64_MAX},
	{NULL},
};

const struct ft_port_ops ft_port_synth = {
	.name = "synth",
	.keys = keys,
	.nameless = true,
	.create = synth_create,
	.open = synth_open,
	.start = synth_start,
	.receive = synth_receive,
	.release = synth_release,
	.close_input = synth_close_input,
	.read_counts = synth_read_counts,
	.describe = synth_describe,
	.free = synth_free,
};
