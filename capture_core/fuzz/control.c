/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: what a client may write to the control socket. A real manager with a real
 * socket reads each input, cut into pieces as its first byte says; every reply must be an object of
 * JSON-RPC 2.0 on a line of its own, one for each request.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ft/manager.h"

#define MAX_REPLIES_BYTES (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ft_manager *manager;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char folder[] = "/tmp/fieldtap-fuzz-XXXXXX";

static json_t *status(void *engine)
{
	(void)engine;
	return json_pack("{s:i}", "lost", 0);
}

static const char *tick(void *engine)
{
	(void)engine;
	return "ready";
}

static void clean_up(void)
{
	ft_manager_free(manager);
	rmdir(folder);
}

static void start(void)
{
	static const struct ft_manager_calls calls = {.status = status, .tick = tick};
	struct ft_error error;

	if (mkdtemp(folder) == NULL || setenv("FIELDTAP_RUN_DIR", folder, 1) != 0 ||
	    ft_manager_open("ft-fuzz", "fuzz", &manager, &error) != 0 ||
	    ft_manager_publish(manager, &error) == 0)
		abort();
	atexit(clean_up);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/fuzz/control.sock", folder);
	ft_manager_run(manager, &calls, NULL);
}

static size_t count_lines(const uint8_t *text, size_t bytes)
{
	size_t lines = 0;

	for (size_t i = 0; i < bytes; i++)
		lines += text[i] == '\n';
	return lines;
}

/* Whether there was more to come: false once the manager has closed. */
static int collect(int fd, char *replies, size_t *used)
{
	ssize_t got;

	do {
		got = recv(fd, replies + *used, MAX_REPLIES_BYTES - *used, MSG_DONTWAIT);
		if (got > 0)
			*used += (size_t)got;
	} while (got > 0);
	return got < 0 && errno == EAGAIN;
}

/* The number of replies; a subscriber's notifications are not replies. */
static size_t check_replies(const char *replies, size_t bytes)
{
	const char *line = replies, *end;
	size_t count = 0;

	for (; (end = memchr(line, '\n', bytes - (size_t)(line - replies))) != NULL;
	     line = end + 1) {
		json_t *reply = json_loadb(line, (size_t)(end - line), 0, NULL);
		const char *version = json_string_value(json_object_get(reply, "jsonrpc"));

		if (version == NULL || strcmp(version, "2.0") != 0)
			abort();
		if (json_object_get(reply, "id") != NULL) {
			if ((json_object_get(reply, "result") == NULL) ==
			    (json_object_get(reply, "error") == NULL))
				abort();
			count++;
		}
		json_decref(reply);
	}
	if (line != replies + bytes)
		abort();
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char replies[MAX_REPLIES_BYTES];
	size_t piece = size > 0 ? data[0] * 16u + 1 : 1, sent = 1, used = 0;
	int fd, open = 1;

	if (manager == NULL)
		start();
	if (size < 1)
		return 0;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		abort();
	ft_manager_serve(manager, 0); /* accepts */
	while (open && sent < size) {
		size_t bytes = size - sent < piece ? size - sent : piece;

		if (send(fd, data + sent, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
			break;
		sent += bytes;
		ft_manager_serve(manager, 0);
		open = collect(fd, replies, &used);
	}
	if (open && check_replies(replies, used) != count_lines(data + 1, size - 1))
		abort();
	close(fd);
	ft_manager_serve(manager, 0); /* lets go */
	return 0;
}
