/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `file` of the generator: a dry run. Nothing is waited for; each frame is stamped with
 * the moment at which it would be due, so that the file replays as the run would have been.
 */
#include <stdio.h>

#include "gen/frame_file.h"
#include "gen/transmit.h"

static int file_open(struct ft_transmit *t, struct ft_error *error)
{
	struct ft_frame_file *file;
	int rc = ft_frame_file_open("-o file:", t->device, "a dry run", &file, error);

	if (rc != 0)
		return rc;
	t->state = file;
	t->keeps_no_time = true;
	snprintf(t->mode, sizeof(t->mode), "dry run");
	return 0;
}

static int file_send(struct ft_transmit *t, unsigned count, const atomic_bool *stop,
		     struct ft_error *error)
{
	(void)stop;
	for (unsigned i = 0; i < count; i++) {
		int rc = ft_frame_file_add(t->state, t->frames[i].iov_base,
					   (uint32_t)t->frames[i].iov_len, t->due_ns, error);

		if (rc != 0)
			return rc;
	}
	ft_count_add(&t->frames_written, count);
	return (int)count;
}

static void file_close(struct ft_transmit *t)
{
	ft_frame_file_free(t->state);
}

const struct ft_transmit_ops ft_transmit_file = {
	.name = "file",
	.open = file_open,
	.send = file_send,
	.close = file_close,
};
