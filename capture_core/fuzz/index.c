/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: any bytes read as an index. Checksums are put right first, since no fuzzer
 * finds them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scratch.h"
#include "store/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void put_checksums_right(uint8_t *bytes, size_t count)
{
	size_t at = FT_INDEX_MAGIC_BYTES;
	struct ft_index_record record;

	while (at + sizeof(record) <= count) {
		memcpy(&record, bytes + at, sizeof(record));
		if (record.bytes > count - at - sizeof(record))
			return;
		record.crc32c = ft_index_crc(bytes + at + sizeof(record), record.bytes);
		memcpy(bytes + at, &record, sizeof(record));
		at += sizeof(record) + record.bytes;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	const struct ft_index_filters *filters;
	struct ft_index_reader *reader;
	struct ft_index_chunk chunk;
	struct ft_error error;
	uint8_t *copy = malloc(count + 1);
	uint64_t hash = 0x123456789abcdefu;
	char path[64];

	memcpy(copy, bytes, count);
	put_checksums_right(copy, count);
	scratch_put("capture.idx", copy, count, path, sizeof(path));
	free(copy);
	if (ft_index_open(path, &reader, &error) == 0) {
		while (ft_index_next(reader, &chunk, &filters, &error) == 1) {
			for (unsigned i = 0; i < 4; i++, hash = hash * 0x9e3779b97f4a7c15u + 1) {
				ft_index_may_hold_flow(filters, hash);
				ft_index_may_hold_address(filters, hash);
				ft_index_may_hold_port(filters, (uint16_t)hash);
				ft_index_may_hold_vlan(filters, (uint16_t)hash);
			}
		}
		ft_index_close_reader(reader);
	}
	scratch_clear();
	return 0;
}
