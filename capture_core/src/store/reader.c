/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A section header's type reads the same in both byte orders (draft-ietf-opsawg-pcapng 4.1). */
#define PCAPNG_SECTION 0x0a0d0d0au

int ft_reader_damaged(const struct ft_reader *reader, struct ft_error *error, const char *format,
		      ...)
{
	char what[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	return ft_fail(error, -EBADMSG, "%s: damaged at byte %llu: %s",
		       ft_input_path(reader->input),
		       (unsigned long long)ft_input_offset(reader->input), what);
}

int ft_reader_require(struct ft_reader *reader, size_t bytes, struct ft_error *error)
{
	int code = ft_input_need(reader->input, bytes, error);

	if (code < 0)
		return code;
	if (code == 0)
		return ft_reader_damaged(reader, error, "cut short, %zu of %zu bytes are there",
					 ft_input_available(reader->input), bytes);
	return 0;
}

static int begin(struct ft_reader *reader, struct ft_error *error)
{
	uint32_t magic;
	int code = ft_input_need(reader->input, sizeof(magic), error);

	if (code < 0)
		return code;
	if (code == 0)
		return ft_fail(error, -EBADMSG, "%s: not a capture: it has %zu bytes",
			       ft_input_path(reader->input), ft_input_available(reader->input));
	memcpy(&magic, ft_input_data(reader->input), sizeof(magic));
	if (magic == PCAPNG_SECTION)
		return ft_reader_begin_pcapng(reader, error);
	return ft_reader_begin_pcap(reader, error);
}

int ft_reader_open(const char *path, const struct ft_reader_wait *wait, struct ft_reader **opened,
		   struct ft_error *error)
{
	struct ft_reader *reader = calloc(1, sizeof(*reader));
	int code;

	if (!reader)
		return ft_fail(error, -ENOMEM, "%s: no memory to read it", path);
	code = ft_input_open(path, wait, &reader->input, error);
	if (code == 0)
		code = begin(reader, error);
	if (code < 0) {
		ft_reader_close(reader);
		return code;
	}
	*opened = reader;
	return 0;
}

int ft_reader_next(struct ft_reader *reader, struct ft_record *record, struct ft_error *error)
{
	ft_input_take(reader->input, reader->last_bytes);
	reader->last_bytes = 0;
	return reader->next(reader, record, error);
}

uint64_t ft_reader_offset(const struct ft_reader *reader)
{
	return reader->whole_bytes + reader->last_bytes;
}

int ft_reader_seek(struct ft_reader *reader, uint64_t offset, struct ft_error *error)
{
	reader->last_bytes = 0;
	reader->whole_bytes = offset;
	return ft_input_seek(reader->input, offset, error);
}

int ft_reader_rewind(struct ft_reader *reader, struct ft_error *error)
{
	int code = ft_input_rewind(reader->input, error);

	if (code < 0)
		return code;
	reader->last_bytes = reader->whole_bytes = 0;
	reader->interface_count = reader->first_interface = 0;
	reader->swapped = false;
	return begin(reader, error);
}

bool ft_reader_is_packed(const struct ft_reader *reader)
{
	return ft_input_is_packed(reader->input);
}

void ft_reader_close(struct ft_reader *reader)
{
	if (!reader)
		return;
	ft_input_close(reader->input);
	free(reader->interfaces);
	free(reader);
}
