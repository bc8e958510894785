/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: any bytes as a damaged capture, mended twice. The first time must leave a file
 * that the second time finds whole, and that reads to its end; no byte may get lost.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ft/reader.h"
#include "ft/repair.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void read_to_the_end(const char *path)
{
	struct ft_reader *reader;
	struct ft_record record;
	struct ft_error error;
	int rc;

	if (ft_reader_open(path, NULL, &reader, &error) != 0)
		abort();
	while ((rc = ft_reader_next(reader, &record, &error)) == 1)
		;
	if (rc != 0)
		abort();
	ft_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct ft_repair first, second;
	struct ft_error error;
	char path[64];
	bool unsure;

	if (count == 0)
		return 0;
	unsure = bytes[0] & 1;
	scratch_put(unsure ? "capture.partial" : "capture", bytes + 1, count - 1, path,
		    sizeof(path));
	if (ft_repair_file(path, &first, &error) == 0 && first.path[0] != '\0') {
		if (first.size_bytes + first.cut_bytes != count - 1)
			abort();
		if (ft_repair_file(first.path, &second, &error) != 0 || second.changed ||
		    second.torn[0] != '\0')
			abort();
		read_to_the_end(first.path);
	}
	scratch_clear();
	return 0;
}
