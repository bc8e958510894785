/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket as a client meets it. The manager serves between our own calls. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/manager.h"

static struct ft_manager *manager;
static struct ft_error error;
static const char *tick_says;

static json_t *status(void *engine)
{
	return json_pack("{s:i}", "lost", *(int *)engine);
}

static const char *tick(void *engine)
{
	(void)engine;
	return tick_says;
}

static const struct ft_manager_calls calls = {.status = status, .tick = tick};
static int lost = 7;

static int enter_run(void **state)
{
	if (enter_folder(state) != 0)
		return -1;
	return setenv("FIELDTAP_RUN_DIR", *state, 1);
}

/* A manager that has been through its run loop once, so that it knows its engine. */
static int open_manager(void **state)
{
	(void)state;
	if (ft_manager_open("ft-test", "one", &manager, &error) != 0 ||
	    ft_manager_publish(manager, &error) == 0)
		return -1;
	return 0;
}

static int free_manager(void **state)
{
	(void)state;
	ft_manager_free(manager);
	return 0;
}

static const char *run_until(const char *reason)
{
	tick_says = reason;
	return ft_manager_run(manager, &calls, &lost);
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "one/control.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ft_manager_serve(manager, 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	ft_manager_serve(manager, 0);
}

/* The next line that the manager has sent, parsed; NULL when there is none or it has closed. */
static json_t *next_message(int fd)
{
	char line[65536];
	size_t used = 0;

	while (used < sizeof(line) && recv(fd, line + used, 1, MSG_DONTWAIT) == 1)
		if (line[used++] == '\n')
			break;
	return json_loadb(line, used, 0, NULL);
}

static json_t *ask(int fd, const char *request)
{
	say(fd, request);
	return next_message(fd);
}

static bool is_closed(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN);
}

static void check_error(int fd, const char *request, int code)
{
	json_t *reply = ask(fd, request);
	const char *text = NULL;
	int got = 0;

	assert_int_equal(
		json_unpack(reply, "{s:{s:i, s:s}}", "error", "code", &got, "message", &text), 0);
	assert_int_equal(got, code);
	assert_true(text[0] != '\0');
	json_decref(reply);
}

static void status_is_the_programs_own_and_who_says_it(void **state)
{
	int fd = connect_client(), pid = 0, counted = 0, id = 0;
	const char *schema, *program, *name, *word;
	json_int_t started_ns, now_ns;
	json_t *reply;

	(void)state;
	run_until("done");
	reply = ask(fd, "{\"jsonrpc\":\"2.0\",\"id\":42,\"method\":\"status\"}\n");
	assert_int_equal(json_unpack(reply,
				     "{s:i, s:{s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:i, s:[]}}",
				     "id", &id, "result", "schema", &schema, "program", &program,
				     "name", &name, "pid", &pid, "state", &word, "started_ns",
				     &started_ns, "now_ns", &now_ns, "lost", &counted, "alarms"),
			 0);
	assert_int_equal(id, 42);
	assert_string_equal(schema, "fieldtap.status/1");
	assert_string_equal(program, "ft-test");
	assert_string_equal(name, "one");
	assert_int_equal(pid, getpid());
	assert_string_equal(word, "stopping");
	assert_true(now_ns >= started_ns && started_ns > 0);
	assert_int_equal(counted, 7);
	json_decref(reply);
	close(fd);
}

static void a_client_can_stop_the_run(void **state)
{
	int fd = connect_client();
	json_t *reply = ask(fd, "{\"id\":1,\"method\":\"stop\"}\n");

	(void)state;
	assert_true(json_is_true(json_object_get(json_object_get(reply, "result"), "stopping")));
	assert_string_equal(run_until(NULL), "stop");
	json_decref(reply);
	close(fd);
}

static void a_signal_stops_the_run_even_when_inherited_as_ignored(void **state)
{
	(void)state;
	ft_manager_free(manager);
	signal(SIGTERM, SIG_IGN);
	assert_int_equal(open_manager(state), 0);
	assert_false(ft_manager_interrupted(manager));
	raise(SIGTERM);
	assert_string_equal(run_until(NULL), "signal");
}

