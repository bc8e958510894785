/* SPDX-License-Identifier: Apache-2.0 */
/* Dropping is for good, so each test does it in a child. */
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ctl/privileges.h"
#include "folder.h"

#define OTHER_USER 65534

static struct ft_error error;

/* The child's verdict: the line at which it found something wrong, 0 for none. */
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__;                                                           \
	} while (0)

static void check_in_child(int (*check)(void))
{
	int fds[2], line = -1, status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		line = check();
		_exit(write(fds[1], &line, sizeof(line)) != sizeof(line));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(fds[0], &line, sizeof(line)), sizeof(line));
	close(fds[0]);
	close(fds[1]);
	if (line != 0)
		fail_msg("the child's check in line %d", line);
}

static bool status_says(const char *text)
{
	size_t bytes;
	FILE *file = fopen("/proc/self/status", "re");
	char all[8192];

	bytes = fread(all, 1, sizeof(all) - 1, file);
	all[bytes] = '\0';
	fclose(file);
	return strstr(all, text) != NULL;
}

static int drop(const char *directory, struct ft_privileges *kept)
{
	return ft_privileges_drop(&directory, 1, kept, &error);
}

static int check_capabilities(void)
{
	struct ft_privileges kept;

	EXPECT(drop(".", &kept) == 0);
	EXPECT(kept.dropped && !kept.dac_override && kept.seccomp);
	EXPECT(status_says("CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
			   "CapEff:\t0000000000000000\n"));
	EXPECT(status_says("CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"));
	EXPECT(geteuid() != 0 || status_says("CapBnd:\t0000000000000000\n"));
	return 0;
}

static void a_process_that_has_dropped_holds_no_capability(void **state)
{
	(void)state;
	check_in_child(check_capabilities);
}

static int check_refused(void)
{
	char *const argv[] = {(char *)"true", NULL};
	struct ft_privileges kept;

	EXPECT(drop(".", &kept) == 0);
	EXPECT(execv("/bin/true", argv) == -1 && errno == EPERM);
	EXPECT(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EPERM);
	EXPECT(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM);
	EXPECT(mount("none", ".", "tmpfs", 0, NULL) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_ptrace, 12345, 0, 0, 0) == -1);
	EXPECT(chown(".", 1, 1) == -1 && errno == EPERM);
	return 0;
}

static void what_a_running_engine_does_not_do_is_refused_and_ends_nothing(void **state)
{
	(void)state;
	check_in_child(check_refused);
}

static void *answer(void *context)
{
	*(int *)context = 42;
	return NULL;
}

static int check_allowed(void)
{
	struct ft_privileges kept;
	pthread_t thread;
	int got = 0, fd;

	EXPECT(drop(".", &kept) == 0);
	EXPECT(pthread_create(&thread, NULL, answer, &got) == 0);
	EXPECT(pthread_join(thread, NULL) == 0 && got == 42);
	fd = open("new", O_RDWR | O_CREAT | O_EXCL, 0600);
	EXPECT(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && close(fd) == 0);
	EXPECT(rename("new", "renamed") == 0 && unlink("renamed") == 0);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	EXPECT(fd >= 0 && close(fd) == 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	EXPECT(fd >= 0 && close(fd) == 0);
	EXPECT(fork() == 0 || wait(NULL) > 0); /* nothing else may: execve is refused */
	return 0;
}

static void what_a_running_engine_does_goes_on(void **state)
{
	(void)state;
	check_in_child(check_allowed);
}

static int check_others_directory(void)
{
	struct ft_privileges kept;
	int fd;

	EXPECT(mkdir("others", 0755) == 0 && chown("others", OTHER_USER, OTHER_USER) == 0);
	EXPECT(drop("others", &kept) == 0);
	EXPECT(kept.dac_override);
	EXPECT(status_says("CapPrm:\t0000000000000002\nCapEff:\t0000000000000002\n"
			   "CapBnd:\t0000000000000002\n"));
	fd = open("others/file", O_RDWR | O_CREAT, 0600);
	EXPECT(fd >= 0 && close(fd) == 0 && unlink("others/file") == 0);
	return 0;
}

static void root_can_still_write_into_another_users_directory(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	check_in_child(check_others_directory);
}

static long call_bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* An array of maps: its elements are what a window is opened and closed by. */
static int check_maps(void)
{
	union bpf_attr counts = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
	union bpf_attr window = {.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
				 .key_size = 4,
				 .value_size = 4,
				 .max_entries = 1};
	union bpf_attr element = {0};
	uint32_t first = 0, inner = (uint32_t)call_bpf(BPF_MAP_CREATE, &counts);
	struct ft_privileges kept;
	uint64_t value = 1;

	window.inner_map_fd = inner;
	element.map_fd = (uint32_t)call_bpf(BPF_MAP_CREATE, &window);
	element.key = (uintptr_t)&first;
	element.value = (uintptr_t)&inner;
	EXPECT(call_bpf(BPF_MAP_UPDATE_ELEM, &element) == 0);
	EXPECT(drop(".", &kept) == 0);
	element.value = 0;
	EXPECT(call_bpf(BPF_MAP_DELETE_ELEM, &element) == 0);
	element.map_fd = inner;
	element.value = (uintptr_t)&value;
	EXPECT(call_bpf(BPF_MAP_LOOKUP_ELEM, &element) == 0 && value == 0);
	EXPECT(call_bpf(BPF_MAP_CREATE, &counts) == -1 && errno == EPERM);
	return 0;
}

static void a_window_of_xdp_can_still_be_closed_and_its_counts_be_read(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	check_in_child(check_maps);
}

static void *sleep_on(void *context)
{
	(void)context;
	pause();
	return NULL;
}

static int check_threads(void)
{
	struct ft_privileges kept;
	pthread_t thread;

	EXPECT(pthread_create(&thread, NULL, sleep_on, NULL) == 0);
	EXPECT(drop(".", &kept) == -EBUSY);
	return 0;
}

static void a_thread_that_would_keep_its_privileges_is_an_error(void **state)
{
	(void)state;
	check_in_child(check_threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_that_has_dropped_holds_no_capability),
		cmocka_unit_test(what_a_running_engine_does_not_do_is_refused_and_ends_nothing),
		cmocka_unit_test(what_a_running_engine_does_goes_on),
		cmocka_unit_test(root_can_still_write_into_another_users_directory),
		cmocka_unit_test(a_window_of_xdp_can_still_be_closed_and_its_counts_be_read),
		cmocka_unit_test(a_thread_that_would_keep_its_privileges_is_an_error),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
