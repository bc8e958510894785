/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/watch.h"

#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ft/clock.h"

#define LOOK_EVERY_NS	    (200 * FT_NS_PER_MS)
#define NEVER_S		    (1ll << 33)
#define STALL_US	    100000u /* between two looks: half of the time */
#define LEAST_STEP_NS	    1000    /* clocks read one after the other differ by so much */
#define TELL_PRESSURE_EVERY (10 * FT_NS_PER_SECOND)

/* --- links ------------------------------------------------------------------------------------ */

struct link_state {
	bool up;
	uint32_t changes;
};

static int ask_for_link(int fd, int ifindex)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg body;
	} request = {
		.header.nlmsg_len = sizeof(request),
		.header.nlmsg_type = RTM_GETLINK,
		.header.nlmsg_flags = NLM_F_REQUEST,
		.body.ifi_index = ifindex,
	};

	return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

static int parse_link(const struct nlmsghdr *header, size_t bytes, struct link_state *state)
{
	const struct ifinfomsg *body = NLMSG_DATA(header);
	const struct rtattr *attribute;
	int left;

	if (!NLMSG_OK(header, bytes) || header->nlmsg_type != RTM_NEWLINK ||
	    header->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
		return -EPROTO;
	*state = (struct link_state){.up = (body->ifi_flags & IFF_RUNNING) != 0};
	attribute = IFLA_RTA(body);
	left = (int)IFLA_PAYLOAD(header);
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == IFLA_CARRIER_CHANGES &&
		    RTA_PAYLOAD(attribute) >= sizeof(state->changes))
			memcpy(&state->changes, RTA_DATA(attribute), sizeof(state->changes));
	return 0;
}

static int read_link(int ifindex, struct link_state *state)
{
	union {
		struct nlmsghdr header;
		char bytes[16384];
	} reply;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t received;
	int rc;

	if (fd < 0)
		return -errno;
	rc = ask_for_link(fd, ifindex);
	if (rc == 0) {
		received = recv(fd, &reply, sizeof(reply), 0);
		rc = received < 0 ? -errno : parse_link(&reply.header, (size_t)received, state);
	}
	close(fd);
	return rc;
}

static void look_at_link(struct ft_watched_link *link, struct ft_manager *manager)
{
	struct link_state now;

	if (read_link(link->ifindex, &now) != 0)
		return; /* an interface that is gone is told by its hot thread */
	if (link->known && link->up != now.up)
		ft_manager_alarm(manager, "link of %s is %s", link->name,
				 now.up ? "up again" : "down: no frame comes until it is back");
	else if (link->known && link->changes != now.changes)
		ft_manager_alarm(manager, "link of %s changed %u times and is %s", link->name,
				 now.changes - link->changes, now.up ? "up" : "down");
	if (link->known)
		link->changes_had += now.changes - link->changes;
	if (now.up)
		link->down_ns = 0;
	else if (link->down_ns == 0)
		link->down_ns = ft_clock_monotonic_ns();
	link->known = true;
	link->up = now.up;
	link->changes = now.changes;
}

/* --- clock, memory ---------------------------------------------------------------------------- */

/* A timer that never expires and is cancelled when the clock is set (timerfd_create(2)). */
static bool arm_clock(struct ft_watch *watch)
{
	const struct itimerspec never = {.it_value.tv_sec = NEVER_S};

	watch->clock_offset_ns = ft_clock_utc_offset_ns();
	return timerfd_settime(watch->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			       NULL) == 0;
}

static void watch_clock(struct ft_watch *watch)
{
	watch->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (watch->clock_fd < 0)
		return;
	watch->clock_watched = arm_clock(watch);
	if (!watch->clock_watched)
		close(watch->clock_fd);
}

/* The kernel only speaks of a clock whose offset did change: a step too small to see is one. */
static void tell_step(int64_t step_ns, struct ft_manager *manager)
{
	const char *way = step_ns > 0 ? "forward" : "back";

	if (llabs(step_ns) < LEAST_STEP_NS)
		ft_manager_alarm(manager,
				 "the system clock was set by less than %d ns, or there and back; "
				 "host timestamps follow it",
				 LEAST_STEP_NS);
	else if (llabs(step_ns) < (long long)FT_NS_PER_MS)
		ft_manager_alarm(
			manager,
			"the system clock was set %s by %lld ns; host timestamps follow it", way,
			llabs(step_ns));
	else
		ft_manager_alarm(manager,
				 "the system clock was set %s by %.6f s; host timestamps follow it",
				 way, (double)llabs(step_ns) / 1e9);
}

static void look_at_clock(struct ft_watch *watch, struct ft_manager *manager)
{
	int64_t before_ns = watch->clock_offset_ns;
	uint64_t expired;

	if (!watch->clock_watched) {
		watch_clock(watch);
		return;
	}
	if (read(watch->clock_fd, &expired, sizeof(expired)) >= 0 || errno != ECANCELED)
		return;
	arm_clock(watch);
	watch->clock_sets++;
	tell_step(watch->clock_offset_ns - before_ns, manager);
}

/* For how long all tasks that wanted to run waited for memory (Documentation/accounting/psi.rst).
 */
static uint64_t read_stalled_us(void)
{
	FILE *file = fopen("/proc/pressure/memory", "re");
	unsigned long long stalled_us = 0;
	char line[160];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "full %*s %*s %*s total=%llu", &stalled_us) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return stalled_us;
}

static void look_at_memory(struct ft_watch *watch, struct ft_manager *manager)
{
	uint64_t stalled_us = read_stalled_us(), now_ns = ft_clock_monotonic_ns();
	uint64_t more_us = stalled_us - watch->stalled_us;
	bool first = watch->looked_ns == 0;

	watch->stalled_us = stalled_us;
	if (first || more_us < STALL_US || now_ns - watch->pressure_told_ns < TELL_PRESSURE_EVERY)
		return;
	watch->pressure_told_ns = now_ns;
	ft_manager_alarm(manager,
			 "memory runs short: this machine stood still for %llu ms; end other "
			 "programs, or ask for fewer buffers",
			 (unsigned long long)(more_us / 1000));
}

void ft_watch_add_link(struct ft_watch *watch, const char *name, int ifindex)
{
	if (ifindex == 0 || watch->link_count == sizeof(watch->links) / sizeof(watch->links[0]))
		return;
	watch->links[watch->link_count++] =
		(struct ft_watched_link){.name = name, .ifindex = ifindex};
}

void ft_watch_add(struct ft_watch *watch, const struct ft_port *port)
{
	ft_watch_add_link(watch, ft_port_name(port), ft_port_ifindex(port));
}

void ft_watch_look_now(struct ft_watch *watch, struct ft_manager *manager)
{
	for (unsigned i = 0; i < watch->link_count; i++)
		look_at_link(&watch->links[i], manager);
	look_at_clock(watch, manager);
	look_at_memory(watch, manager);
	watch->looked_ns = ft_clock_monotonic_ns();
}

void ft_watch_look(struct ft_watch *watch, struct ft_manager *manager)
{
	if (watch->looked_ns == 0 || ft_clock_monotonic_ns() - watch->looked_ns >= LOOK_EVERY_NS)
		ft_watch_look_now(watch, manager);
}

void ft_watch_close(struct ft_watch *watch)
{
	if (watch->clock_watched)
		close(watch->clock_fd);
	watch->clock_watched = false;
}
