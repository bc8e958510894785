/* SPDX-License-Identifier: Apache-2.0 */
/* pcap: draft-ietf-opsawg-pcap, and the older variants that libpcap reads. */
#include <errno.h>

#include "ft/clock.h"
#include "store/reader.h"

#define FILE_HEADER_BYTES   24u
#define RECORD_HEADER_BYTES 16u

static const struct variant {
	uint32_t magic;
	uint32_t record_header_bytes;
	uint32_t fraction_ns;
} variants[] = {
	{0xa1b2c3d4, RECORD_HEADER_BYTES, 1000},
	{0xa1b23c4d, RECORD_HEADER_BYTES, 1},
	/* Alexey Kuznetzov's patch: eight bytes more a record (libpcap sf-pcap.c, "modified"). */
	{0xa1b2cd34, RECORD_HEADER_BYTES + 8, 1000},
	/* Navtel: only the magic differs (libpcap sf-pcap.c). */
	{0xa12b3c4d, RECORD_HEADER_BYTES, 1000},
};

static const struct variant *find_variant(uint32_t magic)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		if (variants[i].magic == magic)
			return &variants[i];
	}
	return NULL;
}

/* Files up to version 2.3 have the two lengths the other way round, or some of their writers did
 * (libpcap sf-pcap.c, lengths_swapped). */
static bool lengths_swapped(const struct ft_reader *reader, uint32_t captured, uint32_t length)
{
	return reader->minor_version < 3 || (reader->minor_version == 3 && captured > length);
}

static int next_record(struct ft_reader *reader, struct ft_record *record, struct ft_error *error)
{
	uint32_t header_bytes = reader->record_header_bytes;
	uint32_t captured, length;
	const uint8_t *header;
	int code = ft_input_need(reader->input, 1, error);

	if (code < 0)
		return code;
	reader->whole_bytes = ft_input_offset(reader->input);
	if (code == 0)
		return 0;
	code = ft_reader_require(reader, header_bytes, error);
	if (code < 0)
		return code;
	header = ft_input_data(reader->input);
	captured = ft_reader_u32(reader, header + 8);
	length = ft_reader_u32(reader, header + 12);
	if (lengths_swapped(reader, captured, length)) {
		uint32_t swap = captured;

		captured = length;
		length = swap;
	}
	if (captured > FT_READER_MAX_FRAME_BYTES)
		return ft_reader_damaged(reader, error, "a packet of %u bytes, at most %u are read",
					 captured, FT_READER_MAX_FRAME_BYTES);
	code = ft_reader_require(reader, header_bytes + captured, error);
	if (code < 0)
		return code;
	header = ft_input_data(reader->input);
	*record = (struct ft_record){
		.data = header + header_bytes,
		.stamp_ns = ft_reader_u32(reader, header) * FT_NS_PER_SECOND +
			    (uint64_t)ft_reader_u32(reader, header + 4) * reader->fraction_ns,
		.captured_bytes = captured,
		.length_bytes = length,
		.link_type = reader->link_type,
	};
	reader->last_bytes = header_bytes + captured;
	return 1;
}

int ft_reader_begin_pcap(struct ft_reader *reader, struct ft_error *error)
{
	const uint8_t *header = ft_input_data(reader->input);
	uint32_t magic = ft_reader_u32(reader, header);
	const struct variant *variant = find_variant(magic);
	uint32_t link_type;
	uint16_t major;
	int code;

	if (!variant) {
		variant = find_variant(__builtin_bswap32(magic));
		reader->swapped = true;
	}
	if (!variant)
		return ft_fail(error, -EBADMSG,
			       "%s: not a capture: neither pcap nor pcapng (it begins with 0x%08x)",
			       ft_input_path(reader->input), be32toh(magic));
	code = ft_reader_require(reader, FILE_HEADER_BYTES, error);
	if (code < 0)
		return code;
	header = ft_input_data(reader->input);
	major = ft_reader_u16(reader, header + 4);
	if (major != 2)
		return ft_reader_damaged(reader, error, "pcap version %u is not known", major);
	/* The upper six bits tell of an FCS (draft-ietf-opsawg-pcap 4). */
	link_type = ft_reader_u32(reader, header + 20) & 0x03ffffffu;
	if (link_type > UINT16_MAX)
		return ft_reader_damaged(reader, error, "link type %u is not known", link_type);
	reader->link_type = (uint16_t)link_type;
	reader->minor_version = ft_reader_u16(reader, header + 6);
	reader->record_header_bytes = variant->record_header_bytes;
	reader->fraction_ns = variant->fraction_ns;
	reader->next = next_record;
	ft_input_take(reader->input, FILE_HEADER_BYTES);
	reader->whole_bytes = FILE_HEADER_BYTES;
	return 0;
}
