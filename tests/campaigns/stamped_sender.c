/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sender of numbered, time-stamped frames for the campaigns. It uses nothing of the project.
 *
 *   stamped_sender PORT [-n COUNT] [-r FRAMES_PER_SECOND] [-s BYTES] [-l LOG] [-p]
 *
 * Without -n it sends until SIGTERM, without -r as fast as it can. A frame is 60 bytes or more
 * (-s, without FCS): Ethernet header, then number, CLOCK_REALTIME before it was handed over, and a
 * word that follows from both, 64 bits each in network order; then zeros. -l keeps a log in shared
 * memory, which outlives whoever reads it: how many frames the kernel had taken at which time, at
 * most once a millisecond. -p says every 100 ms on stdout how many were sent. The last line of
 * stdout is the number of frames that the kernel took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH	     64u
#define MAX_BYTES    9216u
#define LOG_ENTRIES  (1u << 20)
#define NS_PER_S     1000000000ull
#define LOG_NS	     1000000ull
#define PROGRESS_NS  100000000ull
#define PAUSE_NS     200000ull
#define HEADER_BYTES 14u
#define GOLDEN	     0x9e3779b97f4a7c15ull

struct log {
	uint64_t entries; /* written last, so that a reader sees whole entries only */
	struct {
		uint64_t now_ns;
		uint64_t sent;
	} entry[LOG_ENTRIES];
};

struct sender {
	int socket;
	uint32_t frame_bytes;
	uint64_t count;
	uint64_t rate;
	uint64_t sent;
	uint64_t logged_ns;
	uint64_t told_ns;
	bool tells;
	struct log *log;
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	uint8_t frames[BATCH][MAX_BYTES];
};

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void open_socket(struct sender *sender, const char *port)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};

	address.sll_ifindex = (int)if_nametoindex(port);
	if (address.sll_ifindex == 0)
		die(port);
	sender->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sender->socket < 0 ||
	    bind(sender->socket, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("packet socket");
}

static void open_log(struct sender *sender, const char *path)
{
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (file < 0 || ftruncate(file, sizeof(*sender->log)) != 0)
		die(path);
	sender->log = mmap(NULL, sizeof(*sender->log), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (sender->log == MAP_FAILED)
		die(path);
	close(file);
}

static void make_frames(struct sender *sender)
{
	static const uint8_t header[HEADER_BYTES] = {2, 0, 0, 0, 0, 2,	  2,
						     0, 0, 0, 0, 1, 0x88, 0xb5};

	for (size_t i = 0; i < BATCH; i++) {
		memcpy(sender->frames[i], header, sizeof(header));
		sender->parts[i].iov_base = sender->frames[i];
		sender->parts[i].iov_len = sender->frame_bytes;
		sender->messages[i].msg_hdr.msg_iov = &sender->parts[i];
		sender->messages[i].msg_hdr.msg_iovlen = 1;
	}
}

static void number_frames(struct sender *sender, size_t frames)
{
	uint64_t stamp_ns = now_ns(CLOCK_REALTIME);

	for (size_t i = 0; i < frames; i++) {
		uint64_t number = sender->sent + i;
		uint64_t words[3] = {htobe64(number), htobe64(stamp_ns),
				     htobe64(number * GOLDEN ^ stamp_ns)};

		memcpy(sender->frames[i] + HEADER_BYTES, words, sizeof(words));
	}
}

/* A full queue is waited out: what the kernel did not take is sent again. */
static void send_frames(struct sender *sender, size_t frames)
{
	size_t taken = 0;

	number_frames(sender, frames);
	while (taken < frames) {
		int n = sendmmsg(sender->socket, sender->messages + taken,
				 (unsigned int)(frames - taken), 0);

		if (n > 0)
			taken += (size_t)n;
		else if (errno != ENOBUFS && errno != EINTR && errno != EAGAIN)
			die("sendmmsg");
	}
	sender->sent += frames;
}

static void log_progress(struct sender *sender)
{
	uint64_t now = now_ns(CLOCK_REALTIME);
	struct log *log = sender->log;

	if (log != NULL && now - sender->logged_ns >= LOG_NS && log->entries < LOG_ENTRIES) {
		log->entry[log->entries].now_ns = now;
		log->entry[log->entries].sent = sender->sent;
		__atomic_store_n(&log->entries, log->entries + 1, __ATOMIC_RELEASE);
		sender->logged_ns = now;
	}
	if (sender->tells && now - sender->told_ns >= PROGRESS_NS) {
		printf("sent %llu at %llu\n", (unsigned long long)sender->sent,
		       (unsigned long long)now);
		sender->told_ns = now;
	}
}

/* How many frames are due now. */
static size_t due_frames(const struct sender *sender, uint64_t started_ns)
{
	uint64_t due = sender->count;

	if (sender->rate != 0) {
		unsigned __int128 run_ns = now_ns(CLOCK_MONOTONIC) - started_ns;
		uint64_t by_now = (uint64_t)(run_ns * sender->rate / NS_PER_S) + 1;

		due = by_now < due ? by_now : due;
	}
	due -= sender->sent;
	return due < BATCH ? (size_t)due : BATCH;
}

static void send_all(struct sender *sender)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t started_ns = now_ns(CLOCK_MONOTONIC);

	while (!ended && sender->sent < sender->count) {
		size_t due = due_frames(sender, started_ns);

		if (due != 0)
			send_frames(sender, due);
		log_progress(sender);
		if (due < BATCH && sender->rate != 0)
			nanosleep(&pause, NULL);
	}
}

int main(int argc, char **argv)
{
	static struct sender sender = {.frame_bytes = 60, .count = UINT64_MAX};
	int option;

	while ((option = getopt(argc, argv, "n:r:s:l:p")) != -1) {
		if (option == 'n')
			sender.count = strtoull(optarg, NULL, 10);
		else if (option == 'r')
			sender.rate = strtoull(optarg, NULL, 10);
		else if (option == 's')
			sender.frame_bytes = (uint32_t)strtoul(optarg, NULL, 10);
		else if (option == 'l')
			open_log(&sender, optarg);
		else if (option == 'p')
			sender.tells = true;
		else
			return 2;
	}
	if (optind + 1 != argc || sender.frame_bytes < 60 || sender.frame_bytes > MAX_BYTES)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, end);
	signal(SIGINT, end);
	open_socket(&sender, argv[optind]);
	make_frames(&sender);
	puts("sending");
	send_all(&sender);
	printf("%llu\n", (unsigned long long)sender.sent);
	return 0;
}
