/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of arista_ether.pcap are of tcpdump's own tests, recorded behind a switch, and the
 * times are what its arista_ether-e.out prints of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ft/clock.h"
#include "ft/port.h"
#include "port/arista.h"

#define ADDRESSES "\x01\x02\x03\x04\x05\x06\x11\x12\x13\x14\x15\x16"
#define VLAN	  "\x81\x00\x00\x64"
#define QINQ	  "\x88\xa8\x00\x0a"
#define ARISTA	  "\xd2\x8b\x00\x01"
#define TAI_64	  "\x00\x10"
#define UTC_64	  "\x01\x10"
#define TAI_48	  "\x00\x20"
#define UTC_48	  "\x01\x20"
#define SECONDS	  "\x5c\xee\xed\x56"
#define NANOS	  "\x38\x4f\x2b\xc8"
#define IPV4	  "\x08\x00"

#define SECONDS_S 0x5ceeed56ull
#define NANOS_NS  0x384f2bc8ull
#define TAI_UTC_S 37ull

#define STAMPED_NS (SECONDS_S * FT_NS_PER_SECOND + NANOS_NS)

static const uint64_t received_ns = (SECONDS_S + 1) * FT_NS_PER_SECOND;

static struct ft_frame stamp(const char *bytes, size_t count, uint64_t at_ns)
{
	/* Exactly as long, so that a sanitizer sees what is read beyond. */
	uint8_t *data = malloc(count > 0 ? count : 1);
	struct ft_frame frame = {.data = data,
				 .stamp_ns = at_ns,
				 .captured_bytes = (uint32_t)count,
				 .length_bytes = 1500};

	memcpy(data, bytes, count);
	ft_arista_stamp(&frame);
	assert_memory_equal(data, bytes, count);
	assert_int_equal(frame.length_bytes, 1500);
	free(data);
	return frame;
}

#define STAMP(text) stamp(text, sizeof(text) - 1, received_ns)

static void assert_stamped(struct ft_frame frame, uint64_t stamp_ns)
{
	assert_false(frame.unstamped);
	assert_int_equal(frame.stamp_ns, stamp_ns);
}

static void assert_unstamped(struct ft_frame frame)
{
	assert_true(frame.unstamped);
	assert_int_equal(frame.stamp_ns, received_ns);
}

static void a_utc_stamp_is_taken_as_it_is(void **state)
{
	(void)state;
	assert_stamped(STAMP(ADDRESSES ARISTA UTC_64 SECONDS NANOS IPV4), STAMPED_NS);
}

static void a_tai_stamp_loses_the_seconds_that_tai_is_ahead(void **state)
{
	(void)state;
	assert_stamped(STAMP(ADDRESSES ARISTA TAI_64 SECONDS NANOS IPV4),
		       STAMPED_NS - TAI_UTC_S * FT_NS_PER_SECOND);
}

static void the_hardware_series_changes_nothing(void **state)
{
	(void)state;
	assert_stamped(STAMP(ADDRESSES ARISTA "\x01\x11" SECONDS NANOS IPV4), STAMPED_NS);
}

static void a_short_stamp_is_completed_from_the_receivers(void **state)
{
	(void)state;
	assert_stamped(STAMP(ADDRESSES ARISTA UTC_48 "\xed\x56" NANOS IPV4), STAMPED_NS);
	assert_stamped(STAMP(ADDRESSES ARISTA TAI_48 "\xed\x56" NANOS IPV4),
		       STAMPED_NS - TAI_UTC_S * FT_NS_PER_SECOND);
}

static void a_short_stamp_is_of_the_turn_nearest_to_the_receivers(void **state)
{
	static const char late[] = ADDRESSES ARISTA UTC_48 "\xff\xff\0\0\0\0" IPV4;
	static const char early[] = ADDRESSES ARISTA UTC_48 "\0\1\0\0\0\0" IPV4;

	(void)state;
	assert_stamped(stamp(late, sizeof(late) - 1, 0x5cef0002 * FT_NS_PER_SECOND),
		       0x5ceeffff * FT_NS_PER_SECOND);
	assert_stamped(stamp(early, sizeof(early) - 1, 0x5ceefffe * FT_NS_PER_SECOND),
		       0x5cef0001 * FT_NS_PER_SECOND);
}

static void the_header_may_follow_vlan_tags(void **state)
{
	(void)state;
	assert_stamped(STAMP(ADDRESSES VLAN ARISTA UTC_64 SECONDS NANOS IPV4), STAMPED_NS);
	assert_stamped(STAMP(ADDRESSES QINQ VLAN ARISTA UTC_64 SECONDS NANOS IPV4), STAMPED_NS);
}

