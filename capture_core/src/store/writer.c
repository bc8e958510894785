/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by one thread. It may wait for the disk: the hot threads' pools bridge a second of line rate.
 * It must pass every chunk on, and must count each frame as stored or as dropped by the disk.
 *
 * When the output fails (disk full, I/O error) it stops writing for good and goes on counting. The
 * frames that fitted stay.
 */
#include "store/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ft/clock.h"
#include "store/shorten.h"
#include "store/writer_run.h"

#define SYNC_EVERY_NS (FT_WRITER_SYNC_MS * FT_NS_PER_MS)

/* Nothing of it is written. Only the indexer gives chunks of files back: a ring has one producer.
 */
static void pass_unwritten(struct ft_writer *writer, struct ft_chunk *chunk)
{
	chunk->used_bytes = 0;
	ft_indexer_pass_chunk(writer->indexer, chunk);
}

/* --- files ---------------------------------------------------------------------------------- */

static int write_header(struct ft_writer *writer, struct ft_file *file)
{
	struct ft_chunk_mark mark = {
		.sequence = writer->next_sequence,
	};

	if (writer->pcapng) {
		memcpy(mark.session, writer->session, sizeof(mark.session));
		ft_pcapng_seal_chunk(writer->header, writer->header_bytes, &mark);
		file->first_sequence = file->last_sequence = writer->next_sequence++;
	}
	ft_file_make_room(file, writer->header_bytes, &writer->error);
	return ft_file_append(file, writer->header, writer->header_bytes, &writer->error);
}

static int open_file(struct ft_writer *writer, uint64_t number)
{
	const char *path = writer->path;
	char name[FT_PATH_BYTES];
	int rc;

	if (writer->ring) {
		ft_ring_name(writer->path, number + 1, ft_clock_utc_ns(), name, sizeof(name));
		path = name;
	}
	rc = ft_file_open(path, number, writer->direct, &writer->file, &writer->error);
	if (rc != 0)
		return rc;
	writer->file->hashed = writer->hashed;
	writer->file->expected_bytes = writer->expected_bytes;
	ft_indexer_expect(writer->indexer);
	atomic_store_explicit(&writer->file_number, number, memory_order_relaxed);
	return write_header(writer, writer->file);
}

/* After what was given for it before, the file goes to the indexer. */
static void close_file(struct ft_writer *writer)
{
	const struct ft_disk_job job = {.what = FT_DISK_CLOSE, .file = writer->file};

	ft_file_release_room(writer->file); /* the next file may need it */
	writer->file->ended_ns = ft_clock_utc_ns();
	writer->unsynced_files++;
	ft_disk_give(&writer->disk, &job, -1);
	writer->file = NULL;
	writer->dirty = false;
}

static int slot_of(const struct ft_writer *writer, const struct ft_chunk *chunk)
{
	const struct ft_pool *pool = chunk->pool;

	return (int)(writer->first_slot[pool->source] + (unsigned)(chunk - pool->chunks));
}

/* As much of the chunk as there is room for. */
static void place(struct ft_writer *writer, struct ft_chunk *chunk)
{
	struct ft_file *file = writer->file;
	const struct ft_disk_job job = {.what = FT_DISK_CHUNK, .file = file, .chunk = chunk};
	struct ft_disk_job whole = job;
	uint64_t room = 0;

	if (atomic_load_explicit(&writer->out_of_space, memory_order_relaxed) &&
	    !ft_writer_has_failed(writer)) {
		ft_fail(&writer->error, -ENOSPC,
			"%s: less free space than -b free: asks for, and no older file to expire",
			writer->path);
		ft_writer_fail(writer);
	}
	if (!ft_writer_has_failed(writer))
		room = ft_file_make_room(file, chunk->used_bytes, &writer->error);
	if (room < chunk->used_bytes) {
		uint64_t cut = ft_chunk_shorten(chunk, room, writer->pcapng, FT_CHUNK_ALIGNMENT);

		ft_count_add(&chunk->pool->ledger->dropped_disk, cut);
		ft_writer_fail(writer);
	}
	if (chunk->used_bytes == 0) {
		pass_unwritten(writer, chunk);
		return;
	}
	if (writer->pcapng) {
		struct ft_chunk_mark mark = {
			.sequence = writer->next_sequence,
			.synced_ns = file->synced_ns,
		};

		memcpy(mark.session, writer->session, sizeof(mark.session));
		ft_pcapng_seal_chunk(chunk->data, chunk->used_bytes, &mark);
		chunk->sequence = file->last_sequence = writer->next_sequence++;
	}
	chunk->written_to = file;
	chunk->offset = whole.offset = file->size_bytes;
	whole.bytes = chunk->used_bytes;
	file->size_bytes += chunk->used_bytes;
	atomic_store_explicit(&writer->file_bytes, file->size_bytes, memory_order_relaxed);
	writer->dirty = true;
	ft_disk_give(&writer->disk, &whole, slot_of(writer, chunk));
}

