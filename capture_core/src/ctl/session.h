/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture into a directory is a session: session.json says at its start what is recorded, with
 * what and by which clock; receipt.json says at its end what came of it, and is signed. Every name
 * in a receipt is relative to its directory, so that a session can be copied and still be verified.
 *
 *   wanted -> open -> begin -> sample_clock* -> end -> free
 */
#ifndef FT_CTL_SESSION_H
#define FT_CTL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "ctl/guardian.h"
#include "ft/error.h"
#include "ft/port.h"

#define FT_SESSION_SCHEMA "fieldtap.session/1"
#define FT_RECEIPT_SCHEMA "fieldtap.receipt/1"
#define FT_SESSION_FILE	  "session.json"
#define FT_RECEIPT_FILE	  "receipt.json"
#define FT_SESSION_BYTES  16u

struct ft_session;

/* Whether `-w PATH` asks for a session: PATH ends in '/' or is a directory. Opens nothing. */
bool ft_session_wanted(const char *path);

/*
 * Make the directory where it is missing and claim it. One that holds a session already keeps it:
 * the new session then has a folder in it, named by the time. Call it when nothing else is likely
 * to fail; before privileges are dropped.
 */
int ft_session_open(const char *path, struct ft_session **session, struct ft_error *error);

/* Where the session's files go: no '/' at its end. */
const char *ft_session_directory(const struct ft_session *session);

/* Whether the directory that was asked for held a session already: worth saying. */
bool ft_session_is_nested(const struct ft_session *session);

struct ft_session_facts {
	const char *program;
	const char *name;	      /* of the run */
	const uint8_t *id;	      /* FT_SESSION_BYTES, as in every chunk's mark */
	struct ft_port *const *ports; /* opened */
	unsigned port_count;
};

/* Write session.json: once the ports are open. The command line is read from the process. */
int ft_session_begin(struct ft_session *session, const struct ft_session_facts *facts,
		     struct ft_error *error);

/* Call it at every tick: asks the clock once a second how well it is doing. */
void ft_session_sample_clock(struct ft_session *session);

/*
 * Write receipt.json: `report` is a capture-report/1; the receipt holds a copy of it whose file
 * names are relative. 0 when it is written and signed. -EPROTO when it is written but could not be
 * signed (`guardian` may be NULL), which is worth an alarm and no more; else it is not there.
 */
int ft_session_end(struct ft_session *session, const json_t *report, struct ft_guardian *guardian,
		   struct ft_error *error);

/* Accepts NULL. A session that never began leaves nothing: what open made is removed. */
void ft_session_free(struct ft_session *session);

#endif
