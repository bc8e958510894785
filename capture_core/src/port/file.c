/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `file`: a capture file, a FIFO or stdin as a port. The source waits for us, so nothing
 * is ever dropped on its behalf. All its frames come as one interface, since a section holds one
 * link type; frames of another are refused by number, with those before them kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ft/reader.h"
#include "port/port_ops.h"

struct file {
	struct ft_reader *reader;
	struct ft_record first; /* read ahead, as at open for the link type; delivered first */
	bool first_waits;
	bool closed;
	uint64_t offered;
	uint8_t *copies; /* the reader's bytes live until its next frame; a batch needs them all */
	size_t copies_bytes;
};

static int file_create(struct ft_port *port, struct ft_error *error)
{
	struct file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	port->state = file;
	port->mode = "stream";
	return 0;
}

static int file_open(struct ft_port *port, struct ft_error *error)
{
	struct file *file = port->state;
	struct ft_port_interface *interface = &port->interfaces[0];
	int rc = ft_reader_open(port->device, &file->reader, error);

	if (rc != 0)
		return rc;
	file->copies_bytes = 2u * FT_READER_MAX_FRAME_BYTES;
	file->copies = malloc(file->copies_bytes);
	if (file->copies == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	rc = ft_reader_next(file->reader, &file->first, error);
	if (rc < 0)
		return rc;
	file->first_waits = rc == 1;
	port->interface_count = 1;
	*interface = (struct ft_port_interface){
		.link_type = file->first_waits ? file->first.link_type : 1,
		.timestamps = "file",
		.description = "read from a capture",
	};
	strncpy(interface->name, port->device, sizeof(interface->name) - 1);
	return 0;
}

static int file_start(struct ft_port *port, struct ft_error *error)
{
	(void)port;
	(void)error;
	return 0;
}

static int next_record(struct file *file, struct ft_record *record, struct ft_error *error)
{
	if (!file->first_waits)
		return ft_reader_next(file->reader, record, error);
	*record = file->first;
	file->first_waits = false;
	return 1;
}

static int file_receive(struct ft_port *port, struct ft_frame *frames, int timeout_ms,
			struct ft_error *error)
{
	struct file *file = port->state;
	uint16_t link_type = port->interfaces[0].link_type;
	unsigned count = 0;
	size_t used = 0;

	(void)timeout_ms; /* reading waits for as long as the source does */
	if (file->closed)
		return -ENODATA;
	/* One more frame must always fit. */
	while (count < FT_BATCH_FRAMES && used <= file->copies_bytes - FT_READER_MAX_FRAME_BYTES) {
		struct ft_record record;
		int rc = next_record(file, &record, error);

		if (rc <= 0) {
			if (count > 0)
				break; /* the reader says the same again next time */
			return rc == 0 ? -ENODATA : rc;
		}
		if (record.link_type != link_type) {
			if (count > 0) { /* deliver what came before it first */
				file->first = record;
				file->first_waits = true;
				break;
			}
			return ft_fail(error, -EBADMSG,
				       "%s: frame %llu has link type %u after %u; a capture holds "
				       "one link type, split the file first",
				       port->device, (unsigned long long)file->offered + 1,
				       record.link_type, link_type);
		}
		file->offered++;
		memcpy(file->copies + used, record.data, record.captured_bytes);
		frames[count++] = (struct ft_frame){
			.data = file->copies + used,
			.stamp_ns = record.stamp_ns,
			.captured_bytes = record.captured_bytes,
			.length_bytes = record.length_bytes,
			.epb_flags = record.epb_flags,
		};
		used += record.captured_bytes;
	}
	return (int)count;
}

static void file_release(struct ft_port *port)
{
	(void)port;
}

static int file_close_input(struct ft_port *port, struct ft_error *error)
{
	struct file *file = port->state;

	(void)error;
	file->closed = true;
	return 0;
}

static void file_read_counts(struct ft_port *port, struct ft_port_counts *counts)
{
	const struct file *file = port->state;

	*counts = (struct ft_port_counts){.offered = file->offered};
}

static void file_free(struct ft_port *port)
{
	struct file *file = port->state;

	ft_reader_close(file->reader);
	free(file->copies);
	free(file);
}

const struct ft_port_ops ft_port_file = {
	.name = "file",
	.waits = true,
	.create = file_create,
	.open = file_open,
	.start = file_start,
	.receive = file_receive,
	.release = file_release,
	.close_input = file_close_input,
	.read_counts = file_read_counts,
	.free = file_free,
};
