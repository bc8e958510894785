/* SPDX-License-Identifier: Apache-2.0 */
#include "port/xdp_device.h"

#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The netlink family "netdev", since Linux 6.3 (linux/netdev.h). */
#define NETDEV_FAMILY	     "netdev"
#define NETDEV_GET	     1
#define NETDEV_IFINDEX	     1
#define NETDEV_FEATURES	     3
#define NETDEV_RX_METADATA   5
#define NETDEV_METADATA_TIME (1u << 0)
#define NETDEV_METADATA_VLAN (1u << 2)

struct request {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	struct nlattr attribute;
	char value[16];
};

struct reply {
	_Alignas(struct nlmsghdr) char bytes[8192];
	size_t length;
};

static int ask(int fd, uint16_t family, uint8_t command, uint16_t type, const void *value,
	       uint16_t bytes, struct reply *reply)
{
	struct request request = {
		.header.nlmsg_len = (uint32_t)(offsetof(struct request, value) + NLA_ALIGN(bytes)),
		.header.nlmsg_type = family,
		.header.nlmsg_flags = NLM_F_REQUEST,
		.generic.cmd = command,
		.generic.version = 1,
		.attribute.nla_len = (uint16_t)(NLA_HDRLEN + bytes),
		.attribute.nla_type = type,
	};
	const struct nlmsghdr *header = (const void *)reply->bytes;
	ssize_t received;

	memcpy(request.value, value, bytes);
	if (send(fd, &request, request.header.nlmsg_len, 0) < 0)
		return -errno;
	received = recv(fd, reply->bytes, sizeof(reply->bytes), 0);
	if (received < 0)
		return -errno;
	reply->length = (size_t)received;
	if (!NLMSG_OK(header, reply->length) || header->nlmsg_type != family)
		return -EOPNOTSUPP;
	return 0;
}

/* The attribute's value of at least `bytes`, or NULL. */
static const void *find(const struct reply *reply, uint16_t type, size_t bytes)
{
	const char *at = reply->bytes + NLMSG_HDRLEN + GENL_HDRLEN;
	const char *end = reply->bytes + reply->length;

	while (at + NLA_HDRLEN <= end) {
		const struct nlattr *attribute = (const void *)at;

		if (attribute->nla_len < NLA_HDRLEN || at + attribute->nla_len > end)
			return NULL;
		if ((attribute->nla_type & NLA_TYPE_MASK) == type)
			return attribute->nla_len >= NLA_HDRLEN + bytes ? at + NLA_HDRLEN : NULL;
		at += NLA_ALIGN(attribute->nla_len);
	}
	return NULL;
}

/* A 64-bit attribute of the device in that family. -EOPNOTSUPP when nobody knows. */
static int read_attribute(int ifindex, uint16_t attribute, uint64_t *found)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	uint32_t index = (uint32_t)ifindex;
	const void *value = NULL;
	struct reply reply;
	uint16_t family;

	if (fd < 0)
		return -errno;
	if (ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY,
		sizeof(NETDEV_FAMILY), &reply) == 0)
		value = find(&reply, CTRL_ATTR_FAMILY_ID, sizeof(family));
	if (value != NULL) {
		memcpy(&family, value, sizeof(family));
		value = NULL;
		if (ask(fd, family, NETDEV_GET, NETDEV_IFINDEX, &index, sizeof(index), &reply) == 0)
			value = find(&reply, attribute, sizeof(*found));
	}
	if (value != NULL)
		memcpy(found, value, sizeof(*found));
	close(fd);
	return value != NULL ? 0 : -EOPNOTSUPP;
}

int ft_xdp_device_read_features(int ifindex, uint64_t *features)
{
	return read_attribute(ifindex, NETDEV_FEATURES, features);
}

static int query(int fd, const char *device, unsigned long request, struct ifreq *ifr)
{
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", device);
	return ioctl(fd, request, ifr) < 0 ? -errno : 0;
}

/* A driver that tells nothing has one. */
static unsigned count_queues(int fd, const char *device)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_rxnfc rings = {.cmd = ETHTOOL_GRXRINGS};
	struct ifreq ifr = {0};

	ifr.ifr_data = (void *)&channels;
	if (query(fd, device, SIOCETHTOOL, &ifr) == 0 &&
	    channels.rx_count + channels.combined_count > 0)
		return channels.rx_count + channels.combined_count;
	ifr.ifr_data = (void *)&rings;
	if (query(fd, device, SIOCETHTOOL, &ifr) == 0 && rings.data > 0)
		return (unsigned)rings.data;
	return 1;
}

static int read_link(int fd, const char *device, struct ft_xdp_device *found,
		     struct ft_error *error)
{
	struct ifreq address = {0}, mtu = {0}, flags = {0};
	int rc = query(fd, device, SIOCGIFHWADDR, &address);

	if (rc == 0)
		rc = query(fd, device, SIOCGIFMTU, &mtu);
	if (rc == 0)
		rc = query(fd, device, SIOCGIFFLAGS, &flags);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': %s", device, strerror(-rc));
	if (address.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return ft_fail(error, -EINVAL,
			       "port '%s': not an Ethernet interface; capture with afpacket:%s",
			       device, device);
	if (!(flags.ifr_flags & IFF_UP))
		return ft_fail(error, -ENETDOWN,
			       "port '%s' is down, so no frame would come; bring it up: ip link "
			       "set %s up",
			       device, device);
	memcpy(found->address, address.ifr_hwaddr.sa_data, sizeof(found->address));
	found->mtu_bytes = (unsigned)mtu.ifr_mtu;
	found->has_link = flags.ifr_flags & IFF_RUNNING;
	return 0;
}

int ft_xdp_device_read(const char *device, struct ft_xdp_device *found, struct ft_error *error)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;
	uint64_t metadata = 0;

	if (fd < 0)
		return ft_fail(error, -errno, "port '%s': %s", device, strerror(errno));
	rc = read_link(fd, device, found, error);
	found->queue_count = count_queues(fd, device);
	close(fd);
	read_attribute(found->ifindex, NETDEV_RX_METADATA, &metadata); /* else none */
	found->stamps = metadata & NETDEV_METADATA_TIME;
	found->tags = metadata & NETDEV_METADATA_VLAN;
	return rc;
}

bool ft_xdp_device_has_link(const char *device)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq flags = {0};
	bool has = fd >= 0 && query(fd, device, SIOCGIFFLAGS, &flags) == 0 &&
		   (flags.ifr_flags & IFF_RUNNING);

	if (fd >= 0)
		close(fd);
	return has;
}
