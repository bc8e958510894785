/* SPDX-License-Identifier: Apache-2.0 */
/* On a veth pair in a network namespace of the test's own; engines are children of the test. */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ctl/guardian.h"
#include "ctl/privileges.h"
#include "folder.h"
#include "port/ethtool.h"
#include "port/offload.h"

#define DEVICE	"ftgua0"
#define FEATURE "rx-gro"
#define WAIT_US 5000
#define WAITS	2000

static struct ft_error error;
static bool has_link;

static int enter_namespace(void **state)
{
	if (enter_folder(state) != 0)
		return -1;
	has_link = unshare(CLONE_NEWNET) == 0 &&
		   system("ip link add " DEVICE " type veth peer name ftgua1") == 0;
	return setenv("FIELDTAP_RUN_DIR", *state, 1);
}

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

enum how { ENDS, IS_KILLED };

/* A capture that switches joining off, gives up its privileges and says that it is ready. */
static _Noreturn void be_engine(int ready_fd, enum how how)
{
	const char *const directories[] = {"."};
	struct ft_guardian *guardian;
	struct ft_offload offload;
	struct ft_privileges kept;

	if (ft_guardian_start(false, &guardian, &error) != 0 ||
	    ft_offload_stop(DEVICE, (int)if_nametoindex(DEVICE), &offload, &error) != 0 ||
	    ft_privileges_drop(directories, 1, &kept, &error) != 0 || write(ready_fd, "r", 1) != 1)
		_exit(1);
	if (how == IS_KILLED)
		pause();
	ft_offload_restore(&offload);
	if (joins()) /* it may not, itself */
		_exit(2);
	ft_guardian_free(guardian);
	_exit(joins() ? 0 : 3);
}

static pid_t start_engine(enum how how)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		be_engine(ready[1], how);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	/* The guardian has nothing of the engine's open: only the engine keeps this pipe. */
	if (how == IS_KILLED)
		kill(pid, SIGKILL);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	return pid;
}

static void an_engine_without_privileges_ends_with_its_port_as_it_was(void **state)
{
	int status;
	pid_t engine;

	(void)state;
	need_link();
	engine = start_engine(ENDS);
	assert_int_equal(waitpid(engine, &status, 0), engine);
	assert_int_equal(status, 0);
	assert_true(joins());
}

static void a_killed_engine_gets_its_port_restored_by_its_guardian(void **state)
{
	pid_t engine;

	(void)state;
	need_link();
	engine = start_engine(IS_KILLED);
	assert_int_equal(waitpid(engine, NULL, 0), engine);
	for (unsigned i = 0; i < WAITS && !joins(); i++)
		usleep(WAIT_US);
	assert_true(joins());
}

/* The guardian: the only child of the test. */
static void signal_guardian(int number)
{
	char command[64];

	snprintf(command, sizeof(command), "pkill -%d -P %d -x ft-guardian", number, getpid());
	assert_int_equal(system(command), 0);
}

static void a_guardian_ignores_what_ends_engines(void **state)
{
	struct ft_guardian *guardian;

	(void)state;
	assert_int_equal(ft_guardian_start(false, &guardian, &error), 0);
	usleep(WAIT_US * 10); /* to take its name */
	signal_guardian(SIGINT);
	signal_guardian(SIGTERM);
	signal_guardian(SIGHUP);
	signal_guardian(0); /* still there */
	ft_guardian_free(guardian);
}

static void a_guardian_that_is_gone_does_not_hold_up_the_engines_end(void **state)
{
	struct ft_guardian *guardian;

	(void)state;
	assert_int_equal(ft_guardian_start(false, &guardian, &error), 0);
	usleep(WAIT_US * 10);
	signal_guardian(SIGKILL);
	assert_int_not_equal(ft_guardian_sign(guardian, "/etc/hostname", &error), 0);
	assert_string_equal(error.text, "ft-guardian does not answer");
	ft_guardian_free(guardian);
	ft_guardian_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_engine_without_privileges_ends_with_its_port_as_it_was,
				       switch_joining_on),
		cmocka_unit_test_setup(a_killed_engine_gets_its_port_restored_by_its_guardian,
				       switch_joining_on),
		cmocka_unit_test(a_guardian_ignores_what_ends_engines),
		cmocka_unit_test(a_guardian_that_is_gone_does_not_hold_up_the_engines_end),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_folder);
}
