/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "folder.h"
#include "store/output.h"

static struct ft_error error;

static struct ft_output *open_output(const char *path)
{
	struct ft_output *output;

	assert_int_equal(ft_output_open(path, true, &output, &error), 0);
	return output;
}

static void write_text(struct ft_output *output, const char *text)
{
	assert_int_equal(ft_output_write(output, text, strlen(text), &error), strlen(text));
}

static void finish(struct ft_output *output)
{
	assert_int_equal(ft_output_finish(output, &error), 0);
	ft_output_free(output);
}

static int remove_all(void **state)
{
	(void)state;
	return system("rm -rf ./*");
}

/* What sha256sum says of a file. */
static void check_sha256(const char *path, const char *sha256)
{
	char command[256], line[256] = "";
	FILE *program;

	snprintf(command, sizeof(command), "sha256sum %s", path);
	program = popen(command, "re");
	assert_non_null(fgets(line, sizeof(line), program));
	pclose(program);
	assert_non_null(sha256);
	assert_int_equal(strlen(sha256), 64);
	assert_memory_equal(line, sha256, 64);
}

static void a_file_has_its_partial_name_until_it_is_complete(void **state)
{
	struct ft_output *output = open_output("a.pcapng");

	(void)state;
	write_text(output, "first");
	assert_true(exists("a.pcapng.partial"));
	assert_false(exists("a.pcapng"));
	write_text(output, "second");
	assert_int_equal(ft_output_bytes(output), 11);
	finish(output);
	assert_false(exists("a.pcapng.partial"));
	assert_true(holds_text("a.pcapng", "firstsecond"));
}

static void a_file_of_that_name_is_kept_under_the_first_free_number(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const char text[2] = {(char)('0' + i), '\0'};
		struct ft_output *output = open_output("a.pcapng");

		write_text(output, text);
		finish(output);
	}
	assert_true(holds_text("a.pcapng", "2"));
	assert_true(holds_text("a.pcapng.1", "0"));
	assert_true(holds_text("a.pcapng.2", "1"));
}

static void a_file_that_appears_meanwhile_is_kept_too(void **state)
{
	struct ft_output *output = open_output("a.pcapng");

	(void)state;
	write_text(output, "ours");
	put_text("a.pcapng", "theirs");
	finish(output);
	assert_true(holds_text("a.pcapng", "ours"));
	assert_true(holds_text("a.pcapng.1", "theirs"));
}

static void what_a_dead_engine_left_half_written_is_kept(void **state)
{
	struct ft_output *output;

	(void)state;
	put_text("a.pcapng.partial", "half");
	output = open_output("a.pcapng");
	assert_true(holds_text("a.pcapng.partial.1", "half"));
	finish(output);
}

static void a_file_that_a_live_engine_writes_is_refused(void **state)
{
	struct ft_output *first = open_output("a.pcapng"), *second;

	(void)state;
	write_text(first, "mine");
	assert_int_equal(ft_output_open("a.pcapng", true, &second, &error), -EBUSY);
	assert_string_equal(error.text, "-w a.pcapng: a running capture is writing it; choose "
					"another name");
	finish(first);
	assert_true(holds_text("a.pcapng", "mine"));
}

static void a_discarded_file_leaves_nothing(void **state)
{
	struct ft_output *output = open_output("a.pcapng");

	(void)state;
	ft_output_discard(output);
	ft_output_free(output);
	assert_false(exists("a.pcapng.partial"));
	assert_false(exists("a.pcapng"));
}

static void a_place_that_cannot_be_written_is_said_in_words(void **state)
{
	struct ft_output *output;

	(void)state;
	assert_int_equal(ft_output_open("no/such/a.pcapng", false, &output, &error), -ENOENT);
	assert_string_equal(error.text, "-w no/such/a.pcapng: cannot be written: No such file or "
					"directory");
	assert_int_equal(ft_output_open(".", false, &output, &error), -EINVAL);
	assert_int_equal(ft_output_open("", false, &output, &error), -EINVAL);
}

static void the_hash_is_that_of_the_file(void **state)
{
	struct ft_output *output = open_output("a.pcapng");

	(void)state;
	assert_null(ft_output_sha256(output));
	for (unsigned i = 0; i < 1000; i++)
		write_text(output, "some bytes of a capture\n");
	assert_int_equal(ft_output_finish(output, &error), 0);
	check_sha256("a.pcapng", ft_output_sha256(output));
	ft_output_free(output);
}

static void no_hash_is_kept_that_nobody_asked_for(void **state)
{
	struct ft_output *output;

	(void)state;
	assert_int_equal(ft_output_open("a.pcapng", false, &output, &error), 0);
	assert_int_equal(ft_output_finish(output, &error), 0);
	assert_null(ft_output_sha256(output));
	ft_output_free(output);
}

