/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "port/port_ops.h"

static struct ft_error error;

static struct ft_port *create(const char *spec)
{
	const struct ft_port_options options = {.directions = FT_DIRECTION_BOTH};
	struct ft_port *port;

	if (ft_port_create(spec, &options, &port, &error) != 0)
		fail_msg("%s: %s", spec, error.text);
	return port;
}

static void assert_refused(const char *spec, const char *word)
{
	const struct ft_port_options options = {.directions = FT_DIRECTION_BOTH};
	struct ft_port *port;

	assert_int_equal(ft_port_create(spec, &options, &port, &error), -EINVAL);
	if (strstr(error.text, word) == NULL || strchr(error.text, '\n') != NULL)
		fail_msg("%s: said '%s', without '%s'", spec, error.text, word);
}

static void a_device_without_keys_is_as_before(void **state)
{
	struct ft_port *port = create("lo");

	(void)state;
	assert_string_equal(ft_port_name(port), "lo");
	assert_int_equal(ft_port_blocks(port), 0);
	ft_port_free(port);
}

static void keys_follow_the_device_with_or_without_a_back_end(void **state)
{
	static const char *const specs[] = {"lo,queues=3,blocks=7",
					    "afpacket:lo,blocks=7,queues=3"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ft_port *port = create(specs[i]);

		assert_string_equal(ft_port_name(port), "lo");
		assert_int_equal(ft_port_blocks(port), 7);
		assert_int_equal(ft_port_key_number(port, "queues", 1), 3);
		assert_string_equal(ft_port_key(port, "queues"), "3");
		ft_port_free(port);
	}
}

static void a_key_not_given_has_no_text_and_the_number_asked_with(void **state)
{
	struct ft_port *port = create("lo,blocks=1");

	(void)state;
	assert_null(ft_port_key(port, "queues"));
	assert_int_equal(ft_port_key_number(port, "queues", 5), 5);
	ft_port_free(port);
}

static void a_wrong_key_is_one_line_that_names_port_key_and_what_is_allowed(void **state)
{
	(void)state;
	assert_refused("lo,colour=red", "port 'lo': no key 'colour'; back end afpacket takes: "
					"queues, blocks");
	assert_refused("lo,queues=17",
		       "port 'lo': key 'queues': '17' is not a number from 1 to 16");
	assert_refused("lo,queues=0", "1 to 16");
	assert_refused("lo,queues=", "1 to 16");
	assert_refused("lo,blocks=65537", "1 to 65536");
	assert_refused("lo,queues", "'queues' is not key=value");
	assert_refused("lo,", "'' is not key=value");
	assert_refused("lo,queues=1,queues=2", "'queues' is given twice");
	assert_refused(",queues=1", "names no device");
}

static void a_path_may_hold_commas_and_equals_signs(void **state)
{
	struct ft_port *port = create("file:a,queues=17");

	(void)state;
	assert_string_equal(ft_port_name(port), "a,queues=17");
	ft_port_free(port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_without_keys_is_as_before),
		cmocka_unit_test(keys_follow_the_device_with_or_without_a_back_end),
		cmocka_unit_test(a_key_not_given_has_no_text_and_the_number_asked_with),
		cmocka_unit_test(a_wrong_key_is_one_line_that_names_port_key_and_what_is_allowed),
		cmocka_unit_test(a_path_may_hold_commas_and_equals_signs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
