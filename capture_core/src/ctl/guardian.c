/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cap-ng.h>

#include "ctl/device_key.h"
#include "port/offload.h"

#define NAME		"ft-guardian"
#define SIGNATURE_BYTES 2048u
#define ANSWER_MS	10000
/* How long the kernel may take to tear down an engine that was killed, buffers and all. */
#define TEARDOWN_MS 60000

struct ft_guardian {
	int fd;
	pid_t pid;
};

/* One message each way. A request: to sign `path`, or (empty) to restore the ports and end. */
struct request {
	char path[PATH_MAX];
};

struct answer {
	int result;
	struct ft_error error;
	char signature[SIGNATURE_BYTES];
};

/* --- the guardian's own process ----------------------------------------------------------------*/

struct watch {
	int fd;	       /* to the engine */
	int engine_fd; /* becomes readable when the engine has ended */
	bool signs;
	char key[PATH_MAX];
	int key_result;
	struct ft_error key_error;
};

static void ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};

	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	setsid();
}

/* Locks and pipes of the engine's must end with the engine. */
static void close_all_but(int one, int other)
{
	unsigned low = (unsigned)(one < other ? one : other);
	unsigned high = (unsigned)(one < other ? other : one);
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (low > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
}

/* What restoring needs; where the engine is root, also the key and receipts of other users. */
static void keep_few_capabilities(void)
{
	static const unsigned kept[] = {CAP_NET_ADMIN, CAP_DAC_OVERRIDE};
	bool had[2];

	capng_get_caps_process();
	for (unsigned i = 0; i < 2; i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	had[1] = had[1] && geteuid() == 0;
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned i = 0; i < 2; i++)
		if (had[i])
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				     kept[i]);
	capng_apply(CAPNG_SELECT_ALL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int sign(const struct watch *watch, const char *path, struct answer *answer)
{
	int fd, rc;

	if (watch->key_result != 0) {
		answer->error = watch->key_error;
		return watch->key_result;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ft_fail(&answer->error, -errno, "%s: %s", path, strerror(errno));
	rc = ft_device_key_sign(watch->key, fd, answer->signature, sizeof(answer->signature),
				&answer->error);
	close(fd);
	return rc;
}

/* False: the work is done. */
static bool answer_one(const struct watch *watch)
{
	struct pollfd engine = {.fd = watch->engine_fd, .events = POLLIN};
	struct request request;
	struct answer answer = {.result = -EINVAL};
	ssize_t got = recv(watch->fd, &request, sizeof(request), 0);

	if (got < 0 && errno == EINTR)
		return true;
	if (got == (ssize_t)sizeof(request) && request.path[0] != '\0') {
		request.path[sizeof(request.path) - 1] = '\0';
		answer.result = sign(watch, request.path, &answer);
		send(watch->fd, &answer, sizeof(answer), MSG_NOSIGNAL);
		return true;
	}
	/* Killed: its locks on the ports go a moment after its end of this socket. */
	if (got <= 0)
		poll(&engine, 1, TEARDOWN_MS);
	ft_offload_restore_ended();
	return false;
}

static _Noreturn void guard(struct watch *watch)
{
	prctl(PR_SET_NAME, NAME, 0, 0, 0);
	ignore_signals();
	close_all_but(watch->fd, watch->engine_fd);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* ssh-keygen needs none */
	if (watch->signs)
		watch->key_result =
			ft_device_key_prepare(watch->key, sizeof(watch->key), &watch->key_error);
	else
		watch->key_result = ft_fail(&watch->key_error, -EINVAL, "this run signs nothing");
	keep_few_capabilities();
	while (answer_one(watch))
		;
	_exit(0); /* what the engine would do at its exit is not ours to do */
}

/* --- the engine's side ------------------------------------------------------------------------ */

static int fork_guardian(struct ft_guardian *g, bool signs, struct ft_error *error)
{
	struct watch watch = {.signs = signs};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return ft_fail(error, -errno, NAME ": socketpair: %s", strerror(errno));
	watch.fd = ends[1];
	watch.engine_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	g->fd = ends[0];
	g->pid = watch.engine_fd >= 0 ? fork() : -1;
	if (g->pid == 0)
		guard(&watch);
	if (g->pid < 0)
		ft_fail(error, -errno, NAME ": %s", strerror(errno));
	close(watch.fd);
	if (watch.engine_fd >= 0)
		close(watch.engine_fd);
	return g->pid < 0 ? -EAGAIN : 0;
}

int ft_guardian_start(bool signs, struct ft_guardian **guardian, struct ft_error *error)
{
	struct ft_guardian *g = calloc(1, sizeof(*g));
	int rc;

	if (g == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	rc = fork_guardian(g, signs, error);
	if (rc != 0) {
		free(g);
		return rc;
	}
	*guardian = g;
	return 0;
}

static int ask(struct ft_guardian *g, const char *path, struct answer *answer,
	       struct ft_error *error)
{
	struct request request = {0};
	struct pollfd waiter = {.fd = g->fd, .events = POLLIN};

	if (realpath(path, request.path) == NULL)
		return ft_fail(error, -errno, "%s: %s", path, strerror(errno));
	if (send(g->fd, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request) ||
	    poll(&waiter, 1, ANSWER_MS) != 1 ||
	    recv(g->fd, answer, sizeof(*answer), 0) != sizeof(*answer))
		return ft_fail(error, -EPIPE, NAME " does not answer");
	if (answer->result != 0)
		*error = answer->error;
	return answer->result;
}

static int write_signature(const char *path, const char *signature, struct ft_error *error)
{
	char final[PATH_MAX], fresh[PATH_MAX];
	size_t bytes = strlen(signature);
	int fd, rc = 0;

	snprintf(final, sizeof(final), "%s.sig", path);
	snprintf(fresh, sizeof(fresh), "%s.sig.new", path);
	unlink(fresh); /* nor is a link followed that another put there */
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return ft_fail(error, -errno, "%s: %s", fresh, strerror(errno));
	errno = ENOSPC;
	if (write(fd, signature, bytes) != (ssize_t)bytes || fsync(fd) != 0 ||
	    rename(fresh, final) != 0) {
		rc = ft_fail(error, -errno, "%s: %s", final, strerror(errno));
		unlink(fresh);
	}
	close(fd);
	return rc;
}

int ft_guardian_sign(struct ft_guardian *guardian, const char *path, struct ft_error *error)
{
	struct answer answer;
	int rc = ask(guardian, path, &answer, error);

	return rc == 0 ? write_signature(path, answer.signature, error) : rc;
}

void ft_guardian_free(struct ft_guardian *g)
{
	static const struct request restore;
	struct pollfd waiter = {.fd = -1, .events = 0};

	if (g == NULL)
		return;
	waiter.fd = g->fd;
	if (send(g->fd, &restore, sizeof(restore), MSG_NOSIGNAL) == sizeof(restore) &&
	    poll(&waiter, 1, ANSWER_MS) == 1) /* it has hung up: it is done */
		while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
			;
	close(g->fd);
	free(g);
}
