/* SPDX-License-Identifier: Apache-2.0 */
/* What all back ends have in common: the device, its limits and link, memory, and the tap. */
#include "gen/transmit.h"

#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ft/clock.h"
#include "ft/counters.h"
#include "ft/generate.h"
#include "gen/frame_file.h"
#include "port/ethtool.h"
#include "port/vlan.h"
#include "port/xsk_send.h"

/* An adapter that was reset needs seconds to find its link again. */
#define LINK_WAIT_NS (5 * FT_NS_PER_SECOND)
#define LINK_POLL_MS 10
/* A port that is down for so long while frames are due is given up. */
#define OUTAGE_NS    (2 * FT_NS_PER_SECOND)
#define FULL_WAIT_NS 20000 /* a queue of 1000 smallest frames empties in 67 us at 10GbE */

static const struct ft_transmit_ops *const backends[] = {
	&ft_transmit_live,
	&ft_transmit_afxdp,
	&ft_transmit_afpacket,
	&ft_transmit_file,
};

static void sleep_ns(uint64_t ns)
{
	const struct timespec pause = {.tv_nsec = (long)ns};

	nanosleep(&pause, NULL);
}

static int query(const struct ft_transmit *t, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	*ifr = (struct ifreq){0};
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", t->device);
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
	t->max_tagged_bytes = t->max_bytes + FT_VLAN_TAG_BYTES;
	t->speed_bps = ft_ethtool_speed_bps(t->device);
	return 0;
}

static int resolve_device(struct ft_transmit *t, struct ft_error *error)
{
	if (t->device[0] == '\0')
		return ft_fail(error, -EINVAL, "-o: names no device");
	t->ifindex = strlen(t->device) < IF_NAMESIZE ? (int)if_nametoindex(t->device) : 0;
	if (t->ifindex == 0)
		return ft_fail(error, -ENODEV,
			       "-o: port '%s': no such interface; see fieldtap ports", t->device);
	return read_limits(t, error);
}

int ft_transmit_create(const char *spec, struct ft_transmit *t, struct ft_error *error)
{
	const char *colon = strchr(spec, ':');
	size_t name_bytes = colon != NULL ? (size_t)(colon - spec) : 0;

	t->device = colon != NULL ? colon + 1 : spec;
	t->slots_in_flight = FT_TRANSMIT_RING + FT_TRANSMIT_BATCH;
	for (unsigned i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (colon != NULL && strlen(backends[i]->name) == name_bytes &&
		    memcmp(spec, backends[i]->name, name_bytes) == 0)
			t->ops = backends[i];
	if (colon != NULL && t->ops == NULL)
		return ft_fail(error, -EINVAL,
			       "-o: port '%s': frames are sent to DEVICE, by live:DEVICE, "
			       "afxdp:DEVICE or afpacket:DEVICE, or written to file:NAME.pcapng",
			       spec);
	if (t->ops != &ft_transmit_file)
		return resolve_device(t, error);
	t->max_bytes = t->max_tagged_bytes = FT_GENERATE_MAX_SIZE - FT_FCS_BYTES;
	return ft_frame_file_check("-o file:", t->device, error);
}

static size_t round_up(size_t bytes)
{
	return (bytes + FT_XSK_SEND_CHUNK_BYTES - 1) / FT_XSK_SEND_CHUNK_BYTES *
	       FT_XSK_SEND_CHUNK_BYTES;
}

void *ft_transmit_memory(struct ft_transmit *t, size_t bytes)
{
	/* Copies of frames that lie elsewhere, and what a zero-copy driver receives into. */
	size_t own_bytes = (size_t)2 * FT_TRANSMIT_RING * FT_XSK_SEND_CHUNK_BYTES;
	void *area;

	t->memory_bytes = round_up(bytes);
	t->area_bytes = t->memory_bytes + own_bytes;
	area = mmap(NULL, t->area_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	t->area = area != MAP_FAILED ? area : NULL;
	return t->area;
}

int ft_transmit_open(struct ft_transmit *t, struct ft_error *error)
{
	if (t->area == NULL && ft_transmit_memory(t, 0) == NULL)
		return ft_fail(error, -ENOMEM, "-o: port '%s': out of memory", t->device);
	if (t->longest_bytes == 0)
		t->longest_bytes = t->max_tagged_bytes;
	t->unseen = t->unproven = t->takes_all = t->keeps_no_time = false;
	return t->ops->open(t, error);
}

int ft_transmit_has_link(const struct ft_transmit *t)
{
	struct ifreq ifr;
	int rc = t->ifindex != 0 ? query(t, SIOCGIFFLAGS, &ifr) : 0;

	if (rc != 0 || t->ifindex == 0)
		return rc != 0 ? rc : 1;
	return (ifr.ifr_flags & IFF_UP) != 0 && (ifr.ifr_flags & IFF_RUNNING) != 0;
}

int ft_transmit_wait_for_link(const struct ft_transmit *t, struct ft_error *error)
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
		if (t->given_up != NULL && t->given_up(t->context))
			return -ECANCELED;
		sleep_ns(LINK_POLL_MS * FT_NS_PER_MS);
	}
	return rc < 0 ? ft_fail(error, rc, "-o: port '%s': %s", t->device, strerror(-rc)) : 0;
}

