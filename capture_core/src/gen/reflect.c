/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread of ft-reflect: puts the program on the port, watches, takes it off. */
#include "ft/reflect.h"

#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ft/clock.h"
#include "ft/report.h"
#include "gen/reflect_run.h"
#include "port/ethtool.h"
#include "port/inuse.h"
#include "port/sending.h"

#define PROGRAM "ft-reflect"

/* Taking an XDP program resets many an adapter: its link comes back after seconds. */
#define LINK_WAIT_NS (10 * FT_NS_PER_SECOND)
#define LINK_POLL_US 50000

/* What is wrong with the port, before anything is opened. */
static int check_port(struct ft_reflect_run *run, struct ft_error *error)
{
	const char *port = run->settings->port;
	int rc;

	run->device.ifindex = strlen(port) < IF_NAMESIZE ? (int)if_nametoindex(port) : 0;
	if (run->device.ifindex == 0)
		return ft_fail(error, -ENODEV,
			       "-i: port '%s': no such interface; see fieldtap ports", port);
	rc = ft_inuse_check("-i", port, run->device.ifindex, run->settings->force, error);
	if (rc == 0 && run->settings->report != NULL)
		rc = ft_report_check(run->settings->report, error);
	if (rc != 0)
		return rc;
	rc = ft_xdp_device_read(port, &run->device, error);
	if (rc == -EINVAL)
		return ft_fail(error, rc, "-i: port '%s' is not Ethernet; choose one that is",
			       port);
	return rc;
}

/* Test frames are for addresses of their own. A membership, so that it ends with the process. */
static int become_promiscuous(struct ft_reflect_run *run, struct ft_error *error)
{
	struct packet_mreq request = {.mr_ifindex = run->device.ifindex,
				      .mr_type = PACKET_MR_PROMISC};

	run->membership_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (run->membership_fd < 0 ||
	    setsockopt(run->membership_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
		       sizeof(request)) < 0)
		return ft_fail(error, -errno,
			       "port '%s': cannot become promiscuous: %s; run as root or give the "
			       "program cap_net_raw and cap_net_admin",
			       run->settings->port, strerror(errno));
	return 0;
}

/* A tag that the adapter takes out of a frame would not be in the one that goes back. */
static int keep_tags(struct ft_reflect_run *run, struct ft_error *error)
{
	if (ft_ethtool_feature(run->settings->port, FT_OFFLOAD_VLAN) != 1)
		return 0;
	return ft_offload_stop_some(run->settings->port, run->device.ifindex, false, true,
				    &run->offload, error);
}

static int start_program(struct ft_reflect_run *run, struct ft_error *error)
{
	const struct ft_rate *cap = &run->settings->cap;
	struct ft_reflect_rules rules = {0};

	run->end_ns = ft_clock_monotonic_ns() + run->settings->duration_ns;
	rules.end_ns = run->end_ns;
	memcpy(rules.own_address, run->device.address, sizeof(rules.own_address));
	if (cap->unit != FT_RATE_MAX)
		rules.cost = (uint64_t)((double)(FT_NS_PER_SECOND << FT_REFLECT_COST_SHIFT) /
						cap->value +
					0.5);
	return ft_reflect_program_start(&run->program, run->settings->port, &run->device, &rules,
					run->settings->mode, error);
}

static int wait_for_link(struct ft_reflect_run *run)
{
	uint64_t began_ns = ft_clock_monotonic_ns();

	while (run->device.has_link && !ft_xdp_device_has_link(run->settings->port) &&
	       ft_clock_monotonic_ns() - began_ns < LINK_WAIT_NS) {
		if (ft_manager_interrupted(run->manager))
			return -ECANCELED;
		usleep(LINK_POLL_US);
	}
	return ft_manager_interrupted(run->manager) ? -ECANCELED : 0;
}

/* Where files come and go while the run has no privileges. */
static int drop_privileges(struct ft_reflect_run *run, struct ft_error *error)
{
	const char *directories[2] = {ft_manager_directory(run->manager)};
	char report[PATH_MAX];
	unsigned count = 1;

	if (run->settings->report != NULL && strcmp(run->settings->report, "-") != 0) {
		snprintf(report, sizeof(report), "%s", run->settings->report);
		directories[count++] = dirname(report);
	}
	return ft_privileges_drop(directories, count, &run->kept, error);
}

