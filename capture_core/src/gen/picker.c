/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/picker.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ft/filter.h"
#include "ft/ranges.h"
#include "ft/reader.h"
#include "ft/rewrite.h"

#define LINKTYPE_ETHERNET 1
#define WAIT_MS		  50

struct ft_picker {
	const struct ft_replay_settings *settings;
	bool (*given_up)(void *context);
	void *context;
	struct ft_reader *reader;
	struct ft_filter *filter;
	uint8_t *scratch; /* a frame that is rewritten */
	uint64_t pass;
	uint64_t frame_number; /* in the file, from 1 */
	uint64_t picked;       /* in this pass */
	uint64_t first_ns;     /* stamp of the first one picked that has any; 0: none yet */
	uint64_t last_due_ns;  /* the latest so far */
};

/* Asked before each reading: a FIFO that nobody fills must not outlast whoever waits. */
static bool may_read(void *context, int fd)
{
	struct ft_picker *picker = context;
	struct pollfd waiter = {.fd = fd, .events = POLLIN};

	while (picker->given_up == NULL || !picker->given_up(picker->context)) {
		if (poll(&waiter, 1, WAIT_MS) != 0)
			return true;
	}
	return false;
}

/* Put the option before what reading the file has to say. */
static int blame(int rc, struct ft_error *error)
{
	const struct ft_error said = *error;

	return ft_fail(error, rc, "--replay %s", said.text);
}

static int check_length(const struct ft_picker *picker, const uint8_t *data, uint32_t bytes,
			struct ft_error *error)
{
	const struct ft_replay_limits *limits = &picker->settings->limits;
	bool tagged = bytes >= ETH_HLEN && data[12] == ETH_P_8021Q >> 8 &&
		      data[13] == (ETH_P_8021Q & 0xff);
	uint32_t most = tagged ? limits->max_tagged_bytes : limits->max_bytes;

	if (bytes < ETH_HLEN)
		return ft_fail(
			error, -EINVAL,
			"--replay %s: frame %llu has %u bytes, less than an Ethernet header; "
			"leave it out with -f 'greater %u' or editcap",
			picker->settings->path, (unsigned long long)picker->frame_number, bytes,
			(unsigned)ETH_HLEN);
	if (bytes > most)
		return ft_fail(error, -EINVAL,
			       "--replay %s: frame %llu has %u bytes, port '%s' sends at most %u; "
			       "raise its MTU (ip link set %s mtu %u, and the peer's), leave it "
			       "out with -f 'less %u', or cut it with --rewrite mtu-trunc",
			       picker->settings->path, (unsigned long long)picker->frame_number,
			       bytes, limits->port, most, limits->port, bytes - (unsigned)ETH_HLEN,
			       most);
	return 0;
}

/* Whether a frame is in every range and matches the filter. */
static bool is_wanted(const struct ft_picker *picker, const struct ft_record *record)
{
	const struct ft_replay_settings *settings = picker->settings;
	const struct ft_frame frame = {
		.data = record->data,
		.captured_bytes = record->captured_bytes,
		.length_bytes = record->length_bytes,
	};

	if (settings->packets != NULL && !ft_ranges_hold(settings->packets, picker->frame_number))
		return false;
	if (record->stamp_ns < settings->from_ns || record->stamp_ns >= settings->to_ns)
		return false;
	return picker->filter == NULL || ft_filter_match(picker->filter, &frame);
}

/* A frame without a stamp, or with an earlier one than its predecessor, follows at once. */
static uint64_t due_of(struct ft_picker *picker, uint64_t stamp_ns)
{
	if (picker->first_ns == 0)
		picker->first_ns = stamp_ns;
	if (stamp_ns > picker->first_ns && stamp_ns - picker->first_ns > picker->last_due_ns)
		picker->last_due_ns = stamp_ns - picker->first_ns;
	return picker->last_due_ns;
}

/* 1 with the frame as it is to be sent, 0 where a rule leaves it out. */
static int rewrite(struct ft_picker *picker, const struct ft_record *record,
		   struct ft_replay_frame *frame)
{
	const struct ft_rewrite *rules = picker->settings->rewrite;
	struct ft_rewrite_frame rewritten = {
		.data = picker->scratch,
		.captured_bytes = record->captured_bytes,
		.length_bytes = record->length_bytes,
		.room_bytes = FT_READER_MAX_FRAME_BYTES + FT_REWRITE_GROWTH_BYTES,
	};

