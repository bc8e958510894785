/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's main thread. It may block, allocate and write JSON: no frame waits for it. Clients
 * are untrusted: a request line is bounded, a client that does not read is dropped.
 */
#include "ft/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/rundir.h"
#include "ft/clock.h"
#include "ft/report.h"

#define MAX_CLIENTS	   16u
#define MAX_REQUEST_BYTES  4096u
#define MAX_MARKS	   10000u
#define MAX_MARK_BYTES	   1024u
#define MIN_SUBSCRIBE_HZ   0.001
#define MAX_SUBSCRIBE_HZ   20.0
#define TICK_NS		   (100 * FT_NS_PER_MS)
#define STATUS_SCHEMA	   "fieldtap.status/1"
#define RPC_PARSE_ERROR	   (-32700)
#define RPC_BAD_REQUEST	   (-32600)
#define RPC_UNKNOWN_METHOD (-32601)
#define RPC_BAD_PARAMS	   (-32602)
#define RPC_FAILED	   (-32000)

struct client {
	int fd;
	unsigned used;
	uint64_t push_every_ns; /* 0: not subscribed */
	uint64_t push_at_ns;	/* monotonic */
	char request[MAX_REQUEST_BYTES];
};

struct ft_manager {
	const char *program;
	char name[NAME_MAX];
	struct ft_rundir rundir;
	int signal_fd;
	int listen_fd;
	unsigned client_count;
	struct client *clients[MAX_CLIENTS];
	const struct ft_manager_calls *calls;
	void *engine;
	uint64_t started_ns;
	const char *stop_reason;
	json_t *alarms;
	json_t *marks;
};

