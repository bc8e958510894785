/* SPDX-License-Identifier: Apache-2.0 */
/* Whole runs from a file to a file: hot thread, writer, ledger, report. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <jansson.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/capture.h"
#include "ft/pcapng.h"
#include "ft/reader.h"
#include "pipe/epb.h"

#define FRAMES	      20000u /* about 16 MB: several chunks */
#define LARGEST_FRAME 1514u
#define FIRST_NS      1700000000000000000u

static uint8_t frame_bytes[LARGEST_FRAME];

/* Frame `number` of the input: sizes from 60 to 1514, each frame another content. */
static struct ft_frame make_frame(uint32_t number)
{
	uint32_t bytes = 60 + number * 977 % (LARGEST_FRAME - 60 + 1);

	memset(frame_bytes, (int)number, sizeof(frame_bytes));
	memcpy(frame_bytes, &number, sizeof(number));
	return (struct ft_frame){
		.data = frame_bytes,
		.stamp_ns = FIRST_NS + number * 1000ull,
		.captured_bytes = bytes,
		.length_bytes = bytes,
		.epb_flags = 1 + number % 2,
	};
}

static void write_input(const char *path)
{
	const struct ft_port_interface interface = {
		.name = "input", .link_type = 1, .timestamps = "file"};
	FILE *file = fopen(path, "we");
	uint8_t block[FT_PCAPNG_HEADER_BYTES];

	fwrite(block, 1, ft_pcapng_write_section(block, sizeof(block), "ft-test"), file);
	fwrite(block, 1, ft_pcapng_write_interface(block, sizeof(block), &interface, 262144, NULL),
	       file);
	for (uint32_t i = 0; i < FRAMES; i++) {
		const struct ft_frame frame = make_frame(i);

		fwrite(block, 1, ft_epb_write(block, 0, &frame, frame.captured_bytes, 0), file);
	}
	fclose(file);
}

static int enter_with_input(void **state)
{
	if (enter_folder(state) != 0)
		return -1;
	write_input("in.pcapng");
	signal(SIGXFSZ, SIG_IGN);
	return setenv("FIELDTAP_RUN_DIR", *state, 1);
}

static struct ft_capture_settings settings_for(const char *output)
{
	return (struct ft_capture_settings){
		.port_count = 1,
		.ports = {"file:in.pcapng"},
		.port_options = {.directions = FT_DIRECTION_BOTH, .snap_bytes = 262144},
		.output = output,
		.report = "report.json",
		.quiet = true,
	};
}

/* A run gives up privileges for good, so each has a process of its own. */
static int run_apart(const struct ft_capture_settings *settings)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(ft_capture_run(settings));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The ledger of a run's only port. */
struct counts {
	json_int_t offered, stored, filtered, excess, ring, disk, bytes_stored, lost;
	int balanced;
	char stop_reason[32];
};

static struct counts run(const struct ft_capture_settings *settings, int exit_code)
{
	struct counts counts;
	const char *reason;
	json_t *report;

	assert_int_equal(run_apart(settings), exit_code);
	report = json_load_file("report.json", 0, NULL);
	assert_int_equal(json_unpack(report,
				     "{s:b, s:I, s:s, s:[{s:I, s:I, s:I, s:I, s:{s:I, s:I}, s:I}]}",
				     "balanced", &counts.balanced, "lost", &counts.lost,
				     "stop_reason", &reason, "ports", "offered", &counts.offered,
				     "stored", &counts.stored, "filtered", &counts.filtered,
				     "excess", &counts.excess, "dropped", "ring", &counts.ring,
				     "disk", &counts.disk, "bytes_stored", &counts.bytes_stored),
			 0);
	snprintf(counts.stop_reason, sizeof(counts.stop_reason), "%s", reason);
	json_decref(report);
	return counts;
}

/*
 * Check that a file holds the first frames of the input, whole and in order, with nothing torn
 * behind them, and return how many.
 */
