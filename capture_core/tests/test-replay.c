/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/clock.h"
#include "ft/ranges.h"
#include "ft/replay.h"
#include "ft/rewrite.h"

#define TAGGED	 0x81
#define FOR_EVER (~(ft_fine_time)0 - 1)

static struct ft_replay_settings settings;
static struct ft_error error;
static struct ft_replay replay;

static int begin_test(void **state)
{
	(void)state;
	settings = (struct ft_replay_settings){
		.path = "capture",
		.to_ns = UINT64_MAX,
		.loops = 1,
		.limits = {"eth0", 1514, 1518},
	};
	return 0;
}

static int end_test(void **state)
{
	(void)state;
	ft_replay_free(&replay);
	return 0;
}

static void begin_capture(uint32_t link_type)
{
	const uint32_t header[] = {0xa1b2c3d4, 4u << 16 | 2u, 0, 0, 65535, link_type};

	unlink("capture");
	put_bytes("capture", header, sizeof(header));
}

/* A frame of zeros but for its thirteenth byte, the first of its EtherType. */
static void put_frame(uint32_t micros, uint32_t bytes, uint8_t type)
{
	const uint32_t header[] = {100, micros, bytes, bytes};
	uint8_t frame[2000] = {0};

	frame[12] = type;
	put_bytes("capture", header, sizeof(header));
	put_bytes("capture", frame, bytes);
}

static int open_replay(void)
{
	return ft_replay_open(&settings, &replay, &error);
}

/* Give `bytes` of the next frame and when it is due in microseconds, as it was before; -1: none. */
static long take(uint32_t *bytes)
{
	struct ft_source *source = &replay.source;
	struct iovec frame;
	ft_fine_time due = source->due;
	const struct timespec pause = {.tv_nsec = FT_NS_PER_MS};

	while (source->ops->fill(source, FOR_EVER, 0, &frame, 1) == 0) {
		if (source->due == FT_SOURCE_END)
			return -1;
		nanosleep(&pause, NULL);
		due = source->due;
	}
	if (bytes != NULL)
		*bytes = (uint32_t)frame.iov_len;
	return (long)(ft_fine_ns(due) / 1000);
}

static void begin_schedule(bool file_timing)
{
	replay.file_timing = file_timing;
	assert_int_equal(ft_replay_start(&replay, &error), 0);
	replay.source.ops->restart(&replay.source);
}

static void assert_due(const long *micros, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(take(NULL), micros[i]);
	assert_int_equal(take(NULL), -1);
}

static void frames_are_due_as_they_were_captured(void **state)
{
	static const long due[] = {0, 15, 15, 20};
	uint32_t bytes;

	(void)state;
	begin_capture(1);
	put_frame(10, 60, 8);
	put_frame(25, 1514, 8);
	put_frame(20, 60, 8); /* stamped out of order: follows at once */
	put_frame(30, 14, 8);
	assert_int_equal(open_replay(), 0);
	assert_int_equal(replay.frame_count, 4);
	assert_int_equal(replay.frames[3].data[12], 8);
	begin_schedule(true);
	assert_int_equal(take(&bytes), due[0]);
	assert_int_equal(bytes, 60);
	assert_int_equal(take(&bytes), due[1]);
	assert_int_equal(bytes, 1514);
	assert_due(due + 2, 2);
}

static void loops_follow_each_other_after_the_mean_gap(void **state)
{
	static const long due[] = {0, 10, 40, 60, 70, 100};

	(void)state;
	begin_capture(1);
	put_frame(0, 60, 8);
	put_frame(10, 60, 8);
	put_frame(40, 60, 8);
	settings.loops = 2;
	assert_int_equal(open_replay(), 0);
	begin_schedule(true);
	assert_due(due, 6);
}

static void a_file_that_does_not_fit_is_sent_the_same(void **state)
{
	static const long due[] = {0, 10, 40, 60, 70, 100};

	(void)state;
	begin_capture(1);
	put_frame(0, 60, 8);
	put_frame(10, 60, 8);
	put_frame(40, 60, 8);
	settings.loops = 2;
	settings.room_bytes = 100;
	assert_int_equal(open_replay(), 0);
	assert_null(replay.frames);
	begin_schedule(true);
	assert_due(due, 6);
	assert_int_equal(ft_replay_result(&replay, &error), 0);
}

