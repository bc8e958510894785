/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes taken for the kernel's answer about links, routes and addresses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "port/inuse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct ft_inuse use = {.count = 1, .stacked = {7}};
	uint8_t *copy = malloc(count + 1); /* aligned, as the kernel's answers are read */

	if (copy == NULL)
		return 0;
	memcpy(copy, bytes, count);
	ft_inuse_take(&use, copy, count);
	free(copy);
	if (use.count > FT_INUSE_MAX_STACKED ||
	    memchr(use.address, '\0', sizeof(use.address)) == NULL)
		abort();
	return 0;
}
