/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inputs of an extraction. Preparing one finds out, from its index or by reading it once, which
 * of its chunks can hold what is wanted, and closes it again; cursors then deliver the frames, one
 * cursor for each hot thread that wrote the file, because only its chunks are in the order of time
 * among themselves.
 */
#ifndef FT_STORE_EXTRACT_INPUT_H
#define FT_STORE_EXTRACT_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "store/extract_match.h"
#include "store/extract_output.h"

/* Ports times queues of a run, and one for what no hot thread wrote. */
#define FT_EXTRACT_MAX_SOURCES 257u

/* A chunk to read, or a run of records of a file that is not ours. */
struct ft_extract_piece {
	uint64_t offset, first_ns;
	uint32_t length_bytes, source;
};

struct ft_extract_input {
	const char *path;
	bool ours;	 /* in chunks that we wrote */
	bool sequential; /* of others, without an index: read from its beginning on */
	bool is_damaged; /* not all of it can be read; said on stderr */
	bool is_partial; /* still being written, or left by a crash */
	uint16_t link_type;
	bool has_frames;	  /* `link_type` and `first_ns` mean something */
	uint64_t first_ns;	  /* lowest stamp of what is to be read */
	struct ft_reader *reader; /* of what can be opened only once */
	struct ft_record record;  /* its first frame */
	struct ft_extract_piece *pieces;
	size_t piece_count, piece_room;
	uint32_t *numbers; /* of each interface in the output */
	uint32_t number_count;
	uint32_t source_count;
	uint32_t sources[FT_EXTRACT_MAX_SOURCES];
	/* For the report. */
	bool indexed;
	uint64_t chunks_read, chunks_skipped, packets, bytes;
};

/*
 * -EBADMSG for what is no capture. `output` NULL: only look. A damaged index, or one of another
 * state of the file, is said on stderr and passed over.
 */
int ft_extract_input_prepare(struct ft_extract_input *input, struct ft_match *match,
			     struct ft_extract_output *output, struct ft_error *error);
void ft_extract_input_free(struct ft_extract_input *input);

struct ft_extract_cursor;

/* The `source`th of the input's sources. */
int ft_extract_cursor_open(struct ft_extract_input *input, uint32_t source,
			   const struct ft_match *match, struct ft_extract_cursor **cursor,
			   struct ft_error *error);
/* 1 with the next frame that matches, 0 at the end, or a negative errno. */
int ft_extract_cursor_next(struct ft_extract_cursor *cursor, struct ft_error *error);
uint64_t ft_extract_cursor_stamp_ns(const struct ft_extract_cursor *cursor);
int ft_extract_cursor_write(struct ft_extract_cursor *cursor, struct ft_extract_output *output,
			    struct ft_error *error);
/* Accepts NULL. */
void ft_extract_cursor_close(struct ft_extract_cursor *cursor);

#endif
