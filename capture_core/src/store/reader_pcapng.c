/* SPDX-License-Identifier: Apache-2.0 */
/* pcapng: draft-ietf-opsawg-pcapng; its section numbers are quoted below. */
#include <errno.h>
#include <stdlib.h>

#include "ft/clock.h"
#include "store/reader.h"

#define BLOCK_SECTION	 0x0a0d0d0au /* 4.1 */
#define BLOCK_INTERFACE	 1u	     /* 4.2 */
#define BLOCK_PACKET	 2u	     /* appendix A, obsolete */
#define BLOCK_SIMPLE	 3u	     /* 4.4 */
#define BLOCK_ENHANCED	 6u	     /* 4.3 */
#define BYTE_ORDER_MAGIC 0x1a2b3c4du

#define BLOCK_HEADER_BYTES   8u
#define BLOCK_OVERHEAD_BYTES 12u /* type, length, length again */
#define SECTION_BODY_BYTES   16u
#define INTERFACE_BODY_BYTES 8u
#define SIMPLE_BODY_BYTES    4u
#define PACKET_BODY_BYTES    20u

#define OPTION_END	       0u
#define OPTION_PACKET_FLAGS    2u
#define OPTION_IF_TSRESOL      9u
#define OPTION_IF_TSOFFSET     14u
#define OPTION_HEADER_BYTES    4u
#define MAX_SECTION_INTERFACES 65536u

/* A block that is kept whole: the longest frame and as much again for options. */
#define MAX_BLOCK_BYTES (2u * FT_READER_MAX_FRAME_BYTES)

struct block {
	uint32_t type;
	uint32_t length; /* as written; trailer and padding included */
	const uint8_t *body;
	uint32_t body_bytes;
};

struct option {
	uint16_t code;
	uint16_t bytes;
	const uint8_t *value;
};

static uint32_t padded(uint32_t bytes)
{
	return (bytes + 3u) & ~3u;
}

/* Take the option at *at; false at the end of options, or where they run out of their block. */
static bool next_option(const struct ft_reader *reader, const uint8_t **at, const uint8_t *end,
			struct option *option)
{
	size_t left = (size_t)(end - *at);

	if (left < OPTION_HEADER_BYTES)
		return false;
	option->code = ft_reader_u16(reader, *at);
	option->bytes = ft_reader_u16(reader, *at + 2);
	option->value = *at + OPTION_HEADER_BYTES;
	left -= OPTION_HEADER_BYTES;
	if (option->code == OPTION_END || option->bytes > left)
		return false;
	*at = padded(option->bytes) > left ? end : option->value + padded(option->bytes);
	return true;
}

/* The ticks a second that an if_tsresol asks for, or 0 where 64 bits cannot hold them. */
static uint64_t ticks_per_second(uint8_t resolution)
{
	unsigned exponent = resolution & 0x7fu;
	uint64_t ticks = 1;

	if (resolution & 0x80u)
		return exponent < 64 ? 1ull << exponent : 0;
	if (exponent > 19)
		return 0;
	while (exponent-- > 0)
		ticks *= 10;
	return ticks;
}

