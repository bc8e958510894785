/* SPDX-License-Identifier: Apache-2.0 */
#include "store/extract_output.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipe/epb.h"
#include "store/output.h"

#define BUFFER_BYTES (4u << 20)
/* The longest frame and the longest options that we take over. */
#define ROOM_BYTES (FT_BLOCK_MAX_BYTES)

struct described {
	uint8_t *block;
	uint32_t bytes;
	unsigned nth;
};

struct ft_extract_output {
	struct ft_output *file;
	struct described *interfaces;
	uint32_t count;
	uint32_t written; /* of the interfaces */
	uint32_t snap_bytes;
	bool begun, finished;
	size_t used;
	uint8_t buffer[BUFFER_BYTES + ROOM_BYTES];
};

int ft_extract_output_open(const char *path, struct ft_extract_output **output,
			   struct ft_error *error)
{
	struct ft_extract_output *o = calloc(1, sizeof(*o));
	int rc;

	if (o == NULL)
		return ft_fail(error, -ENOMEM, "-w %s: out of memory", path);
	rc = ft_output_open(path, false, &o->file, error);
	if (rc != 0) {
		free(o);
		return rc;
	}
	*output = o;
	return 0;
}

static int describe(struct ft_extract_output *output, const uint8_t *block, uint32_t bytes,
		    unsigned nth, uint32_t *number, struct ft_error *error)
{
	struct described *grown;
	uint8_t *copy;

	for (*number = 0; *number < output->count; ++*number) {
		const struct described *known = &output->interfaces[*number];

		if (known->nth == nth && known->bytes == bytes &&
		    memcmp(known->block, block, bytes) == 0)
			return 0;
	}
	grown = reallocarray(output->interfaces, output->count + 1, sizeof(*grown));
	copy = malloc(bytes);
	if (grown != NULL)
		output->interfaces = grown;
	if (grown == NULL || copy == NULL) {
		free(copy);
		return ft_fail(error, -ENOMEM, "out of memory");
	}
	memcpy(copy, block, bytes);
	grown[output->count++] = (struct described){copy, bytes, nth};
	return 0;
}

int ft_extract_output_add_block(struct ft_extract_output *output,
				const struct ft_span_interface *interface, unsigned nth,
				uint32_t *number, struct ft_error *error)
{
	if (interface->snap_bytes > output->snap_bytes)
		output->snap_bytes = interface->snap_bytes;
	return describe(output, interface->block, interface->bytes, nth, number, error);
}

int ft_extract_output_add_interface(struct ft_extract_output *output, const char *path,
				    uint16_t link_type, uint32_t *number, struct ft_error *error)
{
	struct ft_port_interface interface = {.link_type = link_type, .timestamps = "file"};
	uint8_t block[FT_PCAPNG_HEADER_BYTES];
	char copy[PATH_MAX];
	size_t bytes;

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(interface.name, sizeof(interface.name), "%s", basename(copy));
	bytes = ft_pcapng_write_interface(block, sizeof(block), &interface,
					  FT_READER_MAX_FRAME_BYTES, NULL);
	output->snap_bytes = FT_READER_MAX_FRAME_BYTES;
	/* Interfaces of one name in two files, or in one, are two all the same. */
	return describe(output, block, (uint32_t)bytes, UINT_MAX - output->count, number, error);
}

static int flush(struct ft_extract_output *output, struct ft_error *error)
{
	size_t wrote = ft_output_write(output->file, output->buffer, output->used, error);

	if (wrote < output->used)
		return -EIO;
	output->used = 0;
	return 0;
}

/* The section, and interfaces that have been described since. */
static int write_headers(struct ft_extract_output *output, struct ft_error *error)
{
	uint8_t *at = output->buffer + output->used;

	if (!output->begun)
		output->used += ft_pcapng_write_section(at, FT_PCAPNG_HEADER_BYTES,
							"ft-extract " FT_VERSION);
	output->begun = true;
	for (; output->written < output->count; output->written++) {
		const struct described *next = &output->interfaces[output->written];

		if (output->used + next->bytes > sizeof(output->buffer) &&
		    flush(output, error) != 0)
			return -EIO;
		at = output->buffer + output->used;
		memcpy(at, next->block, next->bytes);
		memcpy(at + 12, &output->snap_bytes, sizeof(output->snap_bytes));
		output->used += next->bytes;
	}
	return 0;
}

/* Room for the longest block. */
static inline int make_room(struct ft_extract_output *output, struct ft_error *error)
{
	int rc = 0;

	if (__builtin_expect(output->written < output->count || !output->begun, 0))
		rc = write_headers(output, error);
	if (rc == 0 && output->used >= BUFFER_BYTES)
		rc = flush(output, error);
	return rc;
}

int ft_extract_output_put_block(struct ft_extract_output *output, const uint8_t *block,
				uint32_t interface, struct ft_error *error)
{
	uint32_t bytes = ft_block_u32(block + 4);
	int rc = make_room(output, error);

	if (rc != 0)
		return rc;
	memcpy(output->buffer + output->used, block, bytes);
	memcpy(output->buffer + output->used + 8, &interface, sizeof(interface));
	output->used += bytes;
	return 0;
}

int ft_extract_output_put_record(struct ft_extract_output *output, const struct ft_record *record,
				 uint32_t interface, struct ft_error *error)
{
	const struct ft_frame frame = {
		.data = record->data,
		.stamp_ns = record->stamp_ns,
		.captured_bytes = record->captured_bytes,
		/* Some writers leave the original length out. */
		.length_bytes = record->length_bytes > record->captured_bytes
					? record->length_bytes
					: record->captured_bytes,
		.epb_flags = record->epb_flags,
	};
	int rc = make_room(output, error);

	if (rc == 0)
		output->used += ft_epb_write(output->buffer + output->used, interface, &frame,
					     frame.captured_bytes, 0);
	return rc;
}

bool ft_extract_output_is_file(const struct ft_extract_output *output)
{
	return ft_output_is_file(output->file);
}

int ft_extract_output_finish(struct ft_extract_output *output, struct ft_error *error)
{
	int rc = write_headers(output, error);

	if (rc == 0)
		rc = flush(output, error);
	if (rc == 0)
		rc = ft_output_finish(output->file, error);
	output->finished = rc == 0;
	return rc;
}

void ft_extract_output_free(struct ft_extract_output *output)
{
	if (output == NULL)
		return;
	if (!output->finished)
		ft_output_discard(output->file);
	ft_output_free(output->file);
	for (uint32_t i = 0; i < output->count; i++)
		free(output->interfaces[i].block);
	free(output->interfaces);
	free(output);
}
