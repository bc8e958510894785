/* SPDX-License-Identifier: Apache-2.0 */
#include "port/inuse.h"

#include <net/if.h> /* before the kernel's own */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel fills a datagram of a dump up to this (net/netlink/af_netlink.c netlink_dump). */
#define DATAGRAM_BYTES 32768

static bool is_stacked(const struct ft_inuse *use, int ifindex)
{
	for (unsigned i = 0; i < use->count; i++)
		if (use->stacked[i] == ifindex)
			return true;
	return false;
}

/* The value of at least `bytes` of an attribute, or NULL. */
static const void *find(const struct rtattr *attributes, size_t left, unsigned type, size_t bytes)
{
	int rest = (int)left;

	for (const struct rtattr *each = attributes; RTA_OK(each, rest);
	     each = RTA_NEXT(each, rest))
		if ((each->rta_type & NLA_TYPE_MASK) == type && RTA_PAYLOAD(each) >= bytes)
			return RTA_DATA(each);
	return NULL;
}

static int find_number(const struct rtattr *attributes, size_t left, unsigned type)
{
	const void *value = find(attributes, left, type, sizeof(int32_t));
	int32_t number = 0;

	if (value != NULL)
		memcpy(&number, value, sizeof(number));
	return number;
}

/* The other end of a veth pair is named like what a VLAN lies on. */
static bool is_veth(const struct rtattr *attributes, size_t left)
{
	int rest = (int)left;

	for (const struct rtattr *each = attributes; RTA_OK(each, rest);
	     each = RTA_NEXT(each, rest)) {
		const char *kind;

		if ((each->rta_type & NLA_TYPE_MASK) != IFLA_LINKINFO)
			continue;
		kind = find(RTA_DATA(each), RTA_PAYLOAD(each), IFLA_INFO_KIND, sizeof("veth"));
		return kind != NULL && memcmp(kind, "veth", sizeof("veth")) == 0;
	}
	return false;
}

static void take_link(struct ft_inuse *use, const struct ifinfomsg *link,
		      const struct rtattr *attributes, size_t left)
{
	int below = find_number(attributes, left, IFLA_LINK);
	int master = find_number(attributes, left, IFLA_MASTER);
	bool is_elsewhere = find(attributes, left, IFLA_LINK_NETNSID, sizeof(int32_t)) != NULL;

	if (below != 0 && is_stacked(use, below) && !is_elsewhere &&
	    !is_stacked(use, link->ifi_index) && !is_veth(attributes, left) &&
	    use->count < FT_INUSE_MAX_STACKED)
		use->stacked[use->count++] = link->ifi_index;
	if (master != 0 && use->master == 0 && is_stacked(use, link->ifi_index)) {
		use->master = master;
		use->mastered = link->ifi_index;
	}
}

/* One that goes out by several ports names each. */
static int find_hop(const struct ft_inuse *use, const struct rtattr *attributes, size_t left)
{
	int rest = (int)left;

	for (const struct rtattr *each = attributes; RTA_OK(each, rest);
	     each = RTA_NEXT(each, rest)) {
		const struct rtnexthop *hop = RTA_DATA(each);
		int hops = (int)RTA_PAYLOAD(each);

		if ((each->rta_type & NLA_TYPE_MASK) != RTA_MULTIPATH)
			continue;
		while (hops >= (int)sizeof(*hop) && RTNH_OK(hop, hops)) {
			if (is_stacked(use, hop->rtnh_ifindex))
				return hop->rtnh_ifindex;
			hops -= (int)RTNH_ALIGN(hop->rtnh_len);
			hop = RTNH_NEXT(hop);
		}
	}
	return 0;
}

static void take_route(struct ft_inuse *use, const struct rtmsg *route,
		       const struct rtattr *attributes, size_t left)
{
	int out = find_number(attributes, left, RTA_OIF);

	if (route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST || use->routed != 0 ||
	    (route->rtm_family != AF_INET && route->rtm_family != AF_INET6))
		return;
	use->routed = out != 0 && is_stacked(use, out) ? out : find_hop(use, attributes, left);
}

static void take_address(struct ft_inuse *use, const struct ifaddrmsg *address,
			 const struct rtattr *attributes, size_t left)
{
	bool is_ipv4 = address->ifa_family == AF_INET;
	size_t bytes = is_ipv4 ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	const void *value = find(attributes, left, IFA_LOCAL, bytes);
	char text[INET6_ADDRSTRLEN];

	if (use->addressed != 0 || !is_stacked(use, (int)address->ifa_index) ||
	    (!is_ipv4 && address->ifa_family != AF_INET6) ||
	    (!is_ipv4 && address->ifa_scope == RT_SCOPE_LINK))
		return;
	if (value == NULL) /* IPv6, but for point-to-point links */
		value = find(attributes, left, IFA_ADDRESS, bytes);
	if (value == NULL || inet_ntop(address->ifa_family, value, text, sizeof(text)) == NULL)
		return;
	use->addressed = (int)address->ifa_index;
	snprintf(use->address, sizeof(use->address), "%s/%u", text, address->ifa_prefixlen);
}

