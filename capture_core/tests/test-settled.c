/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a capture that a crash left is taken by its marks, and that the rest is mended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chunked.h"
#include "folder.h"
#include "ft/repair.h"
#include "ft/walk.h"
#include "store/settled.h"

#define CHUNKS	    12u
#define LARGE	    156u /* chunks of 4 MiB: more than the margin */
#define FRAME_BYTES 9000u

static uint64_t chunk_offset[LARGE + 3];

/* Chunk 0 is the header. A sync ends before each `synced_every`th of the others, 0: never. */
static void make_capture(const char *path, unsigned chunks, unsigned frames, unsigned synced_every)
{
	struct chunked *c = chunked_begin(path, 9, false);
	uint32_t number = 0;

	for (unsigned i = 1; i <= chunks; i++) {
		chunk_offset[i] = c->offset;
		if (synced_every != 0)
			c->mark.synced_ns = i / synced_every;
		for (unsigned j = 0; j < frames; j++)
			chunked_put_udp(c, CHUNKED_BASE_NS, FRAME_BYTES, 1, number++);
		chunked_end(c, 0);
	}
	chunk_offset[chunks + 1] = c->offset;
	chunk_offset[chunks + 2] = chunked_finish(c);
}

static void zero_at(const char *path, uint64_t offset, size_t count)
{
	uint8_t *zeros = calloc(1, count);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, zeros, count, (off_t)offset), count);
	close(fd);
	free(zeros);
}

static void zero_mark_of(const char *path, unsigned chunk)
{
	zero_at(path, chunk_offset[chunk + 1] - 4096, 4096);
}

static uint64_t settled_bytes(const char *path, uint64_t margin_bytes)
{
	struct ft_spans spans = {0};
	struct ft_error error;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t bytes;

	assert_true(fd >= 0);
	assert_int_equal(ft_spans_open(&spans, path, fd, &error), 0);
	bytes = ft_settled_bytes(&spans, margin_bytes);
	ft_spans_close(&spans);
	close(fd);
	return bytes;
}

static void what_two_syncs_and_the_margin_follow_is_settled(void **state)
{
	uint64_t chunk_bytes;

	(void)state;
	make_capture("synced", CHUNKS, 10, 2);
	chunk_bytes = chunk_offset[3] - chunk_offset[2];
	/* Chunks 12, 11 10, 9 8: the last that was there before two syncs is 9. */
	assert_true(settled_bytes("synced", 0) == chunk_offset[9]);
	assert_true(settled_bytes("synced", 3 * chunk_bytes) == chunk_offset[7]);
	assert_true(settled_bytes("synced", 1 << 30) == 0);
}

static void without_two_syncs_nothing_is_settled(void **state)
{
	(void)state;
	make_capture("never", CHUNKS, 10, 0);
	assert_true(settled_bytes("never", 0) == 0);
	make_capture("once", CHUNKS, 10, 8);
	assert_true(settled_bytes("once", 0) == 0);
}

static void reserved_space_behind_the_last_chunk_is_passed_over(void **state)
{
	(void)state;
	make_capture("reserved", CHUNKS, 10, 2);
	zero_at("reserved", chunk_offset[CHUNKS + 2], 300001);
	assert_int_equal(truncate("reserved", 8 << 20), 0);
	assert_true(settled_bytes("reserved", 0) == chunk_offset[9]);
}

static void torn_chunks_at_the_end_are_not_settled_and_hide_nothing(void **state)
{
	uint64_t chunk_bytes;

	(void)state;
	make_capture("torn", CHUNKS, 10, 2);
	chunk_bytes = chunk_offset[3] - chunk_offset[2];
	zero_mark_of("torn", 11);
	/* From chunk 10 on: 10, 9 8, 7. */
	assert_true(settled_bytes("torn", 3 * chunk_bytes) == chunk_offset[5]);
	zero_mark_of("torn", 12);
	assert_true(settled_bytes("torn", 4 * chunk_bytes) == chunk_offset[4]);
}

static void where_the_marks_do_not_lead_back_to_the_header_nothing_is_settled(void **state)
{
	struct chunked *c = chunked_begin("skipped", 9, false);

	(void)state;
	for (unsigned i = 0; i < CHUNKS; i++) {
		c->mark.synced_ns = i;
		c->mark.sequence += i == 2;
		chunked_put_udp(c, CHUNKED_BASE_NS, FRAME_BYTES, 1, i);
		chunked_end(c, 0);
	}
	chunked_finish(c);
	assert_true(settled_bytes("skipped", 0) == 0);
	make_capture("broken", CHUNKS, 10, 2);
	zero_mark_of("broken", 2);
	assert_true(settled_bytes("broken", 0) == 0);
}

static void mend_again(const char *name, struct ft_repair *repair)
{
	struct ft_error error;
	char partial[64];

	snprintf(partial, sizeof(partial), "%s.partial", name);
	if (exists(name))
		assert_int_equal(rename(name, partial), 0);
	if (ft_repair_file(partial, repair, &error) != 0)
		fail_msg("%s", error.text);
	assert_string_equal(repair->path, name);
}

static bool walk_tells(const char *path, const char *what, uint64_t offset)
{
	json_t *walked = ft_walk_file(path), *gap;
	bool told = false;
	size_t index;

	json_array_foreach(json_object_get(walked, "gaps"), index, gap) told |=
		strcmp(json_string_value(json_object_get(gap, "what")), what) == 0 &&
		json_integer_value(json_object_get(gap, "offset")) == (json_int_t)offset;
	json_decref(walked);
	return told;
}

static void a_large_capture_is_mended_at_its_end_and_where_its_marks_break(void **state)
{
	const char *name = "large.pcapng";
	struct ft_repair repair;

	(void)state;
	make_capture("large.pcapng.partial", LARGE, 460, LARGE / 8);
	/* A hole near the end, as a crash leaves it, and within a frame of the settled part. */
	zero_at("large.pcapng.partial", chunk_offset[LARGE - 1], 8192);
	zero_at("large.pcapng.partial", chunk_offset[2] + 100, 8);
	assert_int_equal(truncate("large.pcapng.partial", 1 << 30), 0);
	mend_again(name, &repair);
	assert_true(repair.filled_bytes == chunk_offset[LARGE] - chunk_offset[LARGE - 1]);
	assert_true(repair.size_bytes == chunk_offset[LARGE + 2]);
	assert_true(walk_tells(name, "mended", chunk_offset[LARGE - 1]));
	assert_true(walk_tells(name, "crc", chunk_offset[2]));

	/* The next time there is nothing to do; filler at the end does not hide the rest. */
	mend_again(name, &repair);
	assert_false(repair.changed);

	/* Far back a whole chunk is missing. */
	zero_at(name, chunk_offset[3], chunk_offset[4] - chunk_offset[3]);
	mend_again(name, &repair);
	assert_true(repair.filled_bytes == chunk_offset[4] - chunk_offset[3]);
	assert_true(walk_tells(name, "mended", chunk_offset[3]));
	mend_again(name, &repair);
	assert_false(repair.changed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_two_syncs_and_the_margin_follow_is_settled),
		cmocka_unit_test(without_two_syncs_nothing_is_settled),
		cmocka_unit_test(reserved_space_behind_the_last_chunk_is_passed_over),
		cmocka_unit_test(torn_chunks_at_the_end_are_not_settled_and_hide_nothing),
		cmocka_unit_test(where_the_marks_do_not_lead_back_to_the_header_nothing_is_settled),
		cmocka_unit_test(a_large_capture_is_mended_at_its_end_and_where_its_marks_break),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
