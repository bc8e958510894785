/* SPDX-License-Identifier: Apache-2.0 */
/* Run by the hot thread for every frame, where it was asked for. Frames are untrusted. */
#include "port/arista.h"

#include "ft/clock.h"

#define ADDRESSES_BYTES	 12u
#define TAG_BYTES	 4u
#define ETHERTYPE_VLAN	 0x8100u
#define ETHERTYPE_QINQ	 0x88a8u
#define ETHERTYPE_QINQ_9 0x9100u
#define ETHERTYPE_ARISTA 0xd28bu
#define SUBTYPE_STAMP	 1u

/* Since 2017 (IERS Bulletin C); the header is younger. */
#define TAI_MINUS_UTC_S 37u

enum scale {
	SCALE_TAI = 0,
	SCALE_UTC = 1,
};

enum format {
	FORMAT_64 = 1,
	FORMAT_48 = 2,
};

static uint32_t read_u16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t read_u32(const uint8_t *at)
{
	return read_u16(at) << 16 | read_u16(at + 2);
}

/* The header's place, NULL when there is none; `left` is what was captured from there on. */
static const uint8_t *find_header(const struct ft_frame *frame, uint32_t *left)
{
	uint32_t offset = ADDRESSES_BYTES;

	for (; offset + 2 <= frame->captured_bytes; offset += TAG_BYTES) {
		uint32_t type = read_u16(frame->data + offset);

		*left = frame->captured_bytes - offset;
		if (type == ETHERTYPE_ARISTA)
			return frame->data + offset;
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ && type != ETHERTYPE_QINQ_9)
			return NULL;
	}
	return NULL;
}

/* Of all times with these lower 16 bits the one nearest to `about`. */
static uint64_t complete_seconds(uint64_t low, uint64_t about)
{
	uint64_t seconds = (about & ~(uint64_t)0xffff) | low;

	if (seconds > about + 0x8000 && seconds >= 0x10000)
		return seconds - 0x10000;
	if (seconds + 0x8000 < about)
		return seconds + 0x10000;
	return seconds;
}

/* The stamp as UTC; false when the header is cut short or says what no switch says. */
static bool read_stamp(const uint8_t *header, uint32_t left, uint64_t received_ns,
		       uint64_t *stamp_ns)
{
	uint64_t ahead_s, about_s = received_ns / FT_NS_PER_SECOND, seconds, nanoseconds;
	uint32_t version, time_at = 6;

	if (left < 6 || read_u16(header + 2) != SUBTYPE_STAMP)
		return false;
	version = read_u16(header + 4);
	if (version >> 8 != SCALE_TAI && version >> 8 != SCALE_UTC)
		return false;
	ahead_s = version >> 8 == SCALE_TAI ? TAI_MINUS_UTC_S : 0;
	if ((version >> 4 & 15) == FORMAT_64 && left >= time_at + 8) {
		seconds = read_u32(header + time_at);
		nanoseconds = read_u32(header + time_at + 4);
	} else if ((version >> 4 & 15) == FORMAT_48 && left >= time_at + 6) {
		seconds = complete_seconds(read_u16(header + time_at), about_s + ahead_s);
		nanoseconds = read_u32(header + time_at + 2);
	} else {
		return false;
	}
	if (nanoseconds >= FT_NS_PER_SECOND || seconds < ahead_s)
		return false;
	*stamp_ns = (seconds - ahead_s) * FT_NS_PER_SECOND + nanoseconds;
	return true;
}

void ft_arista_stamp(struct ft_frame *frame)
{
	uint32_t left;
	const uint8_t *header = find_header(frame, &left);

	frame->unstamped =
		header == NULL || !read_stamp(header, left, frame->stamp_ns, &frame->stamp_ns);
}
