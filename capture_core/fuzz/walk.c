/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes walked as a capture. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ft/walk.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	char path[64];
	json_t *walked;

	scratch_put("capture", bytes, count, path, sizeof(path));
	walked = ft_walk_file(path);
	if (walked == NULL || json_object_get(walked, "sha256") == NULL)
		abort();
	json_decref(walked);
	scratch_clear();
	return 0;
}
