/* SPDX-License-Identifier: Apache-2.0 */
/* What ports, links and clock say at both ends of a run. */
#include <errno.h>
#include <time.h>

#include "ft/clock.h"
#include "gen/generate_run.h"

/* An adapter that was reset needs seconds to find its link again. */
#define LINK_WAIT_NS (5 * FT_NS_PER_SECOND)
#define POLL_NS	     (5 * FT_NS_PER_MS)

static int wait_for_link(struct ft_generate_run *run, struct ft_watched_link *link,
			 uint64_t began_ns, struct ft_error *error)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};

	while (link->down_ns != 0) {
		if (ft_clock_monotonic_ns() - began_ns > LINK_WAIT_NS)
			return ft_fail(error, -ENETDOWN,
				       "port '%s' has no link; check the cable and that the other "
				       "end is up",
				       link->name);
		if (ft_generate_interrupted(run))
			return -ECANCELED;
		nanosleep(&pause, NULL); /* there are no clients yet */
		ft_watch_look_now(&run->watch, run->manager);
	}
	return 0;
}

/* From here on what happens to links and clock is held against the run. */
static int begin_watch(struct ft_generate_run *run, struct ft_error *error)
{
	uint64_t began_ns = ft_clock_monotonic_ns();
	int rc = 0;

	ft_watch_add_link(&run->watch, run->transmit.device, run->transmit.ifindex);
	if (run->input != NULL)
		ft_watch_add(&run->watch, run->input);
	ft_watch_look_now(&run->watch, run->manager);
	for (unsigned i = 0; rc == 0 && i < run->watch.link_count; i++)
		rc = wait_for_link(run, &run->watch.links[i], began_ns, error);
	for (unsigned i = 0; i < run->watch.link_count; i++)
		run->watch.links[i].changes_had = 0;
	return rc;
}

int ft_generate_begin_counts(struct ft_generate_run *run, struct ft_error *error)
{
	int rc = begin_watch(run, error);

	if (rc == 0)
		rc = ft_transmit_begin_count(&run->transmit, error);
	if (rc == 0 && run->input != NULL)
		rc = ft_receive_port_begin(&run->receive_port, ft_port_ifindex(run->input), error);
	return rc;
}

int ft_generate_end_counts(struct ft_generate_run *run, struct ft_error *error)
{
	ft_watch_look_now(&run->watch, run->manager);
	if (run->input == NULL)
		return 0;
	return ft_receive_port_end(&run->receive_port, error);
}