static void a_replay_without_end_goes_on_in_bounded_memory(void **state)
{
	(void)state;
	begin_capture(1);
	for (uint32_t i = 0; i < 1000; i++)
		put_frame(i, 1400, 8);
	settings.loops = 0;
	settings.room_bytes = 1;
	assert_int_equal(open_replay(), 0);
	begin_schedule(true);
	/* Several times what the smallest ring holds. */
	for (long i = 0; i < 200000; i++)
		assert_int_equal(take(NULL), i);
}

static void a_rate_is_kept_over_loops(void **state)
{
	static const long due[] = {0, 100, 200, 300};

	(void)state;
	begin_capture(1);
	put_frame(0, 60, 8);
	put_frame(999999, 60, 8);
	settings.loops = 2;
	assert_int_equal(open_replay(), 0);
	replay.pace.per_frame = (ft_fine_time)100000 << FT_FINE_SHIFT;
	begin_schedule(false);
	assert_due(due, 4);
	assert_int_equal(ft_fine_ns(replay.source.ends), 400000);
}

static void a_new_pace_begins_with_the_next_frame_at_once(void **state)
{
	static const struct ft_pace pace = {.per_frame = (ft_fine_time)5000 << FT_FINE_SHIFT};

	(void)state;
	begin_capture(1);
	for (uint32_t i = 0; i < 6; i++)
		put_frame(i * 100, 60, 8);
	assert_int_equal(open_replay(), 0);
	begin_schedule(true);
	assert_int_equal(take(NULL), 0);
	ft_replay_set_pace(&replay, &pace, (ft_fine_time)20000 << FT_FINE_SHIFT);
	assert_int_equal(take(NULL), 20);
	assert_int_equal(take(NULL), 25);
	ft_replay_set_pace(&replay, NULL, (ft_fine_time)28000 << FT_FINE_SHIFT);
	assert_int_equal(take(NULL), 28);
	assert_int_equal(take(NULL), 128);
	assert_int_equal(take(NULL), 228);
}

static void a_frame_beyond_the_port_is_refused_by_number_with_a_remedy(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 60, 8);
	put_frame(11, 1515, 8);
	assert_int_equal(open_replay(), -EINVAL);
	assert_non_null(strstr(error.text, "frame 2 has 1515 bytes"));
	assert_non_null(strstr(error.text, "mtu 1501"));
	assert_null(replay.frames);
}

static void what_rewriting_makes_of_a_frame_is_what_must_fit(void **state)
{
	struct ft_rewrite *rewrite = NULL;

	(void)state;
	begin_capture(1);
	put_frame(10, 1514, 8);
	settings.rewrite = rewrite;
	assert_int_equal(ft_rewrite_add(&rewrite, "enet-vlan=add", &error), 0);
	assert_int_equal(ft_rewrite_add(&rewrite, "enet-vlan-tag=7", &error), 0);
	assert_int_equal(ft_rewrite_add(&rewrite, "enet-vlan-proto=802.1ad", &error), 0);
	settings.rewrite = rewrite;
	assert_int_equal(open_replay(), -EINVAL);
	assert_non_null(strstr(error.text, "1518 bytes"));
	ft_rewrite_free(rewrite);
}

static void a_tagged_frame_may_be_four_bytes_longer(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 1518, TAGGED);
	assert_int_equal(open_replay(), 0);
}

static void a_frame_shorter_than_its_header_is_refused(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 13, 8);
	assert_int_equal(open_replay(), -EINVAL);
	assert_non_null(strstr(error.text, "frame 1 has 13 bytes"));
}

static void another_link_type_is_refused(void **state)
{
	(void)state;
	begin_capture(127);
	put_frame(10, 60, 8);
	assert_int_equal(open_replay(), -EINVAL);
	assert_non_null(strstr(error.text, "link type 127"));
}