/* Ticks to UTC; what lies outside 64 bits of nanoseconds since 1970 becomes the nearest end. */
static uint64_t stamp_to_ns(const struct ft_reader_interface *interface, uint64_t ticks)
{
	uint64_t per_second = interface->ticks_per_second;
	__int128 ns = ((__int128)(ticks / per_second) + interface->offset_seconds) *
		      (__int128)FT_NS_PER_SECOND;

	ns += (__int128)(ticks % per_second) * (__int128)FT_NS_PER_SECOND / per_second;
	if (ns < 0)
		return 0;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

static int take_section(struct ft_reader *reader, const struct block *block, struct ft_error *error)
{
	uint16_t major;

	if (block->body_bytes < SECTION_BODY_BYTES)
		return ft_reader_damaged(reader, error, "a section header of %u bytes",
					 block->length);
	major = ft_reader_u16(reader, block->body + 4);
	if (major != 1)
		return ft_reader_damaged(reader, error, "pcapng version %u is not known", major);
	reader->first_interface += reader->interface_count;
	reader->interface_count = 0;
	return 0;
}

static int take_interface(struct ft_reader *reader, const struct block *block,
			  struct ft_error *error)
{
	const uint8_t *at = block->body + INTERFACE_BODY_BYTES;
	const uint8_t *end = block->body + block->body_bytes;
	struct ft_reader_interface interface = {.ticks_per_second = 1000000};
	struct ft_reader_interface *grown;
	struct option option;

	if (block->body_bytes < INTERFACE_BODY_BYTES)
		return ft_reader_damaged(reader, error, "an interface block of %u bytes",
					 block->length);
	if (reader->interface_count == MAX_SECTION_INTERFACES)
		return ft_reader_damaged(reader, error, "more than %u interfaces in a section",
					 MAX_SECTION_INTERFACES);
	interface.link_type = ft_reader_u16(reader, block->body);
	interface.snap_bytes = ft_reader_u32(reader, block->body + 4);
	while (next_option(reader, &at, end, &option)) {
		if (option.code == OPTION_IF_TSRESOL && option.bytes == 1)
			interface.ticks_per_second = ticks_per_second(option.value[0]);
		if (option.code == OPTION_IF_TSOFFSET && option.bytes == 8)
			interface.offset_seconds = (int64_t)ft_reader_u64(reader, option.value);
	}
	if (interface.ticks_per_second == 0)
		return ft_reader_damaged(reader, error,
					 "the interface's time resolution is out of range");
	grown = reallocarray(reader->interfaces, reader->interface_count + 1, sizeof(interface));
	if (!grown)
		return ft_fail(error, -ENOMEM, "%s: no memory for its interfaces",
			       ft_input_path(reader->input));
	grown[reader->interface_count++] = interface;
	reader->interfaces = grown;
	return 0;
}

static const struct ft_reader_interface *find_interface(struct ft_reader *reader, uint32_t id,
							struct ft_error *error)
{
	if (id < reader->interface_count)
		return &reader->interfaces[id];
	ft_reader_damaged(reader, error, "a packet of interface %u, the section describes %u", id,
			  reader->interface_count);
	return NULL;
}

static uint32_t find_packet_flags(const struct ft_reader *reader, const uint8_t *at,
				  const uint8_t *end)
{
	struct option option;

	while (next_option(reader, &at, end, &option)) {
		if (option.code == OPTION_PACKET_FLAGS && option.bytes == 4)
			return ft_reader_u32(reader, option.value);
	}
	return 0;
}

/* Enhanced and obsolete packet blocks differ only in their first word. */
static int take_packet(struct ft_reader *reader, const struct block *block,
		       struct ft_record *record, struct ft_error *error)
{
	const uint8_t *body = block->body;
	const uint8_t *data = body + PACKET_BODY_BYTES;
	const struct ft_reader_interface *interface;
	uint32_t id, captured, room;
	uint64_t ticks;

	if (block->body_bytes < PACKET_BODY_BYTES)
		return ft_reader_damaged(reader, error, "a packet block of %u bytes",
					 block->length);
	id = block->type == BLOCK_PACKET ? ft_reader_u16(reader, body)
					 : ft_reader_u32(reader, body);
	interface = find_interface(reader, id, error);
	if (!interface)
		return -EBADMSG;
	ticks = (uint64_t)ft_reader_u32(reader, body + 4) << 32 | ft_reader_u32(reader, body + 8);
	captured = ft_reader_u32(reader, body + 12);
	room = block->body_bytes - PACKET_BODY_BYTES;
	if (captured > room || captured > FT_READER_MAX_FRAME_BYTES)
		return ft_reader_damaged(reader, error, "a packet of %u bytes in a block of %u",
					 captured, block->length);
	*record = (struct ft_record){
		.data = data,
		.stamp_ns = stamp_to_ns(interface, ticks),
		.captured_bytes = captured,
		.length_bytes = ft_reader_u32(reader, body + 16),
		.link_type = interface->link_type,
		.interface = reader->first_interface + id,
	};
	if (padded(captured) < room)
		record->epb_flags = find_packet_flags(reader, data + padded(captured), data + room);
	return 0;
}

static int take_simple_packet(struct ft_reader *reader, const struct block *block,
			      struct ft_record *record, struct ft_error *error)
{
	const struct ft_reader_interface *interface = find_interface(reader, 0, error);
	uint32_t captured, length, room;

	if (!interface)
		return -EBADMSG;
	if (block->body_bytes < SIMPLE_BODY_BYTES)
		return ft_reader_damaged(reader, error, "a simple packet block of %u bytes",
					 block->length);
	length = ft_reader_u32(reader, block->body);
	captured = length;
	if (interface->snap_bytes > 0 && captured > interface->snap_bytes)
		captured = interface->snap_bytes;
	room = block->body_bytes - SIMPLE_BODY_BYTES;
	if (captured > room || captured > FT_READER_MAX_FRAME_BYTES)
		return ft_reader_damaged(reader, error, "a packet of %u bytes in a block of %u",
					 captured, block->length);
	*record = (struct ft_record){
		.data = block->body + SIMPLE_BODY_BYTES,
		.captured_bytes = captured,
		.length_bytes = length,
		.link_type = interface->link_type,
		.interface = reader->first_interface,
	};
	return 0;
}

/* A section header tells the byte order in which its own length is written. */
static int set_byte_order(struct ft_reader *reader, struct ft_error *error)
{
	uint32_t magic;
	int code = ft_reader_require(reader, BLOCK_HEADER_BYTES + sizeof(magic), error);

	if (code < 0)
		return code;
	memcpy(&magic, ft_input_data(reader->input) + BLOCK_HEADER_BYTES, sizeof(magic));
	if (magic != BYTE_ORDER_MAGIC && magic != __builtin_bswap32(BYTE_ORDER_MAGIC))
		return ft_reader_damaged(reader, error, "a section without a byte order");
	reader->swapped = magic != BYTE_ORDER_MAGIC;
	return 0;
}

/* 1 with the header of the next block, 0 at the end of the file. */
static int read_block_header(struct ft_reader *reader, struct block *block, struct ft_error *error)
{
	int code = ft_input_need(reader->input, 1, error);

	if (code < 0)
		return code;
	reader->whole_bytes = ft_input_offset(reader->input);
	if (code == 0)
		return 0;
	code = ft_reader_require(reader, BLOCK_HEADER_BYTES, error);
	if (code < 0)
		return code;
	block->type = ft_reader_u32(reader, ft_input_data(reader->input));
	if (block->type == BLOCK_SECTION) {
		code = set_byte_order(reader, error);
		if (code < 0)
			return code;
	}
	block->length = ft_reader_u32(reader, ft_input_data(reader->input) + 4);
	if (block->length < BLOCK_OVERHEAD_BYTES || block->length > UINT32_MAX - 3)
		return ft_reader_damaged(reader, error, "a block of %u bytes", block->length);
	return 1;
}

static bool is_kept(uint32_t type)
{
	return type == BLOCK_SECTION || type == BLOCK_INTERFACE || type == BLOCK_PACKET ||
	       type == BLOCK_SIMPLE || type == BLOCK_ENHANCED;
}

static int check_trailer(struct ft_reader *reader, const struct block *block, const uint8_t *at,
			 struct ft_error *error)
{
	uint32_t again = ft_reader_u32(reader, at);

	if (again != block->length)
		return ft_reader_damaged(reader, error, "a block of %u bytes that ends with %u",
					 block->length, again);
	return 0;
}

/* Get a block into the buffer whole. Some writers leave the padding out of the length. */
static int read_block(struct ft_reader *reader, struct block *block, struct ft_error *error)
{
	int code;

	if (block->length > MAX_BLOCK_BYTES)
		return ft_reader_damaged(reader, error, "a block of %u bytes, at most %u are read",
					 block->length, MAX_BLOCK_BYTES);
	code = ft_reader_require(reader, padded(block->length), error);
	if (code < 0)
		return code;
	block->body = ft_input_data(reader->input) + BLOCK_HEADER_BYTES;
	block->body_bytes = padded(block->length) - BLOCK_OVERHEAD_BYTES;
	return check_trailer(reader, block, block->body + block->body_bytes, error);
}

/* 1: `record` is a packet; 0: the block was something else. */
static int take_block(struct ft_reader *reader, const struct block *block, struct ft_record *record,
		      struct ft_error *error)
{
	int code;

	switch (block->type) {
	case BLOCK_SECTION:
		return take_section(reader, block, error);
	case BLOCK_INTERFACE:
		return take_interface(reader, block, error);
	case BLOCK_SIMPLE:
		code = take_simple_packet(reader, block, record, error);
		break;
	default:
		code = take_packet(reader, block, record, error);
		break;
	}
	return code < 0 ? code : 1;
}

static int next_packet(struct ft_reader *reader, struct ft_record *record, struct ft_error *error)
{
	struct block block = {0};
	int code;

	for (;;) {
		code = read_block_header(reader, &block, error);
		if (code <= 0)
			return code;
		if (!is_kept(block.type)) { /* of any size */
			ft_input_skip(reader->input, padded(block.length));
			continue;
		}
		code = read_block(reader, &block, error);
		if (code < 0)
			return code;
		code = take_block(reader, &block, record, error);
		if (code < 0)
			return code;
		if (code == 1) {
			reader->last_bytes = padded(block.length);
			return 1;
		}
		ft_input_take(reader->input, padded(block.length));
	}
}

int ft_reader_begin_pcapng(struct ft_reader *reader, struct ft_error *error)
{
	struct block block = {0};
	int code = read_block_header(reader, &block, error);

	if (code < 0)
		return code;
	code = read_block(reader, &block, error);
	if (code < 0)
		return code;
	code = take_section(reader, &block, error);
	if (code < 0)
		return code;
	ft_input_take(reader->input, padded(block.length));
	reader->whole_bytes = ft_input_offset(reader->input);
	reader->next = next_packet;
	return 0;
}
