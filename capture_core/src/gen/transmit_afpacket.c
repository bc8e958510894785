/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `afpacket` of the generator: frames handed to a packet socket in batches. They pass the
 * port's queueing discipline, so that a capture of the same port sees them going out and a full
 * queue makes us wait.
 *
 * A discipline that sorts frames by flow would send a replay in another order than recorded, and
 * may drop some without telling. Such a one is bypassed: the frames then go to one queue of the
 * driver (net/packet/af_packet.c packet_xmit), which says of each frame that it had no room for,
 * and no packet socket sees them.
 *
 * send() runs on the sender's thread, once for up to FT_TRANSMIT_BATCH frames; nearly all of its
 * time is the kernel's (about 2 us a frame on veth). It allocates nothing and sleeps only where the
 * port cannot take more.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gen/transmit.h"
#include "port/qdisc.h"

#define BUSY_WAIT_MS 20

struct afpacket {
	int fd;
	struct mmsghdr messages[FT_TRANSMIT_BATCH];
};

/* mq: one discipline a hardware queue, and flows are spread over these. */
static bool sorts_by_flow(const char *discipline)
{
	static const char *const sorting[] = {"fq_codel", "fq", "fq_pie", "sfq", "cake", "mq"};

	for (unsigned i = 0; i < sizeof(sorting) / sizeof(sorting[0]); i++)
		if (strcmp(discipline, sorting[i]) == 0)
			return true;
	return false;
}

static int choose_path(struct ft_transmit *t, const struct afpacket *a)
{
	char discipline[FT_QDISC_NAME_BYTES] = "";
	int on = 1;

	if (ft_qdisc_read(t->ifindex, discipline) != 0 || !sorts_by_flow(discipline)) {
		snprintf(t->mode, sizeof(t->mode), "sendmmsg");
		return 0;
	}
	if (setsockopt(a->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
		return -errno;
	snprintf(t->mode, sizeof(t->mode), "sendmmsg, past %s", discipline);
	t->unseen = true;
	return 0;
}

static int afpacket_open(struct ft_transmit *t, struct ft_error *error)
{
	/* Protocol 0: the socket receives nothing. */
	const struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = t->ifindex};
	struct afpacket *a = t->state = calloc(1, sizeof(*a));
	int rc;

	if (a == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	a->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return ft_fail(
			error, -errno,
			"-o: port '%s': cannot open a packet socket: %s; run as root or give "
			"the program cap_net_raw and cap_net_admin",
			t->device, strerror(errno));
	for (unsigned i = 0; i < FT_TRANSMIT_BATCH; i++) {
		a->messages[i].msg_hdr.msg_iov = &t->frames[i];
		a->messages[i].msg_hdr.msg_iovlen = 1;
	}
	rc = choose_path(t, a);
	if (rc == 0 && bind(a->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		rc = -errno;
	if (rc != 0)
		return ft_fail(error, rc, "-o: port '%s': %s", t->device, strerror(-rc));
	return ft_transmit_wait_for_link(t, error);
}

/* 0: try again. */
static int wait_for_port(const struct ft_transmit *t, int reason, uint64_t *outage_ns,
			 struct ft_error *error)
{
	const struct afpacket *a = t->state;
	struct pollfd waiter = {.fd = a->fd, .events = POLLOUT};

	if (reason != EAGAIN)
		return ft_transmit_wait(t, reason, outage_ns, error);
	poll(&waiter, 1, BUSY_WAIT_MS); /* the socket's own buffer is full */
	return 0;
}

static int afpacket_send(struct ft_transmit *t, unsigned count, const atomic_bool *stop,
			 struct ft_error *error)
{
	struct afpacket *a = t->state;
	uint64_t outage_ns = 0;
	unsigned sent = 0;

	while (sent < count) {
		int rc = sendmmsg(a->fd, a->messages + sent, count - sent, MSG_DONTWAIT);

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

static void afpacket_close(struct ft_transmit *t)
{
	struct afpacket *a = t->state;

	if (a != NULL && a->fd >= 0)
		close(a->fd);
	free(a);
}

const struct ft_transmit_ops ft_transmit_afpacket = {
	.name = "afpacket",
	.open = afpacket_open,
	.send = afpacket_send,
	.close = afpacket_close,
};
