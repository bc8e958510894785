/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: any bytes as a capture and its index, from which everything, a flow or what
 * passes a filter is extracted. The first byte says which, the next two how long the index is.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ft/extract.h"
#include "scratch.h"
#include "store/extract_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	char capture[64], index[64], output[64];
	char *names[] = {capture};
	const struct ft_names all = {1, names};
	struct ft_extract_settings settings = {.output = output, .to_ns = UINT64_MAX};
	struct ft_error error;
	bool is_damaged;
	uint16_t index_bytes;

	if (count < 3)
		return 0;
	memcpy(&index_bytes, bytes + 1, sizeof(index_bytes));
	if (index_bytes > count - 3)
		return 0;
	if (index_bytes > 0)
		scratch_put(bytes[0] & 4 ? "capture.idx.partial" : "capture.idx", bytes + 3,
			    index_bytes, index, sizeof(index));
	scratch_put(bytes[0] & 4 ? "capture.partial" : "capture", bytes + 3 + index_bytes,
		    count - 3 - index_bytes, capture, sizeof(capture));
	snprintf(output, sizeof(output), "%s/output", scratch_folder());
	if (bytes[0] & 1)
		settings.flow = "10.0.0.3:1027,10.1.0.1:53,udp";
	if (bytes[0] & 2)
		settings.filter = "udp port 53";
	ft_extract_frames(&settings, &all, &is_damaged, &error);
	scratch_clear();
	return 0;
}