int ft_transmit_begin_count(struct ft_transmit *t, struct ft_error *error)
{
	struct ft_counters counters;
	int rc = t->ifindex != 0 ? ft_counters_read(t->ifindex, &counters, error) : 0;

	if (rc == 0 && t->ifindex != 0)
		t->counted_before = counters.tx_frames;
	return rc;
}

int ft_transmit_read_count(const struct ft_transmit *t, uint64_t *frames, struct ft_error *error)
{
	struct ft_counters counters;
	int rc;

	if (t->ifindex == 0) {
		*frames = ft_count_read(&t->frames_written);
		return 0;
	}
	rc = ft_counters_read(t->ifindex, &counters, error);
	if (rc != 0)
		return rc;
	if (counters.tx_frames < t->counted_before)
		return ft_fail(error, -EIO,
			       "-o: port '%s' set its counters back, so that nobody knows what "
			       "left it; run again",
			       t->device);
	*frames = counters.tx_frames - t->counted_before;
	return 0;
}

const char *ft_transmit_count_source(const struct ft_transmit *t)
{
	return t->ifindex != 0 ? "tx_packets" : "file";
}

static int tap(struct ft_transmit *t, unsigned count, uint64_t stamp_ns, struct ft_error *error)
{
	uint64_t began_ns = ft_clock_monotonic_ns();
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < count; i++)
		rc = ft_frame_file_add(t->tap, t->frames[i].iov_base,
				       (uint32_t)t->frames[i].iov_len, stamp_ns, error);
	t->tap_waited_ns += ft_clock_monotonic_ns() - began_ns;
	return rc;
}

int ft_transmit_send(struct ft_transmit *t, unsigned count, const atomic_bool *stop,
		     struct ft_error *error)
{
	uint64_t stamp_ns = t->tap != NULL ? ft_clock_utc_ns() : 0;
	int sent = t->ops->send(t, count, stop, error), rc;

	if (t->tap == NULL || sent <= 0)
		return sent;
	rc = tap(t, (unsigned)sent, stamp_ns, error);
	return rc == 0 ? sent : rc;
}

int ft_transmit_flood(struct ft_transmit *t, struct ft_repeated *repeated, uint32_t count,
		      struct ft_error *error)
{
	return t->ops->flood(t, repeated, count, error);
}

void ft_transmit_drain(struct ft_transmit *t)
{
	if (t->ops->drain != NULL)
		t->ops->drain(t);
}

int ft_transmit_finish(struct ft_transmit *t, struct ft_error *error)
{
	int rc = t->tap != NULL ? ft_frame_file_finish(t->tap, error) : 0;

	if (rc == 0 && t->ops == &ft_transmit_file)
		rc = ft_frame_file_finish(t->state, error);
	return rc;
}

void ft_transmit_close(struct ft_transmit *t)
{
	if (t->ops != NULL)
		t->ops->close(t);
	t->state = NULL;
}

void ft_transmit_free(struct ft_transmit *t)
{
	ft_transmit_close(t);
	ft_frame_file_free(t->tap);
	if (t->area != NULL)
		munmap(t->area, t->area_bytes);
	*t = (struct ft_transmit){0};
}

int ft_transmit_wait(const struct ft_transmit *t, int reason, uint64_t *outage_ns,
		     struct ft_error *error)
{
	uint64_t now_ns = ft_clock_monotonic_ns();

	switch (reason) {
	case ENOBUFS: /* the queue, or the other end of a virtual link, is full */
	case EBUSY:
	case EAGAIN:
		sleep_ns(FULL_WAIT_NS);
		return 0;
	case EINTR:
		return 0;
	case ENETDOWN:
		if (*outage_ns == 0)
			*outage_ns = now_ns;
		if (now_ns - *outage_ns < OUTAGE_NS) {
			sleep_ns(LINK_POLL_MS * FT_NS_PER_MS);
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
