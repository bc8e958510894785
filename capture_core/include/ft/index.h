/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sidecar index of a capture file, CAPTURE.idx: where each chunk lies and what it holds, so
 * that an extraction reads only chunks that can match. It is written while the capture runs, can be
 * rebuilt from the capture at any time, and its absence only costs time. An index is data from
 * outside: every record is bounded and carries a CRC32C.
 */
#ifndef FT_INDEX_H
#define FT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

#define FT_INDEX_SUFFIX ".idx"

struct ft_summary;
struct ft_flow_key;

/* A chunk, or for a file that is not ours a run of whole blocks or records of some MiB. */
struct ft_index_chunk {
	uint64_t offset; /* in the file */
	uint64_t sequence;
	uint64_t first_ns,
		last_ns;  /* the lowest and the highest stamp; meaningless without packets */
	uint64_t bytes;	  /* captured bytes of its packets */
	uint64_t dropped; /* told by the statistics in it: lost so far at its port */
	uint32_t length_bytes;
	uint32_t packets;
	uint32_t source;     /* chunks of one source are in time order among themselves */
	uint32_t disordered; /* packets with a stamp below one before them in the chunk */
};

struct ft_index_writer;

/*
 * Begin `path`, which grows as PATH.partial (a file of that name is replaced, one called `path`
 * when the index is closed).
 */
int ft_index_create(const char *path, const struct ft_flow_key *key,
		    struct ft_index_writer **writer, struct ft_error *error);
/* `summary` NULL: a chunk without packets. */
int ft_index_add(struct ft_index_writer *writer, const struct ft_index_chunk *chunk,
		 const struct ft_summary *summary, struct ft_error *error);
/*
 * The capture is complete and has `file_bytes`: by that a reader tells whether the index still is
 * the file's. Renames the index to its name. `file_bytes` 0: give the index up, remove it. Frees.
 */
int ft_index_close(struct ft_index_writer *writer, uint64_t file_bytes, struct ft_error *error);

struct ft_index_reader;

/* What a chunk's record says of its contents, valid until the next record is read. */
struct ft_index_filters;

/* -ENOENT; -EBADMSG: not an index, or of another version. */
int ft_index_open(const char *path, struct ft_index_reader **reader, struct ft_error *error);

/*
 * 1 with the next chunk, 0 at the end, -EBADMSG where the index is damaged. An index whose capture
 * is still growing, or was cut off, ends where its last whole record does.
 */
int ft_index_next(struct ft_index_reader *reader, struct ft_index_chunk *chunk,
		  const struct ft_index_filters **filters, struct ft_error *error);

/* At the end: the length of the capture that the index describes; 0: it has not been closed. */
uint64_t ft_index_file_bytes(const struct ft_index_reader *reader);

/* The key of the hashes of flows and addresses. */
const struct ft_flow_key *ft_index_key(const struct ft_index_reader *reader);

/* False: the chunk surely holds none. A hash is of ft_flow_hash_of, or ft_flow_hash_address. */
bool ft_index_may_hold_flow(const struct ft_index_filters *filters, uint64_t hash);
bool ft_index_may_hold_address(const struct ft_index_filters *filters, uint64_t hash);
bool ft_index_may_hold_port(const struct ft_index_filters *filters, uint16_t port);
bool ft_index_may_hold_vlan(const struct ft_index_filters *filters, uint16_t vlan);

/* Accepts NULL. */
void ft_index_close_reader(struct ft_index_reader *reader);

#endif
