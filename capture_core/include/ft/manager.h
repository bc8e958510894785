/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manager: the main thread of every engine. It owns RUN/<name>/control.sock (JSON-RPC 2.0, one
 * object a line), SIGINT and SIGTERM, and a tick. Engines give it a status and learn when to stop.
 */
#ifndef FT_MANAGER_H
#define FT_MANAGER_H

#include <stdint.h>

#include <jansson.h>

#include "ft/error.h"

struct ft_manager;

/* All are called from ft_manager_run, on the main thread. NULL: not supported, and said so. */
struct ft_manager_calls {
	/* A new object with the program's own fields; the manager adds schema, name, pid, times. */
	json_t *(*status)(void *engine);
	/* Ten times a second. Return non-NULL to stop, with the reason for the report. */
	const char *(*tick)(void *engine);
	int (*rotate)(void *engine, struct ft_error *error);
	/* The result of `rate`; NULL with a sentence where it is refused. */
	json_t *(*rate)(void *engine, const json_t *params, struct ft_error *error);
};

/*
 * Block SIGINT and SIGTERM (also when inherited as ignored), ignore SIGHUP and SIGPIPE, and claim
 * `name` (NULL: PROGRAM-PID) in the first writable RUN directory. Call it before any thread starts.
 * -EEXIST when a live engine has the name.
 */
int ft_manager_open(const char *program, const char *name, struct ft_manager **manager,
		    struct ft_error *error);

/* Whether SIGINT or SIGTERM has come in. Before ft_manager_publish: exit code 130. */
int ft_manager_interrupted(struct ft_manager *manager);

/* Every port receives or is ready to send: make the socket appear. Returns started_ns or 0. */
uint64_t ft_manager_publish(struct ft_manager *manager, struct ft_error *error);

/*
 * Serve clients and signals until something asks to stop. Returns why: "signal", "stop" (a client)
 * or what tick returned. Call ft_manager_serve later to keep answering while the engine drains.
 */
const char *ft_manager_run(struct ft_manager *manager, const struct ft_manager_calls *calls,
			   void *engine);
void ft_manager_serve(struct ft_manager *manager, int timeout_ms);

/* Something the user must see: one line on stderr and in every status from now on. */
void ft_manager_alarm(struct ft_manager *manager, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Notes made by `mark` so far: [{time_ns, text}], borrowed. */
const json_t *ft_manager_marks(const struct ft_manager *manager);
/* What ft_manager_alarm was told so far: [{time_ns, text}], borrowed. */
const json_t *ft_manager_alarms(const struct ft_manager *manager);
/* Where its socket is: RUN/<name>. */
const char *ft_manager_directory(const struct ft_manager *manager);
const char *ft_manager_name(const struct ft_manager *manager);

/* Remove the socket. Accepts NULL. */
void ft_manager_free(struct ft_manager *manager);

#endif
