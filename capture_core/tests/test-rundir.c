/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ctl/rundir.h"
#include "folder.h"

static struct ft_error error;

static int enter_run(void **state)
{
	if (enter_folder(state) != 0)
		return -1;
	return setenv("FIELDTAP_RUN_DIR", *state, 1);
}

static bool answers(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool connected;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return connected;
}

/* What an engine leaves that was killed: folder, lock and a socket that nobody listens on. */
static void leave_dead_engine(const char *name)
{
	pid_t engine = fork();
	int status;

	if (engine == 0) {
		struct ft_rundir rundir;

		_exit(ft_rundir_claim(name, &rundir, &error) != 0 ||
		      ft_rundir_listen(&rundir, &error) < 0);
	}
	assert_int_equal(waitpid(engine, &status, 0), engine);
	assert_int_equal(status, 0);
}

static void a_claimed_name_is_a_folder_without_a_socket_yet(void **state)
{
	struct ft_rundir rundir;

	(void)state;
	assert_int_equal(ft_rundir_claim("one", &rundir, &error), 0);
	assert_true(exists("one"));
	assert_false(exists("one/control.sock"));
	ft_rundir_release(&rundir);
}

static void the_socket_appears_when_it_answers(void **state)
{
	struct ft_rundir rundir;
	int fd;

	(void)state;
	assert_int_equal(ft_rundir_claim("one", &rundir, &error), 0);
	fd = ft_rundir_listen(&rundir, &error);
	assert_true(fd >= 0);
	assert_true(answers("one/control.sock"));
	assert_false(exists("one/control.new"));
	close(fd);
	ft_rundir_release(&rundir);
}

static void a_name_in_use_is_refused_and_left_alone(void **state)
{
	struct ft_rundir first, second;
	int fd;

	(void)state;
	assert_int_equal(ft_rundir_claim("one", &first, &error), 0);
	fd = ft_rundir_listen(&first, &error);
	assert_int_equal(ft_rundir_claim("one", &second, &error), -EEXIST);
	assert_non_null(strstr(error.text, "--name one: a running engine has this name"));
	ft_rundir_release(&second);
	assert_true(answers("one/control.sock"));
	close(fd);
	ft_rundir_release(&first);
}

static void what_a_dead_engine_left_is_taken_over(void **state)
{
	struct ft_rundir rundir;

	(void)state;
	leave_dead_engine("dead");
	assert_true(exists("dead/control.sock"));
	assert_int_equal(ft_rundir_claim("dead", &rundir, &error), 0);
	assert_false(exists("dead/control.sock"));
	ft_rundir_release(&rundir);
}

static void a_released_name_leaves_nothing_and_is_free(void **state)
{
	struct ft_rundir rundir;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ft_rundir_claim("one", &rundir, &error), 0);
		close(ft_rundir_listen(&rundir, &error));
		ft_rundir_release(&rundir);
		assert_false(exists("one"));
	}
}

static void what_a_client_keeps_in_the_folder_survives_the_engine(void **state)
{
	struct ft_rundir rundir;

	(void)state;
	assert_int_equal(ft_rundir_claim("logged", &rundir, &error), 0);
	put_text("logged/log", "said by a client\n");
	ft_rundir_release(&rundir);
	assert_false(exists("logged/lock"));
	assert_true(holds_text("logged/log", "said by a client\n"));
}

static void a_name_must_be_one_printable_path_component(void **state)
{
	static const char *const bad[] = {"",	".",	"..", ".hidden", "a/b",	 "/abs",
					  "-i", "a\nb", "\t", "\x7f",	 "\xff", "caf\xe9"};
	char name[66];
	struct ft_rundir rundir;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ft_rundir_claim(bad[i], &rundir, &error), -EINVAL);
		assert_non_null(strstr(error.text, "--name"));
	}
	memset(name, 'x', 65);
	name[65] = '\0';
	assert_int_equal(ft_rundir_claim(name, &rundir, &error), -EINVAL);
	name[64] = '\0';
	assert_int_equal(ft_rundir_claim(name, &rundir, &error), 0);
	ft_rundir_release(&rundir);
	assert_int_equal(ft_rundir_claim("tap 2, Büro", &rundir, &error), 0);
	ft_rundir_release(&rundir);
}

static void a_folder_that_is_a_link_to_nowhere_is_an_error(void **state)
{
	struct ft_rundir rundir;

	(void)state;
	assert_int_equal(symlink("nowhere", "astray"), 0);
	assert_true(ft_rundir_claim("astray", &rundir, &error) < 0);
}

static void a_path_too_long_for_a_socket_says_what_to_do(void **state)
{
	char longer[200];
	struct ft_rundir rundir;

	memset(longer, 0, sizeof(longer));
	snprintf(longer, sizeof(longer), "%s/%0100d", (const char *)*state, 0);
	setenv("FIELDTAP_RUN_DIR", longer, 1);
	assert_int_equal(ft_rundir_claim("one", &rundir, &error), 0);
	assert_int_equal(ft_rundir_listen(&rundir, &error), -ENAMETOOLONG);
	assert_non_null(strstr(error.text, "set FIELDTAP_RUN_DIR to a shorter path"));
	ft_rundir_release(&rundir);
	setenv("FIELDTAP_RUN_DIR", *state, 1);
}

/* Whether the lock that we hold is the one that the next engine would meet. */
static bool holds_the_name(const struct ft_rundir *rundir)
{
	struct stat held, met;

	return fstat(rundir->lock_fd, &held) == 0 && stat("contested/lock", &met) == 0 &&
	       held.st_ino == met.st_ino;
}

static int contend(void)
{
	for (unsigned i = 0; i < 2000; i++) {
		struct ft_rundir rundir;

		if (ft_rundir_claim("contested", &rundir, &error) != 0)
			continue;
		if (!holds_the_name(&rundir))
			return 1;
		ft_rundir_release(&rundir);
	}
	return 0;
}

static void engines_that_come_and_go_never_share_a_name(void **state)
{
	pid_t engines[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		engines[i] = fork();
		if (engines[i] == 0)
			_exit(contend());
	}
	for (unsigned i = 0; i < 4; i++) {
		int status;

		assert_int_equal(waitpid(engines[i], &status, 0), engines[i]);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_claimed_name_is_a_folder_without_a_socket_yet),
		cmocka_unit_test(the_socket_appears_when_it_answers),
		cmocka_unit_test(a_name_in_use_is_refused_and_left_alone),
		cmocka_unit_test(what_a_dead_engine_left_is_taken_over),
		cmocka_unit_test(a_released_name_leaves_nothing_and_is_free),
		cmocka_unit_test(what_a_client_keeps_in_the_folder_survives_the_engine),
		cmocka_unit_test(a_name_must_be_one_printable_path_component),
		cmocka_unit_test(a_folder_that_is_a_link_to_nowhere_is_an_error),
		cmocka_unit_test(a_path_too_long_for_a_socket_says_what_to_do),
		cmocka_unit_test(engines_that_come_and_go_never_share_a_name),
	};

	return cmocka_run_group_tests(tests, enter_run, leave_folder);
}
