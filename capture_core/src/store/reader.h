/* SPDX-License-Identifier: Apache-2.0 */
/* What reader.c and the two formats share. */
#ifndef FT_STORE_READER_H
#define FT_STORE_READER_H

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "ft/reader.h"
#include "store/input.h"

/* An interface block of the current section. */
struct ft_reader_interface {
	uint64_t ticks_per_second;
	int64_t offset_seconds;
	uint32_t snap_bytes;
	uint16_t link_type;
};

struct ft_reader {
	struct ft_input *input;
	int (*next)(struct ft_reader *reader, struct ft_record *record, struct ft_error *error);
	uint64_t last_bytes;  /* of the record handed out last: gone past by the next call */
	uint64_t whole_bytes; /* before the record handed out last, all of it whole */
	bool swapped;	      /* the file's byte order is not ours */

	/* pcap */
	uint32_t record_header_bytes;
	uint32_t fraction_ns; /* a timestamp's fraction counts these */
	uint16_t link_type;
	uint16_t minor_version;

	/* pcapng: the current section's interfaces */
	struct ft_reader_interface *interfaces;
	uint32_t interface_count;
	uint32_t first_interface; /* interfaces of all sections before */
};

/* Read the file header, whose magic has been seen, and set reader->next. */
int ft_reader_begin_pcap(struct ft_reader *reader, struct ft_error *error);
int ft_reader_begin_pcapng(struct ft_reader *reader, struct ft_error *error);

/* -EBADMSG with the file, the offset and what is wrong there. */
int ft_reader_damaged(const struct ft_reader *reader, struct ft_error *error, const char *format,
		      ...) __attribute__((format(printf, 3, 4)));

/* ft_input_need for bytes that must be there: 0, or -EBADMSG where the file is cut short. */
int ft_reader_require(struct ft_reader *reader, size_t bytes, struct ft_error *error);

static inline uint16_t ft_reader_u16(const struct ft_reader *reader, const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return reader->swapped ? __builtin_bswap16(value) : value;
}

static inline uint32_t ft_reader_u32(const struct ft_reader *reader, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return reader->swapped ? __builtin_bswap32(value) : value;
}

static inline uint64_t ft_reader_u64(const struct ft_reader *reader, const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return reader->swapped ? __builtin_bswap64(value) : value;
}

#endif