static uint32_t count_first_frames(const char *path, uint32_t snap_bytes)
{
	struct ft_reader *reader;
	struct ft_record record;
	struct ft_error error;
	uint32_t count = 0;
	int rc;

	assert_int_equal(ft_reader_open(path, NULL, &reader, &error), 0);
	while ((rc = ft_reader_next(reader, &record, &error)) == 1) {
		const struct ft_frame frame = make_frame(count++);

		assert_int_equal(record.captured_bytes, frame.captured_bytes < snap_bytes
								? frame.captured_bytes
								: snap_bytes);
		assert_int_equal(record.length_bytes, frame.length_bytes);
		assert_true(record.stamp_ns == frame.stamp_ns);
		assert_int_equal(record.epb_flags, frame.epb_flags);
		assert_memory_equal(record.data, frame_bytes, record.captured_bytes);
	}
	if (rc != 0)
		fail_msg("%s", error.text);
	ft_reader_close(reader);
	return count;
}

static void every_frame_of_a_file_comes_out_unchanged_and_in_order(void **state)
{
	const struct ft_capture_settings settings = settings_for("all.pcapng");
	const struct counts counts = run(&settings, 0);
	json_int_t bytes = 0;

	(void)state;
	for (uint32_t i = 0; i < FRAMES; i++)
		bytes += make_frame(i).captured_bytes;
	assert_int_equal(count_first_frames("all.pcapng", UINT32_MAX), FRAMES);
	assert_int_equal(counts.offered, FRAMES);
	assert_int_equal(counts.stored, FRAMES);
	assert_int_equal(counts.bytes_stored, bytes);
	assert_int_equal(counts.lost, 0);
	assert_true(counts.balanced);
	assert_string_equal(counts.stop_reason, "end of input");
}

static void frames_are_cut_to_the_snap_length_and_keep_their_own(void **state)
{
	struct ft_capture_settings settings = settings_for("cut.pcapng");

	(void)state;
	settings.port_options.snap_bytes = 101;
	assert_int_equal(run(&settings, 0).stored, FRAMES);
	assert_int_equal(count_first_frames("cut.pcapng", 101), FRAMES);
}

static void what_the_filter_refuses_is_counted(void **state)
{
	struct ft_capture_settings settings = settings_for("large.pcapng");
	uint32_t large = 0;
	struct counts counts;

	(void)state;
	for (uint32_t i = 0; i < FRAMES; i++)
		large += make_frame(i).length_bytes >= 1000;
	settings.filter = "greater 1000";
	counts = run(&settings, 0);
	assert_int_equal(counts.stored, large);
	assert_int_equal(counts.filtered, FRAMES - large);
	assert_true(counts.balanced);
}

static void a_count_stores_exactly_so_many_frames_and_calls_the_rest_excess(void **state)
{
	struct ft_capture_settings settings = settings_for("ten.pcapng");
	struct counts counts;

	(void)state;
	settings.stop_frames = 10;
	counts = run(&settings, 0);
	assert_int_equal(counts.stored, 10);
	assert_int_equal(counts.offered, 10 + counts.excess);
	assert_true(counts.balanced);
	assert_string_equal(counts.stop_reason, "packets");
	assert_int_equal(count_first_frames("ten.pcapng", UINT32_MAX), 10);
}

static void a_size_limit_is_met_within_one_frame(void **state)
{
	struct ft_capture_settings settings = settings_for("sized.pcapng");
	struct counts counts;

	(void)state;
	settings.stop_bytes = 500000;
	counts = run(&settings, 0);
	assert_in_range(counts.bytes_stored, 500000 - FT_PCAPNG_HEADER_BYTES - counts.stored * 48,
			500000);
	assert_true(counts.balanced);
	assert_string_equal(counts.stop_reason, "filesize");
	assert_int_equal(count_first_frames("sized.pcapng", UINT32_MAX), counts.stored);
}

static void a_file_whose_name_is_not_utf_8_is_reported_all_the_same(void **state)
{
	const struct ft_capture_settings settings = settings_for("caf\xe9.pcapng");
	const char *path = NULL;
	json_t *report;

	(void)state;
	assert_int_equal(run(&settings, 0).stored, FRAMES);
	report = json_load_file("report.json", 0, NULL);
	assert_int_equal(json_unpack(report, "{s:[{s:s}]}", "files", "path", &path), 0);
	assert_non_null(strstr(path, "caf?.pcapng"));
	json_decref(report);
}

