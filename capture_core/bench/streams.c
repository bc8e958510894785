/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a frame costs to make: fill the frames of a stream file, batch after batch as the sender
 * does, and send them nowhere. bench/streams.py takes the time and counts the instructions.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ft/clock.h"
#include "gen/stream.h"
#include "gen/transmit.h"

static int make_frames(const char *path, uint64_t frames, struct ft_error *error)
{
	struct ft_transmit nowhere = {
		.device = "nowhere",
		.max_bytes = FT_GENERATE_MAX_SIZE,
		.max_tagged_bytes = FT_GENERATE_MAX_SIZE,
		.slots_in_flight = FT_TRANSMIT_RING + FT_TRANSMIT_BATCH,
	};
	const struct ft_signature_run run = {.secret = 1};
	struct iovec batch[FT_TRANSMIT_BATCH];
	struct ft_stream_file file;
	struct ft_stream_set set = {0};
	int rc = ft_stream_file_read(path, &file, error);

	if (rc == 0)
		rc = ft_stream_set_create(&file, &nowhere, &run, &set, error);
	while (rc == 0 && frames > 0) {
		uint64_t room = frames < FT_TRANSMIT_BATCH ? frames : FT_TRANSMIT_BATCH;

		frames -= set.source.ops->fill(&set.source, FT_SOURCE_END - 1, ft_clock_utc_ns(),
					       batch, (unsigned)room);
	}
	ft_stream_set_free(&set);
	ft_stream_file_free(&file);
	ft_transmit_free(&nowhere);
	return rc;
}

int main(int argc, char **argv)
{
	struct ft_error error;

	if (argc != 3) {
		fprintf(stderr, "usage: bench-streams FILE.toml FRAMES\n");
		return 2;
	}
	if (make_frames(argv[1], strtoull(argv[2], NULL, 10), &error) != 0) {
		fprintf(stderr, "bench-streams: %s\n", error.text);
		return 1;
	}
	return 0;
}