static void the_first_reason_to_stop_is_the_one_told(void **state)
{
	int fd = connect_client();

	(void)state;
	assert_string_equal(run_until("duration"), "duration");
	json_decref(ask(fd, "{\"id\":1,\"method\":\"stop\"}\n"));
	assert_string_equal(run_until(NULL), "duration");
	close(fd);
}

static void marks_are_kept_with_their_time(void **state)
{
	int fd = connect_client();
	json_int_t time_ns = 0, kept_ns = 0;
	const char *text = NULL;
	json_t *reply = ask(fd, "{\"id\":1,\"method\":\"mark\",\"params\":{\"text\":\"cable "
				"swapped\"}}\n");

	(void)state;
	assert_int_equal(json_unpack(reply, "{s:{s:I}}", "result", "time_ns", &time_ns), 0);
	assert_int_equal(json_unpack((json_t *)ft_manager_marks(manager), "[{s:I, s:s}]", "time_ns",
				     &kept_ns, "text", &text),
			 0);
	assert_true(time_ns == kept_ns && time_ns > 0);
	assert_string_equal(text, "cable swapped");
	check_error(fd, "{\"id\":2,\"method\":\"mark\"}\n", -32602);
	check_error(fd, "{\"id\":3,\"method\":\"mark\",\"params\":{\"text\":5}}\n", -32602);
	assert_int_equal(json_array_size(ft_manager_marks(manager)), 1);
	json_decref(reply);
	close(fd);
}

static void an_alarm_is_in_every_status_from_then_on(void **state)
{
	int fd = connect_client();
	const char *text = NULL;
	json_t *reply;

	(void)state;
	run_until("done");
	ft_manager_alarm(manager, "disk %s", "full");
	reply = ask(fd, "{\"id\":1,\"method\":\"status\"}\n");
	assert_int_equal(json_unpack(reply, "{s:{s:[{s:s}]}}", "result", "alarms", "text", &text),
			 0);
	assert_string_equal(text, "disk full");
	json_decref(reply);
	close(fd);
}

static void a_request_may_come_in_pieces_and_two_at_once(void **state)
{
	int fd = connect_client();
	json_t *first, *second;

	(void)state;
	assert_null(ask(fd, "{\"id\":1,\"meth"));
	first = ask(fd, "od\":\"stop\"}\n{\"id\":2,\"method\":\"stop\"}\n");
	second = next_message(fd);
	assert_int_equal(json_integer_value(json_object_get(first, "id")), 1);
	assert_int_equal(json_integer_value(json_object_get(second, "id")), 2);
	json_decref(first);
	json_decref(second);
	close(fd);
}

static void what_is_no_request_is_answered_with_its_error(void **state)
{
	int fd = connect_client();

	(void)state;
	check_error(fd, "what now?\n", -32700);
	check_error(fd, "\n", -32700);
	check_error(fd, "{}\n", -32600);
	check_error(fd, "[1, 2]\n", -32600);
	check_error(fd, "{\"id\":1,\"method\":17}\n", -32600);
	check_error(fd, "{\"id\":1,\"method\":\"reboot\"}\n", -32601);
	check_error(fd, "{\"id\":1,\"method\":\"rotate\"}\n", -32000);
	close(fd);
}

static void a_request_without_end_closes_the_connection(void **state)
{
	char request[4096];
	int fd = connect_client();
	json_t *reply;

	(void)state;
	memset(request, 'x', sizeof(request));
	assert_int_equal(send(fd, request, sizeof(request), 0), sizeof(request));
	ft_manager_serve(manager, 0);
	reply = next_message(fd);
	assert_non_null(json_object_get(reply, "error"));
	json_decref(reply);
	assert_true(is_closed(fd));
	close(fd);
}