/* The pool's next chunk, if it is for the file that is being filled, or if no other will come. */
static struct ft_chunk *next_chunk(struct ft_writer *writer, unsigned pool)
{
	struct ft_chunk *chunk = writer->waiting[pool];

	if (chunk == NULL)
		chunk = ft_ring_pop(&writer->pools[pool]->filled);
	writer->waiting[pool] = chunk;
	if (chunk == NULL || (writer->file != NULL && !ft_writer_has_failed(writer) &&
			      chunk->file > writer->file->number))
		return NULL;
	writer->waiting[pool] = NULL;
	return chunk;
}

/* Whether no hot thread has anything more for the file, and one has something for a later one. */
static bool all_past_file(struct ft_writer *writer)
{
	bool any_later = false;

	for (unsigned i = 0; i < writer->pool_count; i++) {
		struct ft_pool *pool = writer->pools[i];
		/* Acquire: what it pushed before it said so. */
		uint64_t file = atomic_load_explicit(&pool->file, memory_order_acquire);

		if (writer->waiting[i] == NULL)
			writer->waiting[i] = ft_ring_pop(&pool->filled);
		if (writer->waiting[i] != NULL ? writer->waiting[i]->file <= writer->file->number
					       : file <= writer->file->number)
			return false;
		any_later = any_later || writer->waiting[i] != NULL || file != UINT64_MAX;
	}
	return any_later;
}

static void turn_to_next_file(struct ft_writer *writer)
{
	uint64_t number = writer->file->number + 1;

	close_file(writer);
	if (open_file(writer, number) != 0)
		ft_writer_fail(writer);
}

static bool place_round(struct ft_writer *writer)
{
	bool any = false;

	for (unsigned i = 0; i < writer->pool_count; i++) {
		struct ft_chunk *chunk =
			ft_disk_is_full(&writer->disk) ? NULL : next_chunk(writer, i);

		if (chunk == NULL)
			continue;
		any = true;
		if (writer->file != NULL) {
			place(writer, chunk);
			continue;
		}
		ft_writer_note_dropped(chunk);
		pass_unwritten(writer, chunk);
	}
	if (!any && writer->file != NULL && !ft_writer_has_failed(writer) &&
	    writer->disk.tail - writer->disk.head + 2 <= FT_DISK_DEPTH && all_past_file(writer)) {
		turn_to_next_file(writer);
		any = true;
	}
	return any;
}

