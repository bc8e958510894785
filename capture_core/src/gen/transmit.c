/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ft_transmit_send() runs on the sender's thread, once for up to FT_TRANSMIT_BATCH frames; nearly
 * all of its time is the kernel's (about 2 us a frame on veth). It allocates nothing and sleeps
 * only where the port cannot take more.
 */
#include "gen/transmit.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ft/clock.h"
#include "port/ethtool.h"

#define PREFIX	       "afpacket:"
#define VLAN_TAG_BYTES 4u
/* An adapter that was reset needs seconds to find its link again. */
#define LINK_WAIT_NS (5 * FT_NS_PER_SECOND)
#define LINK_POLL_MS 10
/* A port that is down for so long while frames are due is given up. */
#define OUTAGE_NS    (2 * FT_NS_PER_SECOND)
#define FULL_WAIT_NS 20000 /* a queue of 1000 smallest frames empties in 67 us at 10GbE */
#define BUSY_WAIT_MS 20

static void sleep_ns(long ns)
{
	const struct timespec pause = {.tv_nsec = ns};

	nanosleep(&pause, NULL);
}

static int query(const struct ft_transmit *t, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	*ifr = (struct ifreq){0};
	memcpy(ifr->ifr_name, t->device, sizeof(t->device));
	rc = ioctl(fd, request, ifr) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* packet_snd() in the kernel's net/packet/af_packet.c: MTU and link header, and a tag if it is
 * 802.1Q's. */
static int read_limits(struct ft_transmit *t, struct ft_error *error)
{
	struct ifreq ifr;
	int rc = query(t, SIOCGIFHWADDR, &ifr);

	if (rc == 0 && ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
	    ifr.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return ft_fail(error, -EINVAL, "-o: port '%s' is not Ethernet", t->device);
	if (rc == 0)
		rc = query(t, SIOCGIFMTU, &ifr);
	if (rc != 0)
		return ft_fail(error, rc, "-o: port '%s': %s", t->device, strerror(-rc));
	t->max_bytes = (uint32_t)ifr.ifr_mtu + ETH_HLEN;
	t->max_tagged_bytes = t->max_bytes + VLAN_TAG_BYTES;
	t->speed_bps = ft_ethtool_speed_bps(t->device);
	return 0;
}

int ft_transmit_create(const char *spec, struct ft_transmit *t, struct ft_error *error)
{
	const char *device = spec;

	t->fd = -1;
	if (strncmp(spec, PREFIX, strlen(PREFIX)) == 0)
		device += strlen(PREFIX);
	else if (strchr(spec, ':') != NULL)
		return ft_fail(
			error, -EINVAL,
			"-o: port '%s': frames are sent by back end afpacket: afpacket:DEVICE "
			"or DEVICE",
			spec);
	if (device[0] == '\0')
		return ft_fail(error, -EINVAL, "-o: port '%s' names no device", spec);
	t->ifindex = strlen(device) < sizeof(t->device) ? (int)if_nametoindex(device) : 0;
	if (t->ifindex == 0)
		return ft_fail(error, -ENODEV,
			       "-o: port '%s': no such interface; see fieldtap ports", device);
	snprintf(t->device, sizeof(t->device), "%s", device);
	for (unsigned i = 0; i < FT_TRANSMIT_BATCH; i++) {
		t->messages[i].msg_hdr.msg_iov = &t->frames[i];
		t->messages[i].msg_hdr.msg_iovlen = 1;
	}
	return read_limits(t, error);
}

int ft_transmit_has_link(const struct ft_transmit *t)
{
	struct ifreq ifr;
	int rc = query(t, SIOCGIFFLAGS, &ifr);

	if (rc != 0)
		return rc;
	return (ifr.ifr_flags & IFF_UP) != 0 && (ifr.ifr_flags & IFF_RUNNING) != 0;
}

static int wait_for_link(const struct ft_transmit *t, struct ft_error *error)
{
	uint64_t began_ns = ft_clock_monotonic_ns();
	struct ifreq ifr;
	int rc;

	while ((rc = ft_transmit_has_link(t)) == 0) {
		if (query(t, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_UP))
			return ft_fail(error, -ENETDOWN,
				       "-o: port '%s' is down; bring it up: ip link set %s up",
				       t->device, t->device);
		if (ft_clock_monotonic_ns() - began_ns > LINK_WAIT_NS)
			return ft_fail(error, -ENETDOWN,
				       "-o: port '%s' has no link; check the cable and that the "
				       "other end is up",
				       t->device);
		sleep_ns((long)(LINK_POLL_MS * FT_NS_PER_MS));
	}
	return rc < 0 ? ft_fail(error, rc, "-o: port '%s': %s", t->device, strerror(-rc)) : 0;
}

int ft_transmit_open(struct ft_transmit *t, struct ft_error *error)
{
	/* Protocol 0: the socket receives nothing. */
	const struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = t->ifindex};

	t->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return ft_fail(
			error, -errno,
			"-o: port '%s': cannot open a packet socket: %s; run as root or give "
			"the program cap_net_raw and cap_net_admin",
			t->device, strerror(errno));
	if (bind(t->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return ft_fail(error, -errno, "-o: port '%s': bind: %s", t->device,
			       strerror(errno));
	return wait_for_link(t, error);
}

/* Wait for room, for as long as the reason for waiting may last. 0: try again. */
static int wait_for_port(struct ft_transmit *t, int reason, uint64_t *outage_ns,
			 struct ft_error *error)
{
	struct pollfd waiter = {.fd = t->fd, .events = POLLOUT};
	uint64_t now_ns = ft_clock_monotonic_ns();

	switch (reason) {
	case ENOBUFS: /* the queue, or the other end of a virtual link, is full */
		sleep_ns(FULL_WAIT_NS);
		return 0;
	case EAGAIN: /* the socket's own buffer is full */
		poll(&waiter, 1, BUSY_WAIT_MS);
		return 0;
	case EINTR:
		return 0;
	case ENETDOWN:
		if (*outage_ns == 0)
			*outage_ns = now_ns;
		if (now_ns - *outage_ns < OUTAGE_NS) {
			sleep_ns((long)(LINK_POLL_MS * FT_NS_PER_MS));
			return 0;
		}
		return ft_fail(error, -ENETDOWN, "-o: port '%s' went down", t->device);
	case ENXIO:
	case ENODEV:
		return ft_fail(error, -ENODEV, "-o: port '%s' is gone", t->device);
	case EMSGSIZE:
		return ft_fail(error, -EMSGSIZE,
			       "-o: port '%s': its MTU was lowered; the frames no longer fit",
			       t->device);
	default:
		return ft_fail(error, -reason, "-o: port '%s': cannot send: %s", t->device,
			       strerror(reason));
	}
}

int ft_transmit_send(struct ft_transmit *t, unsigned count, const atomic_bool *stop,
		     struct ft_error *error)
{
	uint64_t outage_ns = 0;
	unsigned sent = 0;

	while (sent < count) {
		int rc = sendmmsg(t->fd, t->messages + sent, count - sent, MSG_DONTWAIT);

		if (rc > 0) {
			sent += (unsigned)rc;
			outage_ns = 0;
			continue;
		}
		if (atomic_load_explicit(stop, memory_order_relaxed))
			break;
		rc = wait_for_port(t, errno, &outage_ns, error);
		if (rc != 0)
			return rc;
	}
	return (int)sent;
}

void ft_transmit_close(struct ft_transmit *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}