	*frame = (struct ft_replay_frame){.data = record->data, .bytes = record->captured_bytes};
	if (rules == NULL || record->captured_bytes < ETH_HLEN)
		return 1;
	memcpy(picker->scratch, record->data, record->captured_bytes);
	if (!ft_rewrite_frame(rules, picker->pass, &rewritten))
		return 0;
	frame->data = picker->scratch;
	frame->bytes = rewritten.captured_bytes;
	return 1;
}

static int take(struct ft_picker *picker, const struct ft_record *record,
		struct ft_replay_frame *frame, struct ft_error *error)
{
	int rc;

	if (record->link_type != LINKTYPE_ETHERNET)
		return ft_fail(error, -EINVAL,
			       "--replay %s: frame %llu has link type %u, not Ethernet; replay a "
			       "capture of an Ethernet port",
			       picker->settings->path, (unsigned long long)picker->frame_number,
			       record->link_type);
	if (!is_wanted(picker, record) || rewrite(picker, record, frame) == 0)
		return 0;
	rc = check_length(picker, frame->data, frame->bytes, error);
	if (rc != 0)
		return rc;
	frame->due_ns = due_of(picker, record->stamp_ns);
	picker->picked++;
	return 1;
}

/* Whether no later frame of the file can be wanted. */
static bool is_past_all(const struct ft_picker *picker)
{
	const struct ft_ranges *packets = picker->settings->packets;

	return packets != NULL && picker->frame_number >= ft_ranges_last(packets);
}

int ft_picker_next(struct ft_picker *picker, struct ft_replay_frame *frame, struct ft_error *error)
{
	struct ft_record record;
	int rc = 0;

	while (rc == 0) {
		if (is_past_all(picker))
			return 0;
		rc = ft_reader_next(picker->reader, &record, error);
		if (rc <= 0)
			return rc < 0 ? blame(rc, error) : 0;
		picker->frame_number++;
		rc = take(picker, &record, frame, error);
	}
	return rc;
}

int ft_picker_open(const struct ft_replay_settings *settings, struct ft_picker **opened,
		   struct ft_error *error)
{
	struct ft_picker *picker = calloc(1, sizeof(*picker));
	struct ft_reader_wait wait = {.may_read = may_read, .context = picker};
	int rc = 0;

	if (picker == NULL)
		return ft_fail(error, -ENOMEM, "--replay %s: out of memory", settings->path);
	picker->settings = settings;
	picker->given_up = settings->given_up;
	picker->context = settings->context;
	if (settings->rewrite != NULL) {
		picker->scratch = malloc(FT_READER_MAX_FRAME_BYTES + FT_REWRITE_GROWTH_BYTES);
		if (picker->scratch == NULL)
			rc = ft_fail(error, -ENOMEM, "--replay %s: out of memory", settings->path);
	}
	if (rc == 0 && settings->filter != NULL)
		rc = ft_filter_compile(settings->filter, LINKTYPE_ETHERNET, &picker->filter, error);
	if (rc == 0) {
		rc = ft_reader_open(settings->path, &wait, &picker->reader, error);
		if (rc != 0)
			blame(rc, error);
	}
	if (rc != 0) {
		ft_picker_free(picker);
		return rc;
	}
	*opened = picker;
	return 0;
}

int ft_picker_rewind(struct ft_picker *picker, struct ft_error *error)
{
	picker->pass++;
	picker->frame_number = picker->picked = 0;
	picker->first_ns = picker->last_due_ns = 0;
	return ft_reader_rewind(picker->reader, error);
}

void ft_picker_watch(struct ft_picker *picker, bool (*given_up)(void *context), void *context)
{
	picker->given_up = given_up;
	picker->context = context;
}

uint64_t ft_picker_period_ns(const struct ft_picker *picker)
{
	uint64_t gap_ns = picker->picked > 1 ? picker->last_due_ns / (picker->picked - 1) : 0;

	return picker->last_due_ns + gap_ns;
}

void ft_picker_free(struct ft_picker *picker)
{
	if (picker == NULL)
		return;
	if (picker->reader != NULL)
		ft_reader_close(picker->reader);
	ft_filter_free(picker->filter);
	free(picker->scratch);
	free(picker);
}
