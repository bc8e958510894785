/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ft_frame_file_add() runs on the sender's thread: a copy, and a write of BUFFER_BYTES once these
 * are full. They are few, so that a paced sender is never late by more than a short write.
 */
#include "gen/frame_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ft/clock.h"
#include "ft/pcapng.h"
#include "pipe/epb.h"
#include "store/names.h"

#define BUFFER_BYTES	  (64u << 10)
#define LINKTYPE_ETHERNET 1
#define PCAP_NANOSECONDS  0xa1b23c4du
#define SNAP_BYTES	  262144u
#define OUTBOUND	  2u /* epb_flags, bits 0-1 */

struct ft_frame_file {
	const char *option;
	char path[FT_PATH_BYTES];
	int fd, directory_fd;
	bool pcapng, finished;
	uint64_t frames;
	uint64_t opened_ns;
	size_t used;
	uint8_t *buffer; /* BUFFER_BYTES, and the longest block */
};

static bool ends_with(const char *text, const char *suffix)
{
	size_t bytes = strlen(text), of_suffix = strlen(suffix);

	return bytes > of_suffix && strcmp(text + bytes - of_suffix, suffix) == 0;
}

int ft_frame_file_check(const char *option, const char *path, struct ft_error *error)
{
	if (ends_with(path, ".pcapng") || ends_with(path, ".pcap"))
		return 0;
	return ft_fail(error, -EINVAL, "%s%s: name it NAME.pcapng or NAME.pcap", option, path);
}

static int fail(const struct ft_frame_file *file, int rc, struct ft_error *error)
{
	if (rc == -EBUSY)
		return ft_fail(error, rc,
			       "%s%s: a running program is writing it; choose another name",
			       file->option, file->path);
	return ft_fail(error, rc, "%s%s: cannot be written: %s", file->option, file->path,
		       strerror(-rc));
}

static int flush(struct ft_frame_file *file, struct ft_error *error)
{
	size_t wrote = 0;

	while (wrote < file->used) {
		ssize_t count = write(file->fd, file->buffer + wrote, file->used - wrote);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return fail(file, -errno, error);
		wrote += (size_t)count;
	}
	file->used = 0;
	return 0;
}

static void begin(struct ft_frame_file *file, const char *port)
{
	struct ft_port_interface interface = {.link_type = LINKTYPE_ETHERNET, .timestamps = "host"};
	const uint32_t pcap_header[6] = {PCAP_NANOSECONDS, 2 | 4 << 16,	     0, 0,
					 SNAP_BYTES,	   LINKTYPE_ETHERNET};

	if (!file->pcapng) {
		memcpy(file->buffer, pcap_header, sizeof(pcap_header));
		file->used = sizeof(pcap_header);
		return;
	}
	snprintf(interface.name, sizeof(interface.name), "%s:tx", port);
	snprintf(interface.description, sizeof(interface.description), "frames for %s", port);
	file->used = ft_pcapng_write_section(file->buffer, FT_PCAPNG_HEADER_BYTES,
					     "ft-generate " FT_VERSION);
	file->used += ft_pcapng_write_interface(file->buffer + file->used, FT_PCAPNG_HEADER_BYTES,
						&interface, SNAP_BYTES, NULL);
}

int ft_frame_file_open(const char *option, const char *path, const char *port,
		       struct ft_frame_file **file, struct ft_error *error)
{
	struct ft_frame_file *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	f->option = option;
	f->fd = f->directory_fd = -1;
	f->pcapng = ends_with(path, ".pcapng");
	f->opened_ns = ft_clock_utc_ns();
	snprintf(f->path, sizeof(f->path), "%s", path);
	f->buffer = aligned_alloc(64, BUFFER_BYTES + 2 * SNAP_BYTES);
	rc = f->buffer != NULL ? ft_directory_open(path) : -ENOMEM;
	f->directory_fd = rc;
	if (rc >= 0)
		f->fd = rc = ft_partial_open(path, error);
	if (rc < 0) {
		rc = fail(f, rc, error);
		ft_frame_file_free(f);
		return rc;
	}
	begin(f, port);
	*file = f;
	return 0;
}

int ft_frame_file_add(struct ft_frame_file *file, const uint8_t *data, uint32_t bytes,
		      uint64_t stamp_ns, struct ft_error *error)
{
	const struct ft_frame frame = {
		.data = data,
		.stamp_ns = stamp_ns,
		.captured_bytes = bytes,
		.length_bytes = bytes,
		.epb_flags = OUTBOUND,
	};

	if (bytes > SNAP_BYTES)
		return ft_fail(error, -EMSGSIZE, "%s%s: a frame of %u bytes is too long for it",
			       file->option, file->path, bytes);
	file->used += file->pcapng ? ft_epb_write(file->buffer + file->used, 0, &frame, bytes, 0)
				   : ft_pcap_write(file->buffer + file->used, &frame, bytes);
	file->frames++;
	return file->used < BUFFER_BYTES ? 0 : flush(file, error);
}

const char *ft_frame_file_path(const struct ft_frame_file *file)
{
	return file->path;
}

uint64_t ft_frame_file_frames(const struct ft_frame_file *file)
{
	return file->frames;
}

int ft_frame_file_finish(struct ft_frame_file *file, struct ft_error *error)
{
	const struct ft_pcapng_statistics statistics = {
		.now_ns = ft_clock_utc_ns(),
		.started_ns = file->opened_ns,
		.delivered = file->frames,
	};
	int rc;

	if (file->finished)
		return 0;
	if (file->pcapng)
		file->used += ft_pcapng_write_statistics(file->buffer + file->used,
							 FT_PCAPNG_STATISTICS_BYTES, &statistics);
	rc = flush(file, error);
	if (rc == 0 && fdatasync(file->fd) != 0)
		rc = fail(file, -errno, error);
	if (rc == 0)
		rc = ft_partial_finish(file->path, file->directory_fd, error);
	file->finished = rc == 0;
	return rc;
}

void ft_frame_file_free(struct ft_frame_file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0 && !file->finished && file->frames == 0)
		ft_partial_discard(file->path);
	if (file->fd >= 0)
		close(file->fd);
	if (file->directory_fd >= 0)
		close(file->directory_fd);
	free(file->buffer);
	free(file);
}
