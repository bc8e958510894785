/* SPDX-License-Identifier: Apache-2.0 */
/* Where a generator run's frames go: what is judged beforehand, and the choice of a back end. */
#include <errno.h>
#include <stdio.h>

#include "gen/frame_file.h"
#include "gen/generate_run.h"
#include "gen/probe.h"
#include "port/inuse.h"
#include "port/sending.h"

int ft_generate_check_output(const struct ft_generate_run *run, struct ft_error *error)
{
	const struct ft_generate_settings *settings = run->settings;

	if (settings->tap != NULL && ft_frame_file_check("--tap ", settings->tap, error) != 0)
		return -EINVAL;
	if (run->transmit.ifindex != 0)
		return ft_inuse_check("-o", run->transmit.device, run->transmit.ifindex,
				      settings->force, error);
	if (settings->input != NULL)
		return ft_fail(error, -EINVAL, "-r and -o file: from a file no frame comes back");
	return 0;
}

static void tell_back_end(const struct ft_generate_run *run)
{
	const struct ft_transmit *transmit = &run->transmit;

	if (run->settings->quiet)
		return;
	for (unsigned i = 0; i < transmit->refused_count; i++)
		fprintf(stderr, "ft-generate: not by %s: %s\n", transmit->refused[i].backend,
			transmit->refused[i].reason.text);
	fprintf(stderr, "ft-generate: %s: sends by %s (%s)\n", transmit->device,
		transmit->ops->name, transmit->mode);
	if (transmit->unseen && run->settings->tap == NULL)
		fprintf(stderr,
			"ft-generate: %s: a capture of this port does not see these frames; --tap "
			"FILE.pcapng does\n",
			transmit->device);
}

/* Over and over at top speed. */
static bool sends_one_frame(const struct ft_generate_run *run)
{
	struct ft_source *source = run->sender.source;
	struct ft_repeated repeated;

	return source->ops->repeats != NULL && source->ops->repeats(source, &repeated);
}

/* Before the first frame of a probe. */
static int claim_port(struct ft_generate_run *run, struct ft_error *error)
{
	int fd;

	if (run->transmit.ifindex == 0)
		return 0;
	fd = ft_sending_claim("-o", run->transmit.device, run->transmit.ifindex, "ft-generate",
			      ft_manager_name(run->manager), error);
	run->claim_fd = fd >= 0 ? fd : -1;
	return fd >= 0 ? 0 : fd;
}

int ft_generate_open_output(struct ft_generate_run *run, struct ft_error *error)
{
	const struct ft_generate_settings *settings = run->settings;
	const struct ft_probe probe = {
		.floods = sends_one_frame(run),
		.input = run->input != NULL ? ft_port_name(run->input) : NULL,
	};
	int rc = claim_port(run, error);

	if (rc == 0 && settings->tap != NULL)
		rc = ft_frame_file_open("--tap ", settings->tap, run->transmit.device,
					&run->transmit.tap, error);
	if (rc == 0)
		rc = ft_probe_choose(&run->transmit, &probe, error);
	if (rc == 0)
		tell_back_end(run);
	return rc;
}
