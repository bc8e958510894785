/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/replay.h"

#define TAGGED 0x81

static const struct ft_replay_limits limits = {
	.port = "eth0", .max_bytes = 1514, .max_tagged_bytes = 1518};
static struct ft_error error;
static struct ft_replay replay;

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

static int load(const char *filter)
{
	return ft_replay_load("capture", filter, &limits, NULL, &replay, &error);
}

static void frames_are_due_as_they_were_captured(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 60, 8);
	put_frame(25, 1514, 8);
	put_frame(20, 60, 8); /* stamped out of order: follows at once */
	put_frame(30, 14, 8);
	assert_int_equal(load(NULL), 0);
	assert_int_equal(replay.frame_count, 4);
	assert_int_equal(replay.frames[0].due_ns, 0);
	assert_int_equal(replay.frames[1].due_ns, 15000);
	assert_int_equal(replay.frames[2].due_ns, 15000);
	assert_int_equal(replay.frames[3].due_ns, 20000);
	assert_int_equal(replay.frames[2].at, 60 + 1514);
	assert_int_equal(replay.frames[3].bytes, 14);
	assert_int_equal(replay.data[replay.frames[3].at + 12], 8);
	ft_replay_free(&replay);
}

static void a_frame_beyond_the_port_is_refused_by_number_with_a_remedy(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 60, 8);
	put_frame(11, 1515, 8);
	assert_int_equal(load(NULL), -EINVAL);
	assert_non_null(strstr(error.text, "frame 2 has 1515 bytes"));
	assert_non_null(strstr(error.text, "mtu 1501"));
	assert_null(replay.frames);
}

static void a_tagged_frame_may_be_four_bytes_longer(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 1518, TAGGED);
	assert_int_equal(load(NULL), 0);
	ft_replay_free(&replay);
}

static void a_frame_shorter_than_its_header_is_refused(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 13, 8);
	assert_int_equal(load(NULL), -EINVAL);
	assert_non_null(strstr(error.text, "frame 1 has 13 bytes"));
}

static void another_link_type_is_refused(void **state)
{
	(void)state;
	begin_capture(127);
	put_frame(10, 60, 8);
	assert_int_equal(load(NULL), -EINVAL);
	assert_non_null(strstr(error.text, "link type 127"));
}

static void a_filter_leaves_frames_out_before_they_are_judged(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 60, 8);
	put_frame(11, 1600, 8);
	put_frame(12, 61, 8);
	assert_int_equal(load("less 1514"), 0);
	assert_int_equal(replay.frame_count, 2);
	assert_int_equal(replay.frames[1].due_ns, 2000);
	ft_replay_free(&replay);
}

static void a_damaged_file_is_refused_whole(void **state)
{
	(void)state;
	begin_capture(1);
	put_frame(10, 60, 8);
	put_bytes("capture", "torn", 4);
	assert_int_equal(load(NULL), -EBADMSG);
	assert_null(replay.frames);
}

static void many_frames_are_indexed(void **state)
{
	(void)state;
	begin_capture(1);
	for (uint32_t i = 0; i < 3000; i++)
		put_frame(i, 700, 8);
	assert_int_equal(load(NULL), 0);
	assert_int_equal(replay.frame_count, 3000);
	assert_int_equal(replay.data_bytes, 3000 * 700);
	assert_int_equal(replay.data[replay.frames[2999].at + 12], 8);
	ft_replay_free(&replay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_due_as_they_were_captured),
		cmocka_unit_test(a_frame_beyond_the_port_is_refused_by_number_with_a_remedy),
		cmocka_unit_test(a_tagged_frame_may_be_four_bytes_longer),
		cmocka_unit_test(a_frame_shorter_than_its_header_is_refused),
		cmocka_unit_test(another_link_type_is_refused),
		cmocka_unit_test(a_filter_leaves_frames_out_before_they_are_judged),
		cmocka_unit_test(a_damaged_file_is_refused_whole),
		cmocka_unit_test(many_frames_are_indexed),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