static void null_formats_everything_and_reports_no_file(void **state)
{
	const struct ft_capture_settings settings = settings_for("null:");
	json_t *report;

	(void)state;
	assert_int_equal(run(&settings, 0).stored, FRAMES);
	report = json_load_file("report.json", 0, NULL);
	assert_int_equal(json_array_size(json_object_get(report, "files")), 0);
	json_decref(report);
}

/* ---- an output that fails ---------------------------------------------------------------------
 */

static int run_limited(const struct ft_capture_settings *settings, rlim_t file_bytes)
{
	struct rlimit limit = {.rlim_cur = file_bytes, .rlim_max = RLIM_INFINITY};
	int code;

	setrlimit(RLIMIT_FSIZE, &limit);
	code = run_apart(settings);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	return code;
}

/* isb_usrdeliv of the last statistics block. */
static json_int_t find_last_delivered(const char *path)
{
	size_t bytes, last = 0;
	uint8_t *all = read_whole(path, &bytes);
	uint32_t header[2];
	uint64_t delivered = UINT64_MAX;

	for (size_t at = 0; at + sizeof(header) <= bytes; at += header[1]) {
		memcpy(header, all + at, sizeof(header));
		if (header[0] == 5)
			last = at;
	}
	for (size_t at = last + 20; last != 0 && all[at] != 0; at += 4 + all[at + 2])
		if (all[at] == 8)
			memcpy(&delivered, all + at + 4, sizeof(delivered));
	free(all);
	return (json_int_t)delivered;
}

/* The ledger and the file of a run whose output took only `file_bytes`. */
static void check_full_disk(rlim_t file_bytes)
{
	const struct ft_capture_settings settings = settings_for("full.pcapng");
	json_int_t offered, stored, disk, size_bytes;
	struct stat status;
	json_t *report;
	int balanced;

	assert_int_equal(run_limited(&settings, file_bytes), 1);
	report = json_load_file("report.json", 0, NULL);
	assert_int_equal(json_unpack(report, "{s:b, s:[{s:I, s:I, s:{s:I}}], s:[{s:I}]}",
				     "balanced", &balanced, "ports", "offered", &offered, "stored",
				     &stored, "dropped", "disk", &disk, "files", "size_bytes",
				     &size_bytes),
			 0);
	json_decref(report);
	assert_int_equal(offered, FRAMES);
	assert_int_equal(stored + disk, FRAMES);
	assert_true(balanced);
	assert_int_equal(count_first_frames("full.pcapng", UINT32_MAX), stored);
	assert_int_equal(find_last_delivered("full.pcapng"), stored);
	assert_int_equal(stat("full.pcapng", &status), 0);
	assert_int_equal(status.st_size, size_bytes);
	assert_in_range(status.st_size, 1, file_bytes);
	remove("full.pcapng");
}

static void a_full_disk_keeps_whole_frames_and_counts_the_rest(void **state)
{
	(void)state;
	check_full_disk(1000003);
	check_full_disk(9000000);
}

static void a_disk_that_is_full_at_once_keeps_a_file_without_frames(void **state)
{
	(void)state;
	for (rlim_t room = 4500; room < 20000; room += 1500)
		check_full_disk(room);
}

/* Where the first chunk of frames ends: behind the second statistics block. */
static size_t find_first_chunk_end(const char *path)
{
	unsigned left = 2;
	size_t bytes, at = 0;
	uint8_t *all = read_whole(path, &bytes);
	uint32_t header[2] = {0, 0};

	while (left > 0 && at + sizeof(header) <= bytes) {
		memcpy(header, all + at, sizeof(header));
		left -= header[0] == 5;
		at += header[1];
	}
	free(all);
	return at;
}

static void a_disk_full_between_two_chunks_leaves_no_torn_block(void **state)
{
	size_t end = find_first_chunk_end("all.pcapng");

	(void)state;
	for (size_t room = 0; room <= 20000; room += 3000)
		check_full_disk(end + room);
}

static void a_run_that_cannot_even_begin_its_file_leaves_none(void **state)
{
	const struct ft_capture_settings settings = settings_for("none.pcapng");

	(void)state;
	assert_int_equal(run_limited(&settings, 10), 1);
	assert_false(exists("none.pcapng.partial"));
	assert_false(exists("none.pcapng"));
}

