/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/probe.h"

#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ft/clock.h"
#include "ft/counters.h"
#include "ft/template.h"
#include "port/listeners.h"

#define PROBE_FRAMES 32u
/* Some adapters are asked for their counters once a second. */
#define CONFIRM_NS (1500 * FT_NS_PER_MS)
/* For a device between the ports to forward them. */
#define RETURN_NS (300 * FT_NS_PER_MS)
#define POLL_NS	  (2 * FT_NS_PER_MS)

/* From the fastest (docs/results.md). */
static const struct ft_transmit_ops *const by_speed[FT_TRANSMIT_BACKENDS] = {
	&ft_transmit_live,
	&ft_transmit_afxdp,
	&ft_transmit_afpacket,
};

enum outcome {
	NOT_SENT, /* the port's counter does not know of them */
	SENT,
	RETURNED, /* and the receiving port has counted them; or there is no doubt, or nobody looks
		   */
};

/* Whether a counter has moved by at least `frames` within `patience_ns`. */
static bool has_counted(int ifindex, bool sent, uint64_t before, uint64_t frames,
			uint64_t patience_ns, uint64_t *counted)
{
	const struct timespec pause = {.tv_nsec = (long)POLL_NS};
	uint64_t began_ns = ft_clock_monotonic_ns();
	struct ft_counters now = {0};
	struct ft_error ignored;

	for (;;) {
		if (ft_counters_read(ifindex, &now, &ignored) == 0)
			*counted = (sent ? now.tx_frames : now.rx_frames) - before;
		if (*counted >= frames)
			return true;
		if (ft_clock_monotonic_ns() - began_ns > patience_ns)
			return false;
		nanosleep(&pause, NULL);
	}
}

static int send_frames(struct ft_transmit *t, struct ft_error *error)
{
	static const atomic_bool never = false;
	struct ft_signature_run run; /* of no run's */
	uint8_t frame[FT_TEMPLATE_MIN_BYTES];
	ft_count number = 0;
	struct ft_repeated repeated = {frame, sizeof(frame), 0, &number};
	int rc;

	ft_signature_draw_run(&run);
	repeated.room_at = (uint32_t)(ft_template_fill(frame, sizeof(frame), &run, 0) - frame);
	for (unsigned i = 0; i < PROBE_FRAMES; i++)
		t->frames[i] = (struct iovec){frame, sizeof(frame)};
	rc = ft_transmit_floods(t) ? ft_transmit_flood(t, &repeated, PROBE_FRAMES, error)
				   : ft_transmit_send(t, PROBE_FRAMES, &never, error);
	ft_transmit_drain(t);
	return rc < 0 ? rc : 0;
}

/* The sentence says what is missing, unless all is well. */
static enum outcome try_port(struct ft_transmit *t, const struct ft_probe *probe,
			     struct ft_error *error)
{
	int input = probe->input != NULL ? (int)if_nametoindex(probe->input) : 0;
	struct ft_counters output_before, input_before = {0};
	uint64_t counted = 0;

	if (ft_counters_read(t->ifindex, &output_before, error) != 0 ||
	    (input != 0 && ft_counters_read(input, &input_before, error) != 0) ||
	    send_frames(t, error) != 0)
		return NOT_SENT;
	if (!has_counted(t->ifindex, true, output_before.tx_frames, PROBE_FRAMES, CONFIRM_NS,
			 &counted)) {
		ft_fail(error, -EOPNOTSUPP,
			"-o: port '%s': %s took %u frames, of which the port's counter knows "
			"%" PRIu64 "; send by afpacket:%s",
			t->device, t->ops->name, PROBE_FRAMES, counted, t->device);
		return NOT_SENT;
	}
	counted = 0;
	if (input == 0 ||
	    has_counted(input, false, input_before.rx_frames, PROBE_FRAMES, RETURN_NS, &counted))
		return RETURNED;
	ft_fail(error, -EOPNOTSUPP,
		"-o: port '%s': %s sent %u frames, of which '%s' received %" PRIu64, t->device,
		t->ops->name, PROBE_FRAMES, probe->input, counted);
	return SENT;
}

