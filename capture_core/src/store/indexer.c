/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by one niced thread. It may be slow but must not keep chunks from the hot threads: when half
 * of them are here, digesting stops for the file, and what is left of it is read back at its end.
 */
#include "store/indexer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ft/clock.h"
#include "pipe/epb.h"
#include "store/writer.h"

#define NICE		19
#define WAIT_MS		250
#define MAX_OPEN_FILES	128u
#define READ_BYTES	(4u << 20)
#define RETAIN_EVERY_NS FT_NS_PER_SECOND

static void wake(struct ft_indexer *indexer)
{
	eventfd_write(indexer->wake_fd, 1);
}

/* --- digests --------------------------------------------------------------------------------- */

static void digest_chunk(struct ft_indexer *indexer, struct ft_file *file,
			 const struct ft_chunk *chunk)
{
	uint32_t waiting = atomic_load_explicit(&indexer->chunks.head, memory_order_relaxed) -
			   atomic_load_explicit(&indexer->chunks.tail, memory_order_relaxed);

	if (file->hash == NULL || chunk->offset != file->hashed_bytes ||
	    waiting > indexer->max_waiting)
		return;
	EVP_DigestUpdate(file->hash, chunk->data, chunk->used_bytes);
	file->hashed_bytes += chunk->used_bytes;
}

/* The file's own bytes from `hashed_bytes` on, up to `end`. */
static int digest_from_file(struct ft_file *file, uint64_t end)
{
	char partial[FT_PATH_BYTES + 16];
	uint8_t *buffer = malloc(READ_BYTES);
	int fd, rc = 0;

	snprintf(partial, sizeof(partial), "%s" FT_PARTIAL_SUFFIX, file->path);
	fd = open(partial, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || buffer == NULL)
		rc = fd < 0 ? -errno : -ENOMEM;
	while (rc == 0 && file->hashed_bytes < end) {
		uint64_t left = end - file->hashed_bytes;
		ssize_t got = pread(fd, buffer, left < READ_BYTES ? left : READ_BYTES,
				    (off_t)file->hashed_bytes);

		if (got == 0 || (got < 0 && errno != EINTR))
			rc = got < 0 ? -errno : -EIO;
		if (got <= 0)
			continue;
		EVP_DigestUpdate(file->hash, buffer, (size_t)got);
		file->hashed_bytes += (uint64_t)got;
	}
	if (fd >= 0)
		close(fd);
	free(buffer);
	return rc;
}

static void finish_digest(struct ft_file *file)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;

	if (file->hash == NULL || digest_from_file(file, file->size_bytes) != 0 ||
	    EVP_DigestFinal_ex(file->hash, digest, &bytes) != 1)
		return;
	for (unsigned i = 0; i < bytes && i < 32; i++)
		snprintf(file->sha256 + 2 * i, 3, "%02x", digest[i]);
}

/* The file's header was not a hot thread's chunk: it is read back. */
static void begin_digest(struct ft_file *file, const struct ft_chunk *chunk)
{
	if (!file->hashed || file->hash != NULL)
		return;
	file->hash = EVP_MD_CTX_new();
	if (file->hash == NULL || EVP_DigestInit_ex(file->hash, EVP_sha256(), NULL) != 1 ||
	    (chunk != NULL && digest_from_file(file, chunk->offset) != 0)) {
		EVP_MD_CTX_free(file->hash);
		file->hash = NULL;
		file->hashed = false;
	}
}

/* --- order, index ----------------------------------------------------------------------------- */

/* Frames with a stamp below one before them in the file. */
static uint64_t count_late(const struct ft_indexer *indexer, const struct ft_file *file,
			   const struct ft_chunk *chunk)
{
	uint64_t highest = file->packets > 0 ? file->last_ns : 0, late = 0;
	uint32_t at = 0;

	if (highest <= chunk->first_ns)
		return chunk->disordered;
	for (uint64_t left = ft_chunk_frames(chunk); left > 0;) {
		uint64_t stamp_ns;
		uint32_t words[5];

		memcpy(words, chunk->data + at, sizeof(words));
		if (indexer->pcapng) {
			at += words[1];
			if (words[0] != FT_EPB_TYPE)
				continue;
			stamp_ns = (uint64_t)words[3] << 32 | words[4];
		} else {
			at += FT_PCAP_RECORD_HEADER_BYTES + words[2];
			stamp_ns = words[0] * FT_NS_PER_SECOND + words[1];
		}
		left--;
		late += stamp_ns < highest;
		highest = stamp_ns > highest ? stamp_ns : highest;
	}
	return late;
}