static void *read_a_little(void *argument)
{
	int fd = open("fifo", O_RDONLY | O_CLOEXEC);
	char buffer[4096];
	size_t total = 0;
	ssize_t got = 1;

	(void)argument;
	while (total < 300000 && got > 0) {
		got = read(fd, buffer, sizeof(buffer));
		total += (size_t)got;
	}
	close(fd);
	return NULL;
}

static void a_reader_that_goes_away_ends_the_run_and_is_accounted_for(void **state)
{
	const struct ft_capture_settings settings = settings_for("fifo");
	struct counts counts;
	pthread_t reader;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	pthread_create(&reader, NULL, read_a_little, NULL);
	counts = run(&settings, 1);
	pthread_join(reader, NULL);
	assert_true(counts.stored > 0);
	assert_true(counts.disk > 0);
	assert_int_equal(counts.offered, counts.stored + counts.disk + counts.excess);
	assert_true(counts.balanced);
	remove("fifo");
}

/* One is enough when the input has ended, else the first stops and the second gives up. */
static int signal_until_it_ends(pid_t engine)
{
	int status;

	while (waitpid(engine, &status, WNOHANG) == 0) {
		usleep(100000);
		kill(engine, SIGTERM);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_signal_ends_the_wait_for_a_reader_that_takes_nothing(void **state)
{
	struct ft_capture_settings settings = settings_for("fifo");
	json_t *report;
	pid_t engine;
	int balanced, fd;

	(void)state;
	settings.name = "named";
	assert_int_equal(mkfifo("fifo", 0600), 0);
	fd = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	engine = fork();
	if (engine == 0)
		_exit(ft_capture_run(&settings));
	while (!exists("named/control.sock"))
		usleep(1000);
	assert_int_equal(signal_until_it_ends(engine), 1);
	report = json_load_file("report.json", 0, NULL);
	assert_int_equal(json_unpack(report, "{s:b}", "balanced", &balanced), 0);
	assert_true(balanced);
	json_decref(report);
	close(fd);
	remove("fifo");
}

static void a_signal_ends_the_wait_for_a_reader_that_never_comes(void **state)
{
	struct ft_capture_settings settings = settings_for("fifo");
	pid_t engine;

	(void)state;
	settings.name = "named";
	assert_int_equal(mkfifo("fifo", 0600), 0);
	engine = fork();
	if (engine == 0)
		_exit(ft_capture_run(&settings));
	while (!exists("named/lock"))
		usleep(1000);
	assert_int_equal(signal_until_it_ends(engine), 130);
	remove("fifo");
}

static void a_full_device_is_refused_before_the_run(void **state)
{
	struct ft_capture_settings settings = settings_for("/dev/full");

	(void)state;
	settings.report = NULL;
	assert_int_equal(run_apart(&settings), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_of_a_file_comes_out_unchanged_and_in_order),
		cmocka_unit_test(frames_are_cut_to_the_snap_length_and_keep_their_own),
		cmocka_unit_test(what_the_filter_refuses_is_counted),
		cmocka_unit_test(a_count_stores_exactly_so_many_frames_and_calls_the_rest_excess),
		cmocka_unit_test(a_size_limit_is_met_within_one_frame),
		cmocka_unit_test(a_file_whose_name_is_not_utf_8_is_reported_all_the_same),
		cmocka_unit_test(null_formats_everything_and_reports_no_file),
		cmocka_unit_test(a_full_disk_keeps_whole_frames_and_counts_the_rest),
		cmocka_unit_test(a_disk_that_is_full_at_once_keeps_a_file_without_frames),
		cmocka_unit_test(a_disk_full_between_two_chunks_leaves_no_torn_block),
		cmocka_unit_test(a_run_that_cannot_even_begin_its_file_leaves_none),
		cmocka_unit_test(a_reader_that_goes_away_ends_the_run_and_is_accounted_for),
		cmocka_unit_test(a_signal_ends_the_wait_for_a_reader_that_takes_nothing),
		cmocka_unit_test(a_signal_ends_the_wait_for_a_reader_that_never_comes),
		cmocka_unit_test(a_full_device_is_refused_before_the_run),
	};

	return cmocka_run_group_tests(tests, enter_with_input, leave_folder);
}