static void a_subscriber_is_told_the_status_without_asking(void **state)
{
	int fd = connect_client(), counted = 0;
	const char *method = NULL;
	json_t *reply, *pushed;

	(void)state;
	run_until("done");
	reply = ask(fd, "{\"id\":1,\"method\":\"subscribe\",\"params\":{\"hz\":20}}\n");
	assert_int_equal(json_number_value(json_object_get(json_object_get(reply, "result"), "hz")),
			 20);
	json_decref(reply);
	for (unsigned i = 0; i < 3; i++) {
		do {
			ft_manager_serve(manager, 1000);
			pushed = next_message(fd);
		} while (pushed == NULL);
		assert_int_equal(json_unpack(pushed, "{s:s, s:{s:i}}", "method", &method, "params",
					     "lost", &counted),
				 0);
		assert_string_equal(method, "status");
		assert_int_equal(counted, 7);
		json_decref(pushed);
	}
	close(fd);
}

static void a_rate_that_no_clock_can_keep_is_refused(void **state)
{
	static const char *const rates[] = {"0", "-1", "21", "1e-300", "1e300", "\"4\"", "null"};
	int fd = connect_client();
	char request[128];

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		snprintf(request, sizeof(request),
			 "{\"id\":1,\"method\":\"subscribe\",\"params\":{\"hz\":%s}}\n", rates[i]);
		check_error(fd, request, -32602);
	}
	close(fd);
}

static void a_client_too_many_is_turned_away_and_the_others_stay(void **state)
{
	int fds[16], last;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		fds[i] = connect_client();
	last = connect_client();
	assert_true(is_closed(last));
	close(last);
	for (unsigned i = 0; i < 16; i++) {
		json_decref(ask(fds[i], "{\"id\":1,\"method\":\"rotate\"}\n"));
		assert_false(is_closed(fds[i]));
		close(fds[i]);
	}
	ft_manager_serve(manager, 0);
	last = connect_client();
	check_error(last, "{\"id\":1,\"method\":\"rotate\"}\n", -32000);
	close(last);
}

static void a_client_that_does_not_read_is_dropped_and_holds_up_nobody(void **state)
{
	static const char request[] = "{\"id\":1,\"method\":\"status\"}\n";
	int deaf = connect_client(), other = connect_client();
	ssize_t sent;

	(void)state;
	do {
		sent = send(deaf, request, sizeof(request) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		ft_manager_serve(manager, 0);
	} while (sent > 0);
	assert_int_equal(errno, EPIPE);
	check_error(other, "{\"id\":1,\"method\":\"rotate\"}\n", -32000);
	close(deaf);
	close(other);
}

static void the_socket_is_gone_when_the_run_is_over(void **state)
{
	assert_true(exists("one/control.sock"));
	ft_manager_free(manager);
	assert_false(exists("one"));
	assert_int_equal(open_manager(state), 0);
}

#define MANAGER_TEST(name) cmocka_unit_test_setup_teardown(name, open_manager, free_manager)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MANAGER_TEST(status_is_the_programs_own_and_who_says_it),
		MANAGER_TEST(a_client_can_stop_the_run),
		MANAGER_TEST(a_signal_stops_the_run_even_when_inherited_as_ignored),
		MANAGER_TEST(the_first_reason_to_stop_is_the_one_told),
		MANAGER_TEST(marks_are_kept_with_their_time),
		MANAGER_TEST(an_alarm_is_in_every_status_from_then_on),
		MANAGER_TEST(a_request_may_come_in_pieces_and_two_at_once),
		MANAGER_TEST(what_is_no_request_is_answered_with_its_error),
		MANAGER_TEST(a_request_without_end_closes_the_connection),
		MANAGER_TEST(a_subscriber_is_told_the_status_without_asking),
		MANAGER_TEST(a_rate_that_no_clock_can_keep_is_refused),
		MANAGER_TEST(a_client_too_many_is_turned_away_and_the_others_stay),
		MANAGER_TEST(a_client_that_does_not_read_is_dropped_and_holds_up_nobody),
		MANAGER_TEST(the_socket_is_gone_when_the_run_is_over),
	};

	return cmocka_run_group_tests(tests, enter_run, leave_folder);
}
