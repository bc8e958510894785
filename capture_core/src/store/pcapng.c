/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/pcapng.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include <isa-l/crc.h>

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_SECTION = 0x0A0D0D0A,
};

enum option_code {
	OPT_END = 0,
	OPT_COMMENT = 1,
	SHB_HARDWARE = 2,
	SHB_OS = 3,
	SHB_APPLICATION = 4,
	IF_NAME = 2,
	IF_DESCRIPTION = 3,
	IF_SPEED = 8,
	IF_TSRESOL = 9,
	IF_FILTER = 11,
	ISB_STARTTIME = 2,
	ISB_ENDTIME = 3,
	ISB_IFRECV = 4,
	ISB_IFDROP = 5,
	ISB_FILTERACCEPT = 6,
	ISB_OSDROP = 7,
	ISB_USRDELIV = 8,
	/* Local use: the top bit is set. */
	LOCAL_CLOCK = 0x8001,
	LOCAL_DROPS = 0x8002,
	LOCAL_MARK = 0x8003,
	LOCAL_FILLER = 0x8004,
};

#define BYTE_ORDER_MAGIC 0x1A2B3C4Du
#define NANOSECONDS	 9u

/* A chunk ends with: the mark, the end of options, the block's length; before it, its header. */
#define MARK_FROM_END_BYTES (FT_CHUNK_MARK_BYTES + 4u + 4u)

/* CRC32C from a chunk's first byte up to its mark's own field. */
static uint32_t crc_of(const uint8_t *chunk, size_t bytes)
{
	size_t covered = bytes - MARK_FROM_END_BYTES + offsetof(struct ft_chunk_mark, crc32c);

	return crc32_iscsi((unsigned char *)chunk, (int)covered, 0xffffffffu) ^ 0xffffffffu;
}

/* A block under construction; `used` grows past `room` when it does not fit. */
struct block {
	uint8_t *out;
	size_t room;
	size_t used;
};

static void put_unpadded(struct block *block, const void *bytes, size_t count)
{
	if (block->used + count <= block->room)
		memcpy(block->out + block->used, bytes, count);
	block->used += count;
}

static void pad(struct block *block)
{
	put_unpadded(block, "\0\0\0", -block->used & 3u);
}

static void put(struct block *block, const void *bytes, size_t count)
{
	put_unpadded(block, bytes, count);
	pad(block);
}

static void put_u32(struct block *block, uint32_t value)
{
	put(block, &value, sizeof(value));
}

static void put_option(struct block *block, uint16_t code, const void *bytes, size_t count)
{
	const uint16_t header[2] = {code, (uint16_t)count};

	put(block, header, sizeof(header));
	put(block, bytes, count);
}

static void put_text(struct block *block, uint16_t code, const char *text)
{
	if (text[0] != '\0')
		put_option(block, code, text, strlen(text));
}

static void put_u64_option(struct block *block, uint16_t code, uint64_t value)
{
	put_option(block, code, &value, sizeof(value));
}

/* The value begins with its kind; 0: a libpcap filter string follows. */
static void put_filter(struct block *block, const char *filter)
{
	const uint16_t header[2] = {IF_FILTER, (uint16_t)(1 + strlen(filter))};

	put(block, header, sizeof(header));
	put_unpadded(block, "", 1);
	put(block, filter, strlen(filter));
}

/* Times in options are two words, high first, as in packet blocks. */
static void put_time_option(struct block *block, uint16_t code, uint64_t ns)
{
	const uint32_t words[2] = {(uint32_t)(ns >> 32), (uint32_t)ns};

	put_option(block, code, words, sizeof(words));
}

static struct block begin(uint8_t *out, size_t room, uint32_t type)
{
	struct block block = {.out = out, .room = room};

	put_u32(&block, type);
	put_u32(&block, 0); /* the length, known at the end */
	return block;
}

static size_t end(struct block *block)
{
	uint32_t total;

	put_option(block, OPT_END, "", 0);
	total = (uint32_t)block->used + 4;
	put_u32(block, total);
	if (block->used > block->room)
		return 0;
	memcpy(block->out + 4, &total, sizeof(total));
	return block->used;
}

size_t ft_pcapng_write_section(uint8_t *out, size_t room, const char *application)
{
	struct block block = begin(out, room, BLOCK_SECTION);
	const uint16_t version[2] = {1, 0};
	const int64_t length_unknown = -1;
	struct utsname machine;
	char os[200];

	put_u32(&block, BYTE_ORDER_MAGIC);
	put(&block, version, sizeof(version));
	put(&block, &length_unknown, sizeof(length_unknown));
	if (uname(&machine) == 0) {
		put_text(&block, SHB_HARDWARE, machine.machine);
		snprintf(os, sizeof(os), "%s %s", machine.sysname, machine.release);
		put_text(&block, SHB_OS, os);
	}
	put_text(&block, SHB_APPLICATION, application);
	return end(&block);
}