static void a_frame_without_a_header_keeps_the_receivers_stamp(void **state)
{
	(void)state;
	assert_unstamped(STAMP(ADDRESSES IPV4 "\x45\x00 and so on, long enough for any header"));
	assert_unstamped(STAMP(ADDRESSES VLAN IPV4 "\x45\x00 and so on"));
}

static void what_no_switch_says_is_not_believed(void **state)
{
	(void)state;
	assert_unstamped(
		STAMP(ADDRESSES "\xd2\x8b\x00\x02" UTC_64 SECONDS NANOS IPV4));	 /* subtype */
	assert_unstamped(STAMP(ADDRESSES ARISTA "\x02\x10" SECONDS NANOS IPV4)); /* scale */
	assert_unstamped(STAMP(ADDRESSES ARISTA "\x01\x30" SECONDS NANOS IPV4)); /* format */
	assert_unstamped(STAMP(ADDRESSES ARISTA UTC_64 SECONDS "\x3b\x9a\xca\x00" IPV4)); /* 1e9 */
	assert_unstamped(STAMP(ADDRESSES ARISTA TAI_64 "\0\0\0\x24" NANOS IPV4)); /* before 1970 */
}

static void a_frame_cut_within_the_header_keeps_the_receivers_stamp(void **state)
{
	static const char whole[] = ADDRESSES VLAN ARISTA UTC_64 SECONDS NANOS;

	(void)state;
	for (size_t count = 0; count < sizeof(whole) - 1; count++)
		assert_unstamped(stamp(whole, count, received_ns));
	assert_stamped(STAMP(ADDRESSES VLAN ARISTA UTC_64 SECONDS NANOS), STAMPED_NS);
}

/* Seconds and nanoseconds as printed; TAI ones less 37 s. */
static const struct {
	uint64_t seconds, nanoseconds;
	bool tai;
} recorded[] = {
	{1559162199, 944724424, true},	{1559162200, 432245804, true},
	{1559162200, 917204604, true},	{1559162202, 101121660, true},
	{1559162236, 448931747, false}, {1559162236, 936057586, false},
	{1559162237, 420710691, false}, {1559162238, 602381189, false},
	{1559162261, 404038772, true},	{1559162261, 893796872, true},
	{1559162262, 378011624, true},	{1559162263, 409682672, true},
	{1559162272, 954995144, false}, {1559162273, 443648960, false},
	{1559162273, 929943729, false}, {1559162275, 41072639, false},
};

static void recorded_frames_get_the_times_that_tcpdump_prints(void **state)
{
	const char *corpora = getenv("FIELDTAP_CORPORA");
	const struct ft_port_options options = {.directions = FT_DIRECTION_IN,
						.stamps = FT_STAMPS_ARISTA};
	struct ft_frame frames[FT_BATCH_FRAMES];
	struct ft_port *port;
	struct ft_error error;
	char path[4096];
	int count;

	(void)state;
	snprintf(path, sizeof(path), "file:%s/tcpdump/arista_ether.pcap",
		 corpora != NULL ? corpora : FT_CORPORA);
	if (access(path + strlen("file:"), R_OK) != 0) {
		print_message("no captures; set FIELDTAP_CORPORA\n");
		skip();
	}
	assert_int_equal(ft_port_create(path, &options, &port, &error), 0);
	assert_int_equal(ft_port_open(port, &error), 0);
	assert_string_equal(ft_port_interface(port, 0)->timestamps, "arista");
	assert_int_equal(ft_port_start(port, &error), 0);
	count = ft_port_receive(port, 0, frames, 1000, &error);
	assert_int_equal(count, sizeof(recorded) / sizeof(recorded[0]));
	for (int i = 0; i < count; i++)
		assert_stamped(frames[i],
			       (recorded[i].seconds - (recorded[i].tai ? TAI_UTC_S : 0)) *
					       FT_NS_PER_SECOND +
				       recorded[i].nanoseconds);
	ft_port_free(port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_utc_stamp_is_taken_as_it_is),
		cmocka_unit_test(a_tai_stamp_loses_the_seconds_that_tai_is_ahead),
		cmocka_unit_test(the_hardware_series_changes_nothing),
		cmocka_unit_test(a_short_stamp_is_completed_from_the_receivers),
		cmocka_unit_test(a_short_stamp_is_of_the_turn_nearest_to_the_receivers),
		cmocka_unit_test(the_header_may_follow_vlan_tags),
		cmocka_unit_test(a_frame_without_a_header_keeps_the_receivers_stamp),
		cmocka_unit_test(what_no_switch_says_is_not_believed),
		cmocka_unit_test(a_frame_cut_within_the_header_keeps_the_receivers_stamp),
		cmocka_unit_test(recorded_frames_get_the_times_that_tcpdump_prints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
