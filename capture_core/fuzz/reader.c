/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes read as a capture, from a file in memory. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ft/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Read every byte handed out, so that one outside the buffer is seen. */
static void read_all(struct ft_reader *reader)
{
	struct ft_record record;
	struct ft_error error;
	volatile uint8_t sink;

	while (ft_reader_next(reader, &record, &error) == 1)
		for (uint32_t i = 0; i < record.captured_bytes; i++)
			sink = record.data[i];
	(void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);
	struct ft_reader *reader;
	struct ft_error error;
	char path[32];

	if (fd < 0 || write(fd, bytes, count) != (ssize_t)count)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (ft_reader_open(path, NULL, &reader, &error) == 0) {
		read_all(reader);
		ft_reader_close(reader);
	}
	close(fd);
	return 0;
}
