/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/counters.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ft/clock.h"

#define SETTLE_MIN_NS (2 * FT_NS_PER_MS)
#define SETTLE_MAX_NS (50 * FT_NS_PER_MS)
#define MAX_CPUS      1024

static int request_stats(int fd, int ifindex)
{
	struct {
		struct nlmsghdr header;
		struct if_stats_msg body;
	} request = {
		.header.nlmsg_len = sizeof(request),
		.header.nlmsg_type = RTM_GETSTATS,
		.header.nlmsg_flags = NLM_F_REQUEST,
		.body.ifindex = (uint32_t)ifindex,
		.body.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64),
	};

	return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* Copies the counters out of a reply of `bytes` bytes; older kernels send a shorter struct. */
static int parse_stats(const struct nlmsghdr *header, size_t bytes, struct rtnl_link_stats64 *stats)
{
	const struct rtattr *attribute;
	int left;

	if (!NLMSG_OK(header, bytes))
		return -EPROTO;
	if (header->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *failure = NLMSG_DATA(header);

		return failure->error != 0 ? failure->error : -EPROTO;
	}
	if (header->nlmsg_type != RTM_NEWSTATS)
		return -EPROTO;
	attribute = (const void *)((const char *)NLMSG_DATA(header) +
				   NLMSG_ALIGN(sizeof(struct if_stats_msg)));
	left = (int)NLMSG_PAYLOAD(header, sizeof(struct if_stats_msg));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		size_t size = RTA_PAYLOAD(attribute);

		if (attribute->rta_type != IFLA_STATS_LINK_64)
			continue;
		memset(stats, 0, sizeof(*stats));
		memcpy(stats, RTA_DATA(attribute), size < sizeof(*stats) ? size : sizeof(*stats));
		return 0;
	}
	return -EPROTO;
}

int ft_counters_read(int ifindex, struct ft_counters *counters, struct ft_error *error)
{
	union {
		struct nlmsghdr header;
		char bytes[8192];
	} reply;
	struct rtnl_link_stats64 stats;
	ssize_t received;
	int fd, rc;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return ft_fail(error, -errno, "interface counters: %s", strerror(errno));
	rc = request_stats(fd, ifindex);
	if (rc == 0) {
		received = recv(fd, &reply, sizeof(reply), 0);
		rc = received < 0 ? -errno : parse_stats(&reply.header, (size_t)received, &stats);
	}
	close(fd);
	if (rc != 0)
		return ft_fail(error, rc, "interface counters: %s", strerror(-rc));
	counters->rx_frames = stats.rx_packets;
	counters->tx_frames = stats.tx_packets;
	counters->rx_missed = stats.rx_missed_errors;
	counters->rx_dropped = stats.rx_dropped;
	counters->rx_errors = stats.rx_errors;
	counters->tx_dropped = stats.tx_dropped;
	return 0;
}

struct backlog {
	uint64_t processed;
	uint64_t dropped;
	uint64_t waiting;
};

/*
 * One line a CPU of hexadecimal columns: processed, dropped, ... and, as the twelfth, the length of
 * the backlog (since Linux 5.10; net/core/net-procfs.c softnet_seq_show).
 */
static unsigned read_backlogs(struct backlog *backlogs, unsigned max)
{
	FILE *file = fopen("/proc/net/softnet_stat", "re");
	unsigned count = 0;
	char line[512];

	if (file == NULL)
		return 0;
	while (count < max && fgets(line, sizeof(line), file) != NULL) {
		unsigned processed, dropped, waiting = 0;

		if (sscanf(line, "%x %x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x", &processed,
			   &dropped, &waiting) < 2)
			break;
		backlogs[count++] = (struct backlog){processed, dropped, waiting};
	}
	fclose(file);
	return count;
}

static bool backlogs_passed(const struct backlog *first, const struct backlog *now, unsigned count)
{
	for (unsigned cpu = 0; cpu < count; cpu++) {
		uint32_t processed = (uint32_t)now[cpu].processed - (uint32_t)first[cpu].processed;

		if (now[cpu].waiting != 0 && processed <= first[cpu].waiting)
			return false;
	}
	return true;
}

void ft_counters_settle(void)
{
	struct backlog first[MAX_CPUS], now[MAX_CPUS];
	const struct timespec pause = {.tv_nsec = SETTLE_MIN_NS};
	uint64_t began_ns = ft_clock_monotonic_ns();
	unsigned count = read_backlogs(first, MAX_CPUS);

	do {
		nanosleep(&pause, NULL);
		if (read_backlogs(now, MAX_CPUS) != count)
			continue;
		if (backlogs_passed(first, now, count))
			break;
	} while (ft_clock_monotonic_ns() - began_ns < SETTLE_MAX_NS);
}

uint64_t ft_counters_backlog_dropped(void)
{
	struct backlog backlogs[MAX_CPUS];
	unsigned count = read_backlogs(backlogs, MAX_CPUS);
	uint64_t dropped = 0;

	for (unsigned cpu = 0; cpu < count; cpu++)
		dropped += backlogs[cpu].dropped;
	return dropped;
}