size_t ft_pcapng_write_interface(uint8_t *out, size_t room,
				 const struct ft_port_interface *interface, uint32_t snap_bytes,
				 const char *filter)
{
	struct block block = begin(out, room, BLOCK_INTERFACE);
	const uint16_t link[2] = {interface->link_type, 0};
	const uint8_t resolution = NANOSECONDS;
	char text[256];

	put(&block, link, sizeof(link));
	put_u32(&block, snap_bytes);
	snprintf(text, sizeof(text), "timestamps: %s clock, UTC, nanoseconds%s%s",
		 interface->timestamps, interface->clock[0] != '\0' ? "; " : "", interface->clock);
	put_text(&block, OPT_COMMENT, text);
	put_text(&block, IF_NAME, interface->name);
	put_text(&block, IF_DESCRIPTION, interface->description);
	if (interface->speed_bps != 0)
		put_u64_option(&block, IF_SPEED, interface->speed_bps);
	put_option(&block, IF_TSRESOL, &resolution, 1);
	if (filter != NULL)
		put_filter(&block, filter);
	snprintf(text, sizeof(text), "%s%s%s", interface->timestamps,
		 interface->clock[0] != '\0' ? "; " : "", interface->clock);
	put_text(&block, LOCAL_CLOCK, text);
	return end(&block);
}

static struct block begin_statistics(uint8_t *out, size_t room,
				     const struct ft_pcapng_statistics *statistics)
{
	struct block block = begin(out, room, BLOCK_STATISTICS);
	const uint64_t drops[3] = {statistics->ring_drops, statistics->disk_drops,
				   statistics->excess};

	put_u32(&block, statistics->interface);
	put_u32(&block, (uint32_t)(statistics->now_ns >> 32));
	put_u32(&block, (uint32_t)statistics->now_ns);
	put_time_option(&block, ISB_STARTTIME, statistics->started_ns);
	put_time_option(&block, ISB_ENDTIME, statistics->now_ns);
	put_u64_option(&block, ISB_USRDELIV, statistics->delivered);
	if (statistics->counts_port) {
		put_u64_option(&block, ISB_IFRECV, statistics->received);
		put_u64_option(&block, ISB_IFDROP, statistics->missed);
		put_u64_option(&block, ISB_FILTERACCEPT, statistics->accepted);
		put_u64_option(&block, ISB_OSDROP, statistics->os_drops);
		put_option(&block, LOCAL_DROPS, drops, sizeof(drops));
	}
	return block;
}

size_t ft_pcapng_write_statistics(uint8_t *out, size_t room,
				  const struct ft_pcapng_statistics *statistics)
{
	struct block block = begin_statistics(out, room, statistics);

	return end(&block);
}

/* An option of exactly `bytes` bytes, header included: a multiple of 4. */
static void put_filler(struct block *block, size_t bytes)
{
	const uint16_t header[2] = {LOCAL_FILLER, (uint16_t)(bytes - sizeof(header))};

	put(block, header, sizeof(header));
	if (block->used + header[1] <= block->room)
		memset(block->out + block->used, 0, header[1]);
	block->used += header[1];
}

size_t ft_pcapng_write_chunk_end(uint8_t *out, size_t room,
				 const struct ft_pcapng_statistics *statistics, size_t before_bytes,
				 size_t alignment, const struct ft_chunk_mark *mark)
{
	struct block block = begin_statistics(out, room, statistics);
	struct ft_chunk_mark whole = *mark;
	size_t least = before_bytes + block.used + FT_CHUNK_END_BYTES;
	size_t filler = -least & (alignment - 1);

	if (filler > 0)
		put_filler(&block, filler);
	whole.bytes = (uint32_t)(least + filler);
	whole.crc32c = 0;
	put_option(&block, LOCAL_MARK, &whole, sizeof(whole));
	return end(&block);
}

void ft_pcapng_seal_chunk(uint8_t *chunk, size_t bytes, const struct ft_chunk_mark *mark)
{
	uint8_t *at = chunk + bytes - MARK_FROM_END_BYTES;
	struct ft_chunk_mark whole;

	memcpy(&whole, at, sizeof(whole));
	whole.sequence = mark->sequence;
	memcpy(whole.session, mark->session, sizeof(whole.session));
	whole.synced_ns = mark->synced_ns;
	memcpy(at, &whole, sizeof(whole));
	whole.crc32c = crc_of(chunk, bytes);
	memcpy(at, &whole, sizeof(whole));
}

bool ft_pcapng_read_mark(const uint8_t *end, struct ft_chunk_mark *mark)
{
	const uint16_t wanted[2] = {LOCAL_MARK, FT_CHUNK_MARK_BYTES};

	if (memcmp(end, wanted, sizeof(wanted)) != 0)
		return false;
	memcpy(mark, end + sizeof(wanted), sizeof(*mark));
	return true;
}

bool ft_pcapng_read_chunk_mark(const uint8_t *chunk, size_t bytes, struct ft_chunk_mark *mark,
			       bool *intact)
{
	if (bytes < FT_CHUNK_END_BYTES + 24 ||
	    !ft_pcapng_read_mark(chunk + bytes - FT_CHUNK_END_BYTES, mark))
		return false;
	*intact = mark->bytes == bytes && mark->crc32c == crc_of(chunk, bytes);
	return true;
}
