/* SPDX-License-Identifier: Apache-2.0 */
#include "port/qdisc.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int request_link(int fd, int ifindex)
{
	const struct {
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

static int parse_link(const struct nlmsghdr *header, size_t bytes, char *name)
{
	const struct rtattr *attribute;
	int left;

	if (!NLMSG_OK(header, bytes))
		return -EPROTO;
	if (header->nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
	attribute = IFLA_RTA(NLMSG_DATA(header));
	left = (int)IFLA_PAYLOAD(header);
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type != IFLA_QDISC)
			continue;
		snprintf(name, FT_QDISC_NAME_BYTES, "%.*s", (int)RTA_PAYLOAD(attribute),
			 (const char *)RTA_DATA(attribute));
		return 0;
	}
	return -EPROTO;
}

int ft_qdisc_read(int ifindex, char name[FT_QDISC_NAME_BYTES])
{
	union {
		struct nlmsghdr header;
		char bytes[32768];
	} reply;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), rc;
	ssize_t received;

	if (fd < 0)
		return -errno;
	rc = request_link(fd, ifindex);
	if (rc == 0) {
		received = recv(fd, &reply, sizeof(reply), 0);
		rc = received < 0 ? -errno : parse_link(&reply.header, (size_t)received, name);
	}
	close(fd);
	return rc;
}
