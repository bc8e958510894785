/* SPDX-License-Identifier: Apache-2.0 */
/* On a veth pair in a network namespace of the test's own. */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "folder.h"
#include "port/ethtool.h"
#include "port/offload.h"

#define DEVICE	"ftoff0"
#define FEATURE "rx-gro"

static struct ft_error error;
static bool has_link;

static int enter_namespace(void **state)
{
	if (enter_folder(state) != 0)
		return -1;
	has_link = unshare(CLONE_NEWNET) == 0 &&
		   system("ip link add " DEVICE " type veth peer name ftoff1") == 0;
	return setenv("FIELDTAP_RUN_DIR", *state, 1);
}

/* As an administrator left it: frames are joined. */
static int switch_joining_on(void **state)
{
	(void)state;
	return has_link ? ft_ethtool_set_feature(DEVICE, FEATURE, true) : 0;
}

static void need_link(void)
{
	if (has_link)
		return;
	print_message("needs root to make a network namespace and a veth pair\n");
	skip();
}

static bool joins(void)
{
	return ft_ethtool_feature(DEVICE, FEATURE) == 1;
}

static struct ft_offload stop_joining(void)
{
	struct ft_offload offload;
	int rc = ft_offload_stop(DEVICE, (int)if_nametoindex(DEVICE), &offload, &error);

	if (rc != 0)
		fail_msg("%s", error.text);
	return offload;
}

static void frames_are_not_joined_during_a_capture_and_again_after_it(void **state)
{
	struct ft_offload offload;

	(void)state;
	need_link();
	offload = stop_joining();
	assert_false(joins());
	ft_offload_restore(&offload);
	assert_true(joins());
}

static void what_was_off_before_stays_off(void **state)
{
	struct ft_offload offload;

	(void)state;
	need_link();
	assert_int_equal(ft_ethtool_set_feature(DEVICE, FEATURE, false), 0);
	offload = stop_joining();
	ft_offload_restore(&offload);
	assert_false(joins());
}

static void the_last_of_several_captures_restores(void **state)
{
	struct ft_offload first, second;

	(void)state;
	need_link();
	first = stop_joining();
	second = stop_joining();
	ft_offload_restore(&first);
	assert_false(joins());
	ft_offload_restore(&second);
	assert_true(joins());
}

static void the_next_start_restores_what_a_crash_left(void **state)
{
	struct ft_offload offload;
	pid_t engine;
	int status;

	(void)state;
	need_link();
	engine = fork();
	if (engine == 0) {
		stop_joining();
		_exit(0);
	}
	assert_int_equal(waitpid(engine, &status, 0), engine);
	assert_int_equal(status, 0);
	assert_false(joins());
	offload = stop_joining();
	assert_false(joins());
	ft_offload_restore(&offload);
	assert_true(joins());
}

static int come_and_go(void)
{
	for (unsigned i = 0; i < 100; i++) {
		struct ft_offload offload = stop_joining();
		bool joined = joins();

		ft_offload_restore(&offload);
		if (joined)
			return 1;
	}
	return 0;
}

static void captures_that_come_and_go_never_undo_each_other(void **state)
{
	pid_t engines[4];

	(void)state;
	need_link();
	for (unsigned i = 0; i < 4; i++) {
		engines[i] = fork();
		if (engines[i] == 0)
			_exit(come_and_go());
	}
	for (unsigned i = 0; i < 4; i++) {
		int status;

		assert_int_equal(waitpid(engines[i], &status, 0), engines[i]);
		assert_int_equal(status, 0);
	}
	assert_true(joins());
}

static void a_port_that_was_left_alone_has_nothing_to_restore(void **state)
{
	struct ft_offload offload = {.state_fd = -1, .xdp_link_fd = -1};

	(void)state;
	ft_offload_restore(&offload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frames_are_not_joined_during_a_capture_and_again_after_it,
				       switch_joining_on),
		cmocka_unit_test_setup(what_was_off_before_stays_off, switch_joining_on),
		cmocka_unit_test_setup(the_last_of_several_captures_restores, switch_joining_on),
		cmocka_unit_test_setup(the_next_start_restores_what_a_crash_left,
				       switch_joining_on),
		cmocka_unit_test_setup(captures_that_come_and_go_never_undo_each_other,
				       switch_joining_on),
		cmocka_unit_test(a_port_that_was_left_alone_has_nothing_to_restore),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_folder);
}