/* As on a full disk: from the limit on, no write succeeds. */
static void limit_files(rlim_t bytes)
{
	const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_told_by_a_short_count_and_a_sentence(void **state)
{
	struct ft_output *output = open_output("a.pcapng");

	(void)state;
	limit_files(100);
	write_text(output, "0123456789");
	assert_int_equal(ft_output_write(output, (char[200]){0}, 200, &error), 90);
	limit_files(RLIM_INFINITY);
	assert_string_equal(error.text, "writing a.pcapng: File too large");
	ft_output_free(output);
}

static void what_does_not_belong_is_cut_off_and_not_hashed(void **state)
{
	struct ft_output *output = open_output("a.pcapng");
	size_t wrote;

	(void)state;
	limit_files(20);
	write_text(output, "0123456789");
	wrote = ft_output_write(output, "whole,whole,torn", 16, &error);
	assert_int_equal(wrote, 10);
	ft_output_cut(output, "whole,whole,torn", wrote, 6);
	assert_int_equal(ft_output_bytes(output), 16);
	write_text(output, "end"); /* there is room for this again */
	assert_int_equal(ft_output_finish(output, &error), 0);
	limit_files(RLIM_INFINITY);
	assert_true(holds_text("a.pcapng", "0123456789whole,end"));
	check_sha256("a.pcapng", ft_output_sha256(output));
	ft_output_free(output);
}

static void null_takes_everything_and_keeps_no_file(void **state)
{
	struct ft_output *output = open_output("null:");

	(void)state;
	write_text(output, "nowhere");
	assert_int_equal(ft_output_bytes(output), 7);
	assert_false(ft_output_is_kept(output));
	assert_false(ft_output_is_file(output));
	finish(output);
	assert_false(exists("null:"));
	assert_false(exists("null:.partial"));
}

static void a_device_is_written_in_place_and_says_when_it_is_full(void **state)
{
	struct ft_output *output = open_output("/dev/full");

	(void)state;
	assert_true(ft_output_is_kept(output));
	assert_false(ft_output_is_file(output));
	assert_int_equal(ft_output_write(output, "x", 1, &error), 0);
	assert_string_equal(error.text, "writing /dev/full: No space left on device");
	ft_output_cut(output, "x", 0, 0);
	finish(output);
	assert_false(exists("/dev/full.partial"));
}

#define STREAM_BYTES (1u << 20)

static void *read_slowly(void *fd)
{
	static char buffer[5000];
	uintptr_t total = 0;
	ssize_t got;

	while ((got = read(*(int *)fd, buffer, sizeof(buffer))) > 0)
		total += (uintptr_t)got;
	return (void *)total;
}

static void stdout_that_does_not_block_is_waited_for(void **state)
{
	char *bytes = calloc(1, STREAM_BYTES);
	int standard = dup(STDOUT_FILENO), ends[2];
	struct ft_output *output;
	pthread_t reader;
	size_t wrote;
	void *total;

	(void)state;
	fflush(stdout);
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	fcntl(ends[0], F_SETFL, 0);
	dup2(ends[1], STDOUT_FILENO);
	close(ends[1]);
	output = open_output("-");
	dup2(standard, STDOUT_FILENO);
	close(standard);
	pthread_create(&reader, NULL, read_slowly, &ends[0]);
	wrote = ft_output_write(output, bytes, STREAM_BYTES, &error);
	finish(output);
	pthread_join(reader, &total);
	close(ends[0]);
	free(bytes);
	assert_int_equal(wrote, STREAM_BYTES);
	assert_int_equal((uintptr_t)total, STREAM_BYTES);
}

static void a_fifo_that_nobody_reads_yet_is_said_at_once(void **state)
{
	struct ft_output *output;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(ft_output_open("fifo", false, &output, &error), -ENXIO);
}

static void a_socket_is_no_output(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ft_output *output;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(ft_output_open("socket", false, &output, &error), -EINVAL);
	close(fd);
}

static void a_reader_that_takes_nothing_can_be_given_up(void **state)
{
	char *bytes = calloc(1, STREAM_BYTES);
	struct ft_output *output;
	int fd;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	fd = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	output = open_output("fifo");
	assert_true(ft_output_is_ready(output));
	ft_output_abandon(output);
	assert_in_range(ft_output_write(output, bytes, STREAM_BYTES, &error), 1, STREAM_BYTES - 1);
	assert_string_equal(error.text, "writing fifo: its reader takes nothing more");
	assert_false(ft_output_is_ready(output));
	ft_output_free(output);
	close(fd);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_file_has_its_partial_name_until_it_is_complete,
					  remove_all),
		cmocka_unit_test_teardown(a_file_of_that_name_is_kept_under_the_first_free_number,
					  remove_all),
		cmocka_unit_test_teardown(a_file_that_appears_meanwhile_is_kept_too, remove_all),
		cmocka_unit_test_teardown(what_a_dead_engine_left_half_written_is_kept, remove_all),
		cmocka_unit_test_teardown(a_file_that_a_live_engine_writes_is_refused, remove_all),
		cmocka_unit_test_teardown(a_discarded_file_leaves_nothing, remove_all),
		cmocka_unit_test_teardown(a_place_that_cannot_be_written_is_said_in_words,
					  remove_all),
		cmocka_unit_test_teardown(the_hash_is_that_of_the_file, remove_all),
		cmocka_unit_test_teardown(no_hash_is_kept_that_nobody_asked_for, remove_all),
		cmocka_unit_test_teardown(a_full_disk_is_told_by_a_short_count_and_a_sentence,
					  remove_all),
		cmocka_unit_test_teardown(what_does_not_belong_is_cut_off_and_not_hashed,
					  remove_all),
		cmocka_unit_test_teardown(null_takes_everything_and_keeps_no_file, remove_all),
		cmocka_unit_test_teardown(a_device_is_written_in_place_and_says_when_it_is_full,
					  remove_all),
		cmocka_unit_test_teardown(stdout_that_does_not_block_is_waited_for, remove_all),
		cmocka_unit_test_teardown(a_fifo_that_nobody_reads_yet_is_said_at_once, remove_all),
		cmocka_unit_test_teardown(a_socket_is_no_output, remove_all),
		cmocka_unit_test_teardown(a_reader_that_takes_nothing_can_be_given_up, remove_all),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
