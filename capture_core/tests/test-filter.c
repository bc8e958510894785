/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ft/filter.h"

#define ETHERNET  1
#define RAW_IP	  101
#define ADDRESSES 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02
/* IPv4, UDP, 10.0.0.1 port 1024 to 10.0.0.2 port 53, no payload. */
#define UDP_53                                                                                     \
	0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 4, 0, 0, 53, 0, 8, 0, 0

static const uint8_t plain[] = {ADDRESSES, 0x08, 0x00, UDP_53};
static const uint8_t tagged[] = {ADDRESSES, 0x81, 0x00, 0x00, 0x64, 0x08, 0x00, UDP_53};
static const uint8_t raw[] = {UDP_53};

static bool matches(const char *expression, uint16_t link_type, const uint8_t *bytes, size_t count)
{
	/* Memory of exactly this size: the sanitizer sees a look beyond it. */
	uint8_t *exact = malloc(count);
	const struct ft_frame frame = {
		.data = exact,
		.captured_bytes = (uint32_t)count,
		.length_bytes = (uint32_t)count,
	};
	struct ft_filter *filter;
	struct ft_error error;
	bool match;

	memcpy(exact, bytes, count);
	assert_int_equal(ft_filter_compile(expression, link_type, &filter, &error), 0);
	match = ft_filter_match(filter, &frame);
	ft_filter_free(filter);
	free(exact);
	return match;
}

static void a_filter_keeps_what_it_names_and_refuses_the_rest(void **state)
{
	(void)state;
	assert_true(matches("udp port 53", ETHERNET, plain, sizeof(plain)));
	assert_true(matches("src host 10.0.0.1 and len = 42", ETHERNET, plain, sizeof(plain)));
	assert_false(matches("tcp", ETHERNET, plain, sizeof(plain)));
	assert_false(matches("udp port 54", ETHERNET, plain, sizeof(plain)));
}

static void an_empty_filter_keeps_everything(void **state)
{
	(void)state;
	assert_true(matches("", ETHERNET, plain, sizeof(plain)));
}

static void vlan_filters_see_the_tag_in_its_place(void **state)
{
	(void)state;
	assert_true(matches("vlan 100 and udp port 53", ETHERNET, tagged, sizeof(tagged)));
	assert_false(matches("vlan 101", ETHERNET, tagged, sizeof(tagged)));
	assert_false(matches("vlan", ETHERNET, plain, sizeof(plain)));
}

static void raw_ip_has_no_link_header_to_skip(void **state)
{
	(void)state;
	assert_true(matches("udp port 53", RAW_IP, raw, sizeof(raw)));
	assert_false(matches("tcp", RAW_IP, raw, sizeof(raw)));
}

static void a_frame_cut_before_what_is_asked_for_does_not_match(void **state)
{
	(void)state;
	for (size_t count = 1; count < 38; count++)
		assert_false(matches("udp port 53", ETHERNET, plain, count));
}

static void length_is_the_frames_own_and_not_what_was_captured(void **state)
{
	const struct ft_frame frame = {.data = plain, .captured_bytes = 34, .length_bytes = 9000};
	struct ft_filter *filter;
	struct ft_error error;

	(void)state;
	assert_int_equal(ft_filter_compile("greater 9000", ETHERNET, &filter, &error), 0);
	assert_true(ft_filter_match(filter, &frame));
	ft_filter_free(filter);
}

static void a_bad_filter_is_refused_in_libpcaps_words(void **state)
{
	struct ft_filter *filter;
	struct ft_error error;

	(void)state;
	assert_int_equal(ft_filter_compile("udp prt 53", ETHERNET, &filter, &error), -22);
	assert_non_null(strstr(error.text, "-f 'udp prt 53': "));
	assert_non_null(strstr(error.text, "syntax error"));
	assert_null(strchr(error.text, '\n'));
}

static void freeing_no_filter_is_harmless(void **state)
{
	(void)state;
	ft_filter_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_keeps_what_it_names_and_refuses_the_rest),
		cmocka_unit_test(an_empty_filter_keeps_everything),
		cmocka_unit_test(vlan_filters_see_the_tag_in_its_place),
		cmocka_unit_test(raw_ip_has_no_link_header_to_skip),
		cmocka_unit_test(a_frame_cut_before_what_is_asked_for_does_not_match),
		cmocka_unit_test(length_is_the_frames_own_and_not_what_was_captured),
		cmocka_unit_test(a_bad_filter_is_refused_in_libpcaps_words),
		cmocka_unit_test(freeing_no_filter_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