/* The file took less than all of it: keep the whole blocks, let the file end with them. */
static void keep_what_fitted(struct ft_writer *writer, const struct ft_disk_job *job)
{
	struct ft_chunk *chunk = job->chunk;
	size_t wrote = job->result > 0 ? (size_t)job->result : 0;
	size_t room = wrote & ~(size_t)(FT_CHUNK_ALIGNMENT - 1);
	bool is_last_file = job->file == writer->file; /* else sequences have gone on in others */
	struct ft_error again; /* the first failure is what is told, and may be read now */
	uint64_t cut;

	if (!ft_writer_has_failed(writer))
		ft_fail(&writer->error, job->result < 0 ? job->result : -ENOSPC, "writing %s: %s",
			job->file->path, strerror(job->result < 0 ? -job->result : ENOSPC));
	ft_writer_fail(writer);
	if (job->offset >= job->file->size_bytes)
		room = 0; /* behind another that failed */
	cut = ft_chunk_shorten(chunk, room, writer->pcapng, FT_CHUNK_ALIGNMENT);
	ft_count_add(&chunk->pool->ledger->dropped_disk, cut);
	if (job->offset < job->file->size_bytes) {
		job->file->size_bytes = job->offset;
		job->file->last_sequence = writer->pcapng ? chunk->sequence - 1 : 0;
		if (is_last_file)
			writer->next_sequence = chunk->sequence;
	}
	if (chunk->used_bytes == 0)
		return;
	if (writer->pcapng) {
		struct ft_chunk_mark mark = {.sequence = chunk->sequence};

		memcpy(mark.session, writer->session, sizeof(mark.session));
		ft_pcapng_seal_chunk(chunk->data, chunk->used_bytes, &mark);
	}
	if (ft_file_append(job->file, chunk->data, chunk->used_bytes, &again) != 0) {
		ft_writer_note_dropped(chunk);
		memset(chunk->frames, 0, sizeof(chunk->frames));
		chunk->used_bytes = 0;
		return;
	}
	if (!writer->pcapng)
		return;
	job->file->last_sequence = chunk->sequence;
	if (is_last_file)
		writer->next_sequence = chunk->sequence + 1;
}

static void end_sync(struct ft_writer *writer, const struct ft_disk_job *job)
{
	uint64_t covers_ns = job->given_ns;

	if (job->what == FT_DISK_SYNC) {
		writer->syncing = false;
	} else {
		writer->unsynced_files--;
		covers_ns = job->file->ended_ns; /* what came later is in other files */
	}
	if (job->result < 0) {
		job->file->sync_failed = true;
		if (!ft_writer_has_failed(writer))
			ft_fail(&writer->error, job->result, "syncing %s: %s", job->file->path,
				strerror(-job->result));
		ft_writer_fail(writer);
		return;
	}
	if (!job->file->entry_synced && fsync(job->file->directory_fd) == 0)
		job->file->entry_synced = true;
	if (job->file->entry_synced)
		job->file->synced_ns = covers_ns;
	/* Not while the end of an earlier file is still to be synced. */
	if (job->file->entry_synced &&
	    (job->what == FT_DISK_LAST_SYNC || writer->unsynced_files == 0))
		atomic_store_explicit(&writer->synced_ns, covers_ns, memory_order_relaxed);
}

static void end_chunk(struct ft_writer *writer, const struct ft_disk_job *job)
{
	if (job->result != (int32_t)job->bytes || job->offset >= job->file->size_bytes)
		keep_what_fitted(writer, job);
	ft_writer_note_stored(writer, job->chunk);
	ft_indexer_pass_chunk(writer->indexer, job->chunk);
}

static void end_job(struct ft_writer *writer, const struct ft_disk_job *job)
{
	switch (job->what) {
	case FT_DISK_CHUNK:
		end_chunk(writer, job);
		break;
	case FT_DISK_SYNC:
		end_sync(writer, job);
		break;
	case FT_DISK_CLOSE:
		ft_disk_give(&writer->disk,
			     &(struct ft_disk_job){.what = FT_DISK_LAST_SYNC, .file = job->file},
			     -1);
		break;
	case FT_DISK_LAST_SYNC:
		end_sync(writer, job);
		ft_indexer_pass_file(writer->indexer, job->file);
		break;
	}
}

static bool take_round(struct ft_writer *writer)
{
	struct ft_disk_job *job;
	bool any = false;

	while ((job = ft_disk_take(&writer->disk)) != NULL) {
		end_job(writer, job);
		any = true;
	}
	return any;
}