static void a_filter_leaves_frames_out_before_they_are_judged(void **state)
{
	static const long due[] = {0, 2};

	(void)state;
	begin_capture(1);
	put_frame(10, 60, 8);
	put_frame(11, 1600, 8);
	put_frame(12, 61, 8);
	settings.filter = "less 1514";
	assert_int_equal(open_replay(), 0);
	begin_schedule(true);
	assert_due(due, 2);
}

static void ranges_leave_frames_out_and_time_begins_with_the_first_that_is_sent(void **state)
{
	static const long due[] = {0, 20, 30};
	struct ft_ranges packets;

	(void)state;
	begin_capture(1);
	for (uint32_t i = 0; i < 6; i++)
		put_frame(i * 10, 60, 8);
	assert_int_equal(ft_ranges_parse("2,4-", &packets, &error), 0);
	settings.packets = &packets;
	settings.to_ns = 100 * FT_NS_PER_SECOND + 50000; /* before the sixth */
	assert_int_equal(open_replay(), 0);
	begin_schedule(true);
	assert_due(due, 3);
}

static void of_a_damaged_file_what_comes_before_is_sent_once(void **state)
{
	static const long due[] = {0};

	(void)state;
	begin_capture(1);
	put_frame(10, 60, 8);
	put_bytes("capture", "torn", 4);
	settings.loops = 5;
	assert_int_equal(open_replay(), 0);
	begin_schedule(true);
	assert_due(due, 1);
	assert_int_equal(ft_replay_result(&replay, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "cut short"));
}

static void a_file_damaged_from_the_start_is_refused(void **state)
{
	(void)state;
	begin_capture(1);
	put_bytes("capture", "torn", 4);
	assert_int_equal(open_replay(), -EBADMSG);
}

static void many_frames_are_indexed(void **state)
{
	(void)state;
	begin_capture(1);
	for (uint32_t i = 0; i < 3000; i++)
		put_frame(i, 700, 8);
	assert_int_equal(open_replay(), 0);
	assert_int_equal(replay.frame_count, 3000);
	assert_int_equal(replay.data_bytes, 3000 * 700);
	assert_int_equal(replay.frames[2999].data[12], 8);
}

static void lists_of_numbers_are_read_as_written(void **state)
{
	static const char *const bad[] = {"", "0", "-", "5-4", "1,,2", "x", "1-2-3", "1;2", "-0"};
	struct ft_ranges ranges;

	(void)state;
	assert_int_equal(ft_ranges_parse("7,20-23,-2,174-", &ranges, &error), 0);
	assert_true(ft_ranges_hold(&ranges, 1));
	assert_true(ft_ranges_hold(&ranges, 2));
	assert_false(ft_ranges_hold(&ranges, 3));
	assert_true(ft_ranges_hold(&ranges, 7));
	assert_true(ft_ranges_hold(&ranges, 23));
	assert_false(ft_ranges_hold(&ranges, 24));
	assert_true(ft_ranges_hold(&ranges, UINT64_MAX));
	assert_true(ft_ranges_last(&ranges) == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ft_ranges_parse(bad[i], &ranges, &error), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_are_due_as_they_were_captured),
		TEST(loops_follow_each_other_after_the_mean_gap),
		TEST(a_file_that_does_not_fit_is_sent_the_same),
		TEST(a_replay_without_end_goes_on_in_bounded_memory),
		TEST(a_rate_is_kept_over_loops),
		TEST(a_new_pace_begins_with_the_next_frame_at_once),
		TEST(a_frame_beyond_the_port_is_refused_by_number_with_a_remedy),
		TEST(what_rewriting_makes_of_a_frame_is_what_must_fit),
		TEST(a_tagged_frame_may_be_four_bytes_longer),
		TEST(a_frame_shorter_than_its_header_is_refused),
		TEST(another_link_type_is_refused),
		TEST(a_filter_leaves_frames_out_before_they_are_judged),
		TEST(ranges_leave_frames_out_and_time_begins_with_the_first_that_is_sent),
		TEST(of_a_damaged_file_what_comes_before_is_sent_once),
		TEST(a_file_damaged_from_the_start_is_refused),
		TEST(many_frames_are_indexed),
		TEST(lists_of_numbers_are_read_as_written),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