static int claim_port(struct ft_reflect_run *run, struct ft_error *error)
{
	int fd = ft_sending_claim("-i", run->settings->port, run->device.ifindex, PROGRAM,
				  ft_manager_name(run->manager), error);

	run->claim_fd = fd >= 0 ? fd : -1;
	return fd >= 0 ? 0 : fd;
}

static int open_port(struct ft_reflect_run *run, struct ft_error *error)
{
	int rc = check_port(run, error);

	if (rc == 0)
		rc = ft_guardian_start(false, &run->guardian, error);
	if (rc == 0)
		rc = claim_port(run, error);
	if (rc == 0)
		rc = become_promiscuous(run, error);
	if (rc == 0)
		rc = keep_tags(run, error);
	if (rc == 0)
		rc = ft_counters_read(run->device.ifindex, &run->before, error);
	if (rc == 0)
		rc = start_program(run, error);
	if (rc == 0)
		rc = wait_for_link(run);
	return rc == 0 ? drop_privileges(run, error) : rc;
}

/* What whoever tests the link must know before he blames it for lost frames. */
static void tell_losses(struct ft_reflect_run *run)
{
	uint64_t capped = run->counts[FT_REFLECT_CAPPED].frames;
	uint64_t dropped = run->now.tx_dropped - run->before.tx_dropped;

	if (capped != 0 && !run->told_capped)
		ft_manager_alarm(run->manager,
				 "port '%s': frames come faster than --rate %.0fpps: those beyond "
				 "it are not sent back",
				 run->settings->port, run->settings->cap.value);
	if (dropped != 0 && !run->told_dropped)
		ft_manager_alarm(run->manager,
				 "port '%s' drops frames that are sent back; the port or its peer "
				 "cannot take them: try --mode generic",
				 run->settings->port);
	run->told_capped |= capped != 0;
	run->told_dropped |= dropped != 0;
}

static const char *tick(void *engine)
{
	struct ft_reflect_run *run = engine;
	struct ft_error error;

	if (ft_reflect_look(run, &error) != 0) {
		ft_manager_alarm(run->manager, "port '%s' has gone: %s", run->settings->port,
				 error.text);
		run->failed = true;
		return "port lost";
	}
	tell_losses(run);
	return ft_clock_monotonic_ns() >= run->end_ns ? "duration" : NULL;
}

static int reflect(struct ft_reflect_run *run, struct ft_error *error)
{
	static const struct ft_manager_calls calls = {.status = ft_reflect_status, .tick = tick};

	run->started_ns = ft_manager_publish(run->manager, error);
	if (run->started_ns == 0)
		return -EIO;
	run->stop_reason = ft_manager_run(run->manager, &calls, run);
	ft_reflect_program_stop(&run->program);
	ft_counters_settle(); /* what is still in the program's hands ends within */
	run->stopped_ns = ft_clock_utc_ns();
	if (!run->failed && ft_reflect_look(run, error) != 0)
		run->failed = true;
	tell_losses(run);
	return 0;
}

static int run_reflector(struct ft_reflect_run *run, struct ft_error *error)
{
	int rc = ft_manager_open(PROGRAM, run->settings->name, &run->manager, error);

	if (rc == 0)
		rc = open_port(run, error);
	if (rc == 0)
		rc = reflect(run, error);
	if (rc != 0)
		return rc;
	if (!run->settings->quiet)
		ft_reflect_summarize(run);
	return ft_reflect_report(run, error);
}

static void close_all(struct ft_reflect_run *run)
{
	ft_reflect_program_free(&run->program);
	ft_offload_restore(&run->offload);
	if (run->membership_fd >= 0)
		close(run->membership_fd);
	if (run->claim_fd >= 0)
		close(run->claim_fd);
	ft_guardian_free(run->guardian);
	ft_manager_free(run->manager);
}

int ft_reflect_run(const struct ft_reflect_settings *settings)
{
	struct ft_reflect_run run = {
		.settings = settings,
		.membership_fd = -1,
		.claim_fd = -1,
		.offload = {.state_fd = -1, .xdp_link_fd = -1},
		.program = {.link_fd = -1},
	};
	struct ft_error error;
	int rc = run_reflector(&run, &error), code;

	if (rc == -ECANCELED) {
		code = 130;
	} else if (rc != 0) {
		fprintf(stderr, PROGRAM ": %s\n", error.text);
		code = run.started_ns != 0 ? 1 : ft_exit_code(rc);
	} else {
		code = run.failed ? 1 : 0;
	}
	close_all(&run);
	return code;
}