static void take_message(struct ft_inuse *use, const struct nlmsghdr *message)
{
	const void *body = NLMSG_DATA(message);
	size_t bytes = NLMSG_PAYLOAD(message, 0), fixed;

	fixed = message->nlmsg_type == RTM_NEWLINK    ? sizeof(struct ifinfomsg)
		: message->nlmsg_type == RTM_NEWROUTE ? sizeof(struct rtmsg)
						      : sizeof(struct ifaddrmsg);
	if (bytes < NLMSG_ALIGN(fixed))
		return;
	bytes -= NLMSG_ALIGN(fixed);
	if (message->nlmsg_type == RTM_NEWLINK)
		take_link(use, body, IFLA_RTA(body), bytes);
	else if (message->nlmsg_type == RTM_NEWROUTE)
		take_route(use, body, RTM_RTA(body), bytes);
	else if (message->nlmsg_type == RTM_NEWADDR)
		take_address(use, body, IFA_RTA(body), bytes);
}

int ft_inuse_take(struct ft_inuse *use, const void *datagram, size_t bytes)
{
	const struct nlmsghdr *message = datagram;
	int left = (int)bytes; /* the macros may take more than there is */

	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		const struct nlmsgerr *failure = NLMSG_DATA(message);

		if (message->nlmsg_type == NLMSG_DONE)
			return 1;
		if (message->nlmsg_type == NLMSG_ERROR)
			return NLMSG_PAYLOAD(message, 0) >= sizeof(*failure) && failure->error < 0
				       ? failure->error
				       : -EPROTO;
		take_message(use, message);
	}
	return 0;
}

static int dump(int fd, uint16_t type, struct ft_inuse *use)
{
	struct {
		struct nlmsghdr header;
		struct rtgenmsg body;
	} request = {
		.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.body)),
		.header.nlmsg_type = type,
		.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.body.rtgen_family = AF_UNSPEC,
	};
	_Alignas(struct nlmsghdr) char datagram[DATAGRAM_BYTES];
	int rc = send(fd, &request, request.header.nlmsg_len, 0) < 0 ? -errno : 0;

	while (rc == 0) {
		ssize_t received = recv(fd, datagram, sizeof(datagram), MSG_TRUNC);

		if (received < 0)
			return -errno;
		if (received > (ssize_t)sizeof(datagram))
			return -EMSGSIZE;
		rc = ft_inuse_take(use, datagram, (size_t)received);
	}
	return rc < 0 ? rc : 0;
}

/* The kernel lists interfaces by number: what lies on a later one is found in the next round. */
static int find_uses(int fd, struct ft_inuse *use)
{
	unsigned before;
	int rc;

	do {
		before = use->count;
		rc = dump(fd, RTM_GETLINK, use);
	} while (rc == 0 && use->count > before);
	if (rc == 0)
		rc = dump(fd, RTM_GETROUTE, use);
	return rc == 0 ? dump(fd, RTM_GETADDR, use) : rc;
}

static void name_interface(int ifindex, char name[IF_NAMESIZE])
{
	if (if_indextoname((unsigned)ifindex, name) == NULL)
		snprintf(name, IF_NAMESIZE, "#%d", ifindex);
}

/* The gravest use, as in "carries the default route"; an empty text for a free port. */
static void describe(const struct ft_inuse *use, char *text, size_t bytes)
{
	int which = use->routed ? use->routed : use->mastered ? use->mastered : use->addressed;
	char name[IF_NAMESIZE], master[IF_NAMESIZE];
	size_t used = 0;

	text[0] = '\0';
	if (which == 0)
		return;
	if (which != use->stacked[0]) {
		name_interface(which, name);
		used = (size_t)snprintf(text, bytes, "is below '%s', which ", name);
	}
	if (use->routed != 0) {
		snprintf(text + used, bytes - used, "carries the default route");
	} else if (use->master != 0) {
		name_interface(use->master, master);
		snprintf(text + used, bytes - used, "is a member of '%s'", master);
	} else {
		snprintf(text + used, bytes - used, "has the address %s", use->address);
	}
}

int ft_inuse_check(const char *option, const char *device, int ifindex, const char *force,
		   struct ft_error *error)
{
	struct ft_inuse use = {.count = 1, .stacked = {ifindex}};
	char what[128];
	int fd, rc;

	if (force != NULL && strcmp(force, device) != 0)
		return ft_fail(error, -EINVAL, "--force %s: test frames would go out of '%s'",
			       force, device);
	if (force != NULL)
		return 0;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	rc = fd < 0 ? -errno : find_uses(fd, &use);
	if (fd >= 0)
		close(fd);
	if (rc != 0)
		return ft_fail(error, rc, "%s: port '%s': its use cannot be told: %s", option,
			       device, strerror(-rc));
	describe(&use, what, sizeof(what));
	if (what[0] != '\0')
		return ft_fail(error, -EINVAL,
			       "%s: port '%s' %s; choose a port that nothing uses, or say that "
			       "you mean it: --force %s",
			       option, device, what, device);
	return 0;
}
