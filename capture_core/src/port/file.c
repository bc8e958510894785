/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `file`: a capture file, a FIFO or stdin as a port. The source waits for us, so nothing
 * is ever dropped on its behalf. All its frames come as one interface, since a section holds one
 * link type; frames of another are refused by number, with those before them kept.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ft/reader.h"
#include "port/port_ops.h"

#define OPENING_POLL_MS	  100
#define LINKTYPE_ETHERNET 1

struct file {
	struct ft_reader *reader;
	struct ft_record first; /* read ahead, as at open for the link type; delivered first */
	bool first_waits;
	atomic_bool closed;
	bool opening;
	int patience_ms; /* how long a read may wait */
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
	port->waits = true;
	return 0;
}

/*
 * Wait for the source: at opening until it speaks, later for as long as the caller of receive()
 * would, and not at all while frames are in hand that can be delivered.
 */
static bool may_read(void *context, int fd)
{
	const struct ft_port *port = context;
	const struct file *file = port->state;
	struct pollfd waiter = {.fd = fd, .events = POLLIN};

	while (poll(&waiter, 1, file->opening ? OPENING_POLL_MS : file->patience_ms) == 0) {
		if (!file->opening)
			return false;
		if (port->options.cancelled != NULL &&
		    port->options.cancelled(port->options.cancel_context))
			return false;
	}
	return true;
}

static int read_first(struct ft_port *port, struct file *file, struct ft_error *error)
{
	const struct ft_reader_wait wait = {.may_read = may_read, .context = port};
	int rc;

	file->opening = true;
	rc = ft_reader_open(port->device, &wait, &file->reader, error);
	if (rc == 0)
		rc = ft_reader_next(file->reader, &file->first, error);
	file->opening = false;
	file->first_waits = rc == 1;
	if (rc == -EAGAIN)
		return ft_fail(error, -ECANCELED, "interrupted");
	return rc < 0 ? rc : 0;
}

static int file_open(struct ft_port *port, struct ft_error *error)
{
	struct file *file = port->state;
	struct ft_port_interface *interface = &port->interfaces[0];
	int rc = read_first(port, file, error);

	if (rc != 0)
		return rc;
	file->copies_bytes = 2u * FT_READER_MAX_FRAME_BYTES;
	file->copies = malloc(file->copies_bytes);
	if (file->copies == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	port->interface_count = 1;
	*interface = (struct ft_port_interface){
		.link_type = file->first_waits ? file->first.link_type : LINKTYPE_ETHERNET,
		.timestamps = "file",
		.description = "read from a capture",
	};
	snprintf(interface->name, sizeof(interface->name), "%s", port->device);
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

static int file_receive(struct ft_port *port, unsigned queue, struct ft_frame *frames,
			int timeout_ms, struct ft_error *error)
{
	struct file *file = port->state;
	uint16_t link_type = port->interfaces[0].link_type;
	unsigned count = 0;
	size_t used = 0;

	(void)queue;
	if (atomic_load_explicit(&file->closed, memory_order_relaxed))
		return -ENODATA;
	/* One more frame must always fit. */
	while (count < FT_BATCH_FRAMES && used <= file->copies_bytes - FT_READER_MAX_FRAME_BYTES) {
		struct ft_record record;
		int rc;

		file->patience_ms = count == 0 ? timeout_ms : 0;
		rc = next_record(file, &record, error);
		if (rc == -EAGAIN || (rc <= 0 && count > 0))
			break; /* an end or an error is said again next time */
		if (rc <= 0)
			return rc == 0 ? -ENODATA : rc;
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

static void file_release(struct ft_port *port, unsigned queue)
{
	(void)port;
	(void)queue;
}

static int file_close_input(struct ft_port *port, struct ft_error *error)
{
	struct file *file = port->state;

	(void)error;
	atomic_store_explicit(&file->closed, true, memory_order_relaxed);
	return 0;
}

static void file_read_counts(struct ft_port *port, unsigned queue, struct ft_port_counts *counts)
{
	const struct file *file = port->state;

	(void)queue;
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
	.create = file_create,
	.open = file_open,
	.start = file_start,
	.receive = file_receive,
	.release = file_release,
	.close_input = file_close_input,
	.read_counts = file_read_counts,
	.free = file_free,
};