static void begin_index(struct ft_indexer *indexer, struct ft_file *file)
{
	char path[FT_PATH_BYTES + 16];
	struct ft_error error;

	snprintf(path, sizeof(path), "%s" FT_INDEX_SUFFIX, file->path);
	if (ft_index_create(path, &indexer->flow_key, &file->index, &error) != 0)
		file->index = NULL; /* its absence only costs time */
}

static void give_up_index(struct ft_file *file)
{
	struct ft_error error;

	if (file->index != NULL)
		ft_index_close(file->index, 0, &error);
	file->index = NULL;
}

static void index_chunk(struct ft_indexer *indexer, struct ft_file *file,
			const struct ft_chunk *chunk)
{
	const struct ft_index_chunk entry = {
		.offset = chunk->offset,
		.sequence = chunk->sequence,
		.first_ns = chunk->first_ns,
		.last_ns = chunk->last_ns,
		.bytes = chunk->frame_bytes,
		.dropped = ft_ledger_lost(chunk->pool->ledger),
		.length_bytes = chunk->used_bytes,
		.packets = (uint32_t)ft_chunk_frames(chunk),
		.source = chunk->pool->source,
		.disordered = chunk->disordered,
	};
	struct ft_error error;

	if (!indexer->pcapng)
		return;
	if (file->index == NULL && file->packets == 0)
		begin_index(indexer, file);
	if (file->index != NULL &&
	    ft_index_add(file->index, &entry, entry.packets > 0 ? chunk->summary : NULL, &error) !=
		    0)
		give_up_index(file);
}

static void take_chunk(struct ft_indexer *indexer, struct ft_chunk *chunk)
{
	struct ft_file *file = chunk->written_to;

	if (chunk->used_bytes > 0) {
		begin_digest(file, chunk);
		digest_chunk(indexer, file, chunk);
		index_chunk(indexer, file, chunk);
		if (ft_chunk_frames(chunk) > 0) {
			file->late += count_late(indexer, file, chunk);
			file->packets += ft_chunk_frames(chunk);
			file->packet_bytes += chunk->frame_bytes;
			if (chunk->first_ns < file->first_ns)
				file->first_ns = chunk->first_ns;
			if (chunk->last_ns > file->last_ns)
				file->last_ns = chunk->last_ns;
		}
	}
	ft_ring_push(&chunk->pool->empty, chunk);
}

/* --- files ------------------------------------------------------------------------------------ */

static void retain(struct ft_indexer *indexer)
{
	struct ft_writer *writer = indexer->writer;
	unsigned growing = atomic_load_explicit(&indexer->open_files, memory_order_acquire);
	uint64_t bytes = atomic_load_explicit(&writer->file_bytes, memory_order_relaxed);

	if (!ft_retention_apply(&indexer->retention, writer->path, growing,
				growing > 0 ? bytes : 0))
		atomic_store_explicit(&writer->out_of_space, true, memory_order_relaxed);
}

/* Not even its header found room. */
static void forget_file(struct ft_indexer *indexer, struct ft_file *file)
{
	ft_file_discard(file);
	ft_file_free(file);
	atomic_fetch_sub_explicit(&indexer->open_files, 1, memory_order_release);
}

static void close_file(struct ft_indexer *indexer, struct ft_file *file)
{
	struct ft_file_record record = {
		.path = strdup(file->path),
		.packets = file->packets,
		.packet_bytes = file->packet_bytes,
		.size_bytes = file->size_bytes,
		.first_ns = file->first_ns,
		.last_ns = file->last_ns,
		.late = file->late,
		.first_sequence = file->first_sequence,
		.last_sequence = file->last_sequence,
		.complete = true,
	};
	struct ft_error error;

	if (file->hashed)
		begin_digest(file, NULL);
	finish_digest(file);
	memcpy(record.sha256, file->sha256, sizeof(record.sha256));
	/* An older capture of that name goes with its index, before ours takes the index's name. */
	if (access(file->path, F_OK) == 0)
		ft_move_aside(file->path, &error); /* said again below where it cannot */
	if (file->index != NULL) /* without one, extraction takes longer and says so */
		ft_index_close(file->index, file->size_bytes, &error);
	file->index = NULL;
	if (ft_file_finish(file, &error) != 0) {
		record.complete = false;
		if (!atomic_load_explicit(&indexer->failed, memory_order_relaxed))
			indexer->error = error;
		/* Release: the error's text before the flag. */
		atomic_store_explicit(&indexer->failed, true, memory_order_release);
	}
	record.closed_ns = ft_clock_utc_ns();
	ft_retention_add(&indexer->retention, &record);
	ft_file_free(file);
	atomic_fetch_sub_explicit(&indexer->open_files, 1, memory_order_release);
	retain(indexer);
}