static void sync_when_due(struct ft_writer *writer)
{
	uint64_t now_ns = ft_clock_monotonic_ns();
	const struct ft_disk_job job = {.what = FT_DISK_SYNC, .file = writer->file};

	if (!writer->dirty || writer->syncing || now_ns < writer->sync_at_ns ||
	    writer->file == NULL || ft_writer_has_failed(writer) || ft_disk_is_full(&writer->disk))
		return;
	writer->sync_at_ns = now_ns + SYNC_EVERY_NS;
	writer->dirty = false;
	writer->syncing = true;
	ft_disk_give(&writer->disk, &job, -1);
}

static void write_files(struct ft_writer *writer)
{
	while (1) {
		/* Acquire: the hot threads' last chunks before the flag. */
		bool last = atomic_load_explicit(&writer->finishing, memory_order_acquire);
		bool any = place_round(writer);

		any = take_round(writer) || any;
		sync_when_due(writer);
		if (any)
			continue;
		if (last && ft_disk_is_idle(&writer->disk))
			break;
		ft_disk_wait(&writer->disk, FT_WRITER_WAIT_MS);
	}
}

static void *run(void *argument)
{
	struct ft_writer *writer = argument;

	if (writer->stream == NULL && ft_disk_begin(&writer->disk, &writer->error) != 0)
		ft_writer_fail(writer);
	if (writer->stream != NULL || ft_writer_has_failed(writer))
		ft_writer_run_stream(writer);
	else
		write_files(writer);
	/* Release: all counts before the flag. */
	atomic_store_explicit(&writer->ended, true, memory_order_release);
	return NULL;
}

int ft_writer_open(struct ft_writer *writer, struct ft_error *error)
{
	unsigned slots = 0;
	int rc;

	writer->wake_fd = eventfd(0, EFD_CLOEXEC | (writer->stream != NULL ? EFD_NONBLOCK : 0));
	if (writer->wake_fd < 0)
		return ft_fail(error, -errno, "eventfd: %s", strerror(errno));
	if (writer->stream != NULL)
		return ft_writer_open_stream(writer, error);
	for (unsigned i = 0; i < writer->pool_count; i++) {
		writer->first_slot[i] = slots;
		slots += writer->pools[i]->chunk_count;
	}
	rc = ft_disk_open(&writer->disk, slots, writer->wake_fd, error);
	if (rc != 0)
		return rc;
	writer->direct = writer->pcapng;
	rc = open_file(writer, 0);
	if (rc != 0)
		*error = writer->error;
	return rc;
}

int ft_writer_start(struct ft_writer *writer, struct ft_error *error)
{
	int rc = pthread_create(&writer->thread, NULL, run, writer);

	if (rc != 0)
		return ft_fail(error, -rc, "cannot start the writer thread");
	pthread_setname_np(writer->thread, "ft-writer");
	return 0;
}

void ft_writer_finish(struct ft_writer *writer)
{
	atomic_store_explicit(&writer->finishing, true, memory_order_release);
	eventfd_write(writer->wake_fd, 1);
}

void ft_writer_join(struct ft_writer *writer)
{
	pthread_join(writer->thread, NULL);
}

int ft_writer_end_file(struct ft_writer *writer, uint8_t *blocks, size_t bytes,
		       struct ft_error *error)
{
	struct ft_chunk_mark mark = {.sequence = writer->next_sequence};
	struct ft_file *file = writer->file;
	int rc = 0;

	if (file == NULL)
		return 0;
	if (bytes > 0 && file->size_bytes > 0) {
		mark.synced_ns = file->synced_ns;
		memcpy(mark.session, writer->session, sizeof(mark.session));
		ft_pcapng_seal_chunk(blocks, bytes, &mark);
		rc = ft_file_append(file, blocks, bytes, error);
		if (rc == 0)
			file->last_sequence = writer->next_sequence++;
	}
	ft_indexer_pass_file(writer->indexer, file);
	writer->file = NULL;
	return rc;
}

void ft_writer_discard(struct ft_writer *writer)
{
	if (writer->file != NULL)
		ft_file_discard(writer->file);
}

void ft_writer_close(struct ft_writer *writer)
{
	ft_file_free(writer->file);
	if (writer->disk.registered != NULL)
		ft_disk_close(&writer->disk);
	if (writer->wake_fd >= 0)
		close(writer->wake_fd);
}