/* Handled even when inherited as ignored, as under nohup or in a shell's background. */
static int take_signals(void)
{
	const int handled[] = {SIGINT, SIGTERM};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < 2; i++)
		sigaddset(&set, handled[i]);
	sigprocmask(SIG_BLOCK, &set, NULL); /* before they could end us */
	for (unsigned i = 0; i < 2; i++)
		signal(handled[i], SIG_DFL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A closed one would be the next file that is opened, a capture perhaps, and get our words. */
static void occupy_standard_streams(void)
{
	int fd;

	do /* for reading, so that writing a capture there is still an error */
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int ft_manager_open(const char *program, const char *name, struct ft_manager **manager,
		    struct ft_error *error)
{
	struct ft_manager *m = calloc(1, sizeof(*m));
	int rc;

	if (m == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	occupy_standard_streams();
	m->program = program;
	m->listen_fd = -1;
	m->alarms = json_array();
	m->marks = json_array();
	m->signal_fd = take_signals();
	if (m->signal_fd < 0) {
		rc = ft_fail(error, -errno, "signalfd: %s", strerror(errno));
		ft_manager_free(m);
		return rc;
	}
	if (name != NULL)
		snprintf(m->name, sizeof(m->name), "%s", name);
	else
		snprintf(m->name, sizeof(m->name), "%s-%d", program, getpid());
	rc = ft_rundir_claim(m->name, &m->rundir, error);
	if (rc != 0) {
		ft_manager_free(m);
		return rc;
	}
	*manager = m;
	return 0;
}

int ft_manager_interrupted(struct ft_manager *manager)
{
	struct signalfd_siginfo info;

	if (read(manager->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	manager->stop_reason = "signal";
	return 1;
}

uint64_t ft_manager_publish(struct ft_manager *manager, struct ft_error *error)
{
	manager->listen_fd = ft_rundir_listen(&manager->rundir, error);
	if (manager->listen_fd < 0)
		return 0;
	manager->started_ns = ft_clock_utc_ns();
	return manager->started_ns;
}

static json_t *status(struct ft_manager *m)
{
	json_t *object = m->calls != NULL ? m->calls->status(m->engine) : json_object();

	json_object_set_new(object, "schema", json_string(STATUS_SCHEMA));
	json_object_set_new(object, "program", json_string(m->program));
	json_object_set_new(object, "name", json_string(m->name));
	json_object_set_new(object, "pid", json_integer(getpid()));
	json_object_set_new(object, "state",
			    json_string(m->stop_reason != NULL ? "stopping" : "running"));
	json_object_set_new(object, "started_ns", json_integer((json_int_t)m->started_ns));
	json_object_set_new(object, "now_ns", json_integer((json_int_t)ft_clock_utc_ns()));
	json_object_set(object, "alarms", m->alarms);
	return object;
}

/* A client that does not take a whole message at once has stopped reading: -EPIPE. */
static int send_message(struct client *client, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t bytes;
	ssize_t sent;

	json_decref(message);
	if (text == NULL)
		return -ENOMEM;
	bytes = strlen(text);
	text[bytes] = '\n'; /* in place of the terminator: one send a message */
	sent = send(client->fd, text, bytes + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
	return sent == (ssize_t)bytes + 1 ? 0 : -EPIPE;
}

static int send_result(struct client *client, json_t *id, json_t *result)
{
	return send_message(
		client, json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, "result", result));
}

static int send_error(struct client *client, json_t *id, int code, const char *text)
{
	return send_message(client, json_pack("{s:s, s:O, s:{s:i, s:s}}", "jsonrpc", "2.0", "id",
					      id, "error", "code", code, "message", text));
}

static int answer_rotate(struct ft_manager *m, struct client *client, json_t *id)
{
	struct ft_error error;

	if (m->calls == NULL || m->calls->rotate == NULL)
		return send_error(client, id, RPC_FAILED, "this run writes one file");
	if (m->calls->rotate(m->engine, &error) != 0)
		return send_error(client, id, RPC_FAILED, error.text);
	return send_result(client, id, json_pack("{s:b}", "rotating", 1));
}

static int answer_rate(struct ft_manager *m, struct client *client, json_t *id,
		       const json_t *params)
{
	struct ft_error error;
	json_t *result;

	if (m->calls == NULL || m->calls->rate == NULL)
		return send_error(client, id, RPC_FAILED, "this run sends nothing");
	result = m->calls->rate(m->engine, params, &error);
	if (result == NULL)
		return send_error(client, id, RPC_BAD_PARAMS, error.text);
	return send_result(client, id, result);
}

static int answer_mark(struct ft_manager *m, struct client *client, json_t *id, json_t *params)
{
	const char *text = json_string_value(json_object_get(params, "text"));
	json_int_t time_ns = (json_int_t)ft_clock_utc_ns();

	if (text == NULL || strlen(text) > MAX_MARK_BYTES)
		return send_error(client, id, RPC_BAD_PARAMS,
				  "mark needs \"text\", at most 1024 bytes");
	if (json_array_size(m->marks) >= MAX_MARKS)
		return send_error(client, id, RPC_FAILED, "this run holds 10000 marks already");
	json_array_append_new(m->marks, json_pack("{s:I, s:s}", "time_ns", time_ns, "text", text));
	return send_result(client, id, json_pack("{s:I}", "time_ns", time_ns));
}

static int answer_subscribe(struct client *client, json_t *id, json_t *params)
{
	json_t *rate = json_object_get(params, "hz");
	double hz = rate == NULL ? 1.0 : json_number_value(rate);

	if (hz < MIN_SUBSCRIBE_HZ || hz > MAX_SUBSCRIBE_HZ)
		return send_error(client, id, RPC_BAD_PARAMS,
				  "subscribe needs \"hz\" from 0.001 to 20");
	client->push_every_ns = (uint64_t)((double)FT_NS_PER_SECOND / hz);
	client->push_at_ns = ft_clock_monotonic_ns();
	return send_result(client, id, json_pack("{s:f}", "hz", hz));
}

static int answer(struct ft_manager *m, struct client *client, json_t *request)
{
	const char *method = json_string_value(json_object_get(request, "method"));
	json_t *params = json_object_get(request, "params");
	json_t *id = json_object_get(request, "id");

	if (id == NULL)
		id = json_null();
	if (method == NULL)
		return send_error(client, id, RPC_BAD_REQUEST, "no \"method\"");
	if (strcmp(method, "status") == 0)
		return send_result(client, id, status(m));
	if (strcmp(method, "stop") == 0) {
		if (m->stop_reason == NULL)
			m->stop_reason = "stop";
		return send_result(client, id, json_pack("{s:b}", "stopping", 1));
	}
	if (strcmp(method, "rotate") == 0)
		return answer_rotate(m, client, id);
	if (strcmp(method, "rate") == 0)
		return answer_rate(m, client, id, params);
	if (strcmp(method, "mark") == 0)
		return answer_mark(m, client, id, params);
	if (strcmp(method, "subscribe") == 0)
		return answer_subscribe(client, id, params);
	return send_error(client, id, RPC_UNKNOWN_METHOD,
			  "methods: status, stop, rotate, rate, mark, subscribe");
}

static int answer_line(struct ft_manager *m, struct client *client, const char *line, size_t bytes)
{
	json_t *request = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
	int rc;

	if (request == NULL)
		return send_error(client, json_null(), RPC_PARSE_ERROR, "not a JSON object");
	rc = answer(m, client, request);
	json_decref(request);
	return rc;
}

/* Negative: the client is gone or misbehaves. */
static int read_client(struct ft_manager *m, struct client *client)
{
	ssize_t received = recv(client->fd, client->request + client->used,
				sizeof(client->request) - client->used, MSG_DONTWAIT);
	char *start = client->request, *end, *newline;

	if (received == 0)
		return -ECONNRESET;
	if (received < 0)
		return errno == EAGAIN ? 0 : -errno;
	client->used += (unsigned)received;
	end = client->request + client->used;
	while ((newline = memchr(start, '\n', (size_t)(end - start))) != NULL) {
		int rc = answer_line(m, client, start, (size_t)(newline - start));

		if (rc != 0)
			return rc;
		start = newline + 1;
	}
	client->used = (unsigned)(end - start);
	memmove(client->request, start, client->used);
	if (client->used < sizeof(client->request))
		return 0;
	send_error(client, json_null(), RPC_BAD_REQUEST, "a request is at most 4096 bytes");
	return -EMSGSIZE;
}

static void accept_client(struct ft_manager *m)
{
	int fd = accept4(m->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0)
		return;
	client = m->client_count < MAX_CLIENTS ? calloc(1, sizeof(*client)) : NULL;
	if (client == NULL) {
		close(fd);
		return;
	}
	client->fd = fd;
	m->clients[m->client_count++] = client;
}

static void drop_client(struct ft_manager *m, unsigned index)
{
	close(m->clients[index]->fd);
	free(m->clients[index]);
	m->clients[index] = m->clients[--m->client_count];
}

static int push_status(struct ft_manager *m, struct client *client, uint64_t now_ns)
{
	if (client->push_every_ns == 0 || now_ns < client->push_at_ns)
		return 0;
	client->push_at_ns = now_ns + client->push_every_ns;
	return send_message(client, json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method",
					      "status", "params", status(m)));
}

/* The time until the next push is due, at most `timeout_ms`. */
static int until_push_ms(const struct ft_manager *m, int timeout_ms)
{
	uint64_t now_ns = ft_clock_monotonic_ns();

	for (unsigned i = 0; i < m->client_count; i++) {
		const struct client *client = m->clients[i];
		uint64_t left_ms;

		if (client->push_every_ns == 0)
			continue;
		if (client->push_at_ns <= now_ns)
			return 0;
		left_ms = (client->push_at_ns - now_ns) / FT_NS_PER_MS + 1;
		if (left_ms < (uint64_t)timeout_ms)
			timeout_ms = (int)left_ms;
	}
	return timeout_ms;
}

void ft_manager_serve(struct ft_manager *m, int timeout_ms)
{
	struct pollfd fds[2 + MAX_CLIENTS] = {
		{.fd = m->signal_fd, .events = POLLIN},
		{.fd = m->listen_fd, .events = POLLIN},
	};
	unsigned polled = m->client_count;
	uint64_t now_ns;

	for (unsigned i = 0; i < polled; i++)
		fds[2 + i] = (struct pollfd){.fd = m->clients[i]->fd, .events = POLLIN};
	if (poll(fds, 2 + polled, until_push_ms(m, timeout_ms)) < 0)
		return;
	if (fds[0].revents != 0 && m->stop_reason == NULL)
		ft_manager_interrupted(m);
	now_ns = ft_clock_monotonic_ns();
	for (unsigned i = polled; i-- > 0;) { /* backwards: dropping moves the last one here */
		int rc = fds[2 + i].revents != 0 ? read_client(m, m->clients[i]) : 0;

		if (rc == 0)
			rc = push_status(m, m->clients[i], now_ns);
		if (rc != 0)
			drop_client(m, i);
	}
	if (fds[1].revents != 0)
		accept_client(m);
}

const char *ft_manager_run(struct ft_manager *m, const struct ft_manager_calls *calls, void *engine)
{
	uint64_t tick_at_ns = ft_clock_monotonic_ns();

	m->calls = calls;
	m->engine = engine;
	while (m->stop_reason == NULL) {
		uint64_t now_ns = ft_clock_monotonic_ns();

		if (now_ns >= tick_at_ns) {
			tick_at_ns = now_ns + TICK_NS;
			m->stop_reason = calls->tick(engine);
			continue;
		}
		ft_manager_serve(m, (int)((tick_at_ns - now_ns) / FT_NS_PER_MS) + 1);
	}
	return m->stop_reason;
}

void ft_manager_alarm(struct ft_manager *m, const char *format, ...)
{
	char text[FT_ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "%s: %s\n", m->program, text);
	json_array_append_new(m->alarms,
			      json_pack("{s:I, s:o}", "time_ns", (json_int_t)ft_clock_utc_ns(),
					"text", ft_report_text(text)));
}

const json_t *ft_manager_marks(const struct ft_manager *manager)
{
	return manager->marks;
}

const json_t *ft_manager_alarms(const struct ft_manager *manager)
{
	return manager->alarms;
}

const char *ft_manager_directory(const struct ft_manager *manager)
{
	return manager->rundir.path;
}

const char *ft_manager_name(const struct ft_manager *manager)
{
	return manager->name;
}

void ft_manager_free(struct ft_manager *m)
{
	if (m == NULL)
		return;
	while (m->client_count > 0)
		drop_client(m, m->client_count - 1);
	if (m->listen_fd >= 0)
		close(m->listen_fd);
	if (m->signal_fd >= 0)
		close(m->signal_fd);
	ft_rundir_release(&m->rundir);
	json_decref(m->alarms);
	json_decref(m->marks);
	free(m);
}