static void take_file(struct ft_indexer *indexer, struct ft_file *file)
{
	if (file->size_bytes == 0)
		forget_file(indexer, file);
	else
		close_file(indexer, file);
}

/* Every chunk of a file was pushed before the file itself. */
static bool take_all(struct ft_indexer *indexer)
{
	struct ft_chunk *chunk;
	struct ft_file *file = ft_ring_pop(&indexer->files);
	bool any = file != NULL;

	while ((chunk = ft_ring_pop(&indexer->chunks)) != NULL) {
		take_chunk(indexer, chunk);
		any = true;
	}
	if (file != NULL)
		take_file(indexer, file);
	return any;
}

static void *run(void *argument)
{
	struct ft_indexer *indexer = argument;
	struct pollfd waiter = {.fd = indexer->wake_fd, .events = POLLIN};
	uint64_t retain_at_ns = 0;

	setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone, on Linux */
	while (1) {
		/* Acquire: what the writer passed on before it. */
		bool last = atomic_load_explicit(&indexer->finishing, memory_order_acquire);
		uint64_t now_ns = ft_clock_monotonic_ns();
		eventfd_t ignored;

		if (now_ns >= retain_at_ns) {
			retain_at_ns = now_ns + RETAIN_EVERY_NS;
			retain(indexer);
		}
		if (take_all(indexer))
			continue;
		if (last)
			break;
		poll(&waiter, 1, WAIT_MS);
		eventfd_read(indexer->wake_fd, &ignored);
	}
	/* Release: all records before the flag. */
	atomic_store_explicit(&indexer->ended, true, memory_order_release);
	return NULL;
}

int ft_indexer_open(struct ft_indexer *indexer, struct ft_error *error)
{
	ft_retention_init(&indexer->retention);
	indexer->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (indexer->wake_fd < 0)
		return ft_fail(error, -errno, "eventfd: %s", strerror(errno));
	return 0;
}

void ft_indexer_close(struct ft_indexer *indexer)
{
	if (indexer->writer == NULL)
		return; /* never opened */
	if (indexer->wake_fd >= 0)
		close(indexer->wake_fd);
	ft_retention_free(&indexer->retention);
}

int ft_indexer_start(struct ft_indexer *indexer, struct ft_error *error)
{
	int rc = pthread_create(&indexer->thread, NULL, run, indexer);

	if (rc != 0)
		return ft_fail(error, -rc, "cannot start the indexer thread");
	pthread_setname_np(indexer->thread, "ft-indexer");
	return 0;
}

void ft_indexer_finish(struct ft_indexer *indexer)
{
	atomic_store_explicit(&indexer->finishing, true, memory_order_release);
	wake(indexer);
}

void ft_indexer_join(struct ft_indexer *indexer)
{
	pthread_join(indexer->thread, NULL);
}

void ft_indexer_expect(struct ft_indexer *indexer)
{
	while (atomic_load_explicit(&indexer->open_files, memory_order_acquire) >= MAX_OPEN_FILES)
		usleep(1000);
	atomic_fetch_add_explicit(&indexer->open_files, 1, memory_order_relaxed);
}

void ft_indexer_pass_chunk(struct ft_indexer *indexer, struct ft_chunk *chunk)
{
	while (!ft_ring_push(&indexer->chunks, chunk)) /* several pools together hold more */
		usleep(1000);
	wake(indexer);
}

void ft_indexer_pass_file(struct ft_indexer *indexer, struct ft_file *file)
{
	while (!ft_ring_push(&indexer->files, file))
		usleep(1000);
	wake(indexer);
}