/* Without the tap, which is of the run's frames. */
static enum outcome open_and_try(struct ft_transmit *t, const struct ft_probe *probe, bool doubted,
				 int *rc, struct ft_error *error)
{
	struct ft_frame_file *tap = t->tap;
	enum outcome outcome = NOT_SENT;

	*rc = ft_transmit_open(t, error);
	t->tap = NULL;
	if (*rc == 0)
		outcome = t->unproven || doubted ? try_port(t, probe, error) : RETURNED;
	t->tap = tap;
	if (*rc == 0 && outcome == NOT_SENT)
		*rc = -EOPNOTSUPP;
	if (*rc != 0)
		ft_transmit_close(t);
	return outcome;
}

static void refuse(struct ft_transmit *t, const struct ft_error *reason)
{
	t->refused[t->refused_count++] =
		(struct ft_transmit_refusal){.backend = t->ops->name, .reason = *reason};
}

/* Where no back end's frames come back, the port's own counter is all that there is to go by. */
static int settle_for_sent(struct ft_transmit *t, const struct ft_transmit_ops *sent,
			   struct ft_error *error)
{
	unsigned kept = 0;

	ft_transmit_close(t);
	t->ops = sent;
	while (kept < t->refused_count && t->refused[kept].backend != sent->name)
		kept++;
	t->refused_count = kept;
	return ft_transmit_open(t, error);
}

/* Frames that it would not see are not what somebody wants who captures from the port. */
static bool is_watched(const struct ft_transmit *t, const struct ft_probe *probe)
{
	bool by_ourselves = probe->input != NULL && strcmp(probe->input, t->device) == 0;

	return !by_ourselves && ft_port_has_listener(t->ifindex);
}

static int refuse_unseen(const struct ft_transmit *t, struct ft_error *error)
{
	return ft_fail(error, -EOPNOTSUPP,
		       "-o: port '%s': a program captures from this port by a packet socket, which "
		       "would not see frames of %s; end it, or name %s:%s to send all the same",
		       t->device, t->ops->name, t->ops->name, t->device);
}

static int choose_fastest(struct ft_transmit *t, const struct ft_probe *probe,
			  struct ft_error *error)
{
	const struct ft_transmit_ops *sent = NULL;
	bool watched = is_watched(t, probe);
	enum outcome outcome = NOT_SENT;
	int rc = 0;

	for (unsigned i = probe->floods ? 0 : 1; i < FT_TRANSMIT_BACKENDS; i++) {
		t->ops = by_speed[i];
		if (watched && t->ops != &ft_transmit_afpacket) {
			refuse_unseen(t, error);
			refuse(t, error);
			continue;
		}
		outcome = open_and_try(t, probe, sent != NULL, &rc, error);
		if (rc == -ENETDOWN || rc == -ENODEV || rc == -ECANCELED)
			return rc;
		if (outcome == RETURNED)
			return 0;
		if (outcome == SENT && sent == NULL)
			sent = t->ops;
		refuse(t, error);
		if (outcome == SENT)
			ft_transmit_close(t);
	}
	return sent != NULL ? settle_for_sent(t, sent, error) : rc;
}

int ft_probe_choose(struct ft_transmit *t, const struct ft_probe *probe, struct ft_error *error)
{
	const struct ft_probe port_only = {.floods = probe->floods};
	int rc;

	if (t->ops == NULL)
		return choose_fastest(t, probe, error);
	if (t->ops == &ft_transmit_live && !probe->floods)
		return ft_fail(error, -EINVAL,
			       "-o live:%s: sends one frame over and over as fast as it can: "
			       "--rate max, one --size, no --replay",
			       t->device);
	open_and_try(t, &port_only, false, &rc, error);
	return rc;
}
