/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ptp_history.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ft/clock.h"

#define SAMPLE_EACH_NS FT_NS_PER_SECOND
#define GET_BYTES      54u
#define ANSWER_BYTES   1500u
#define MAX_ANSWERS    256u /* of one sample, lest a babbling peer hold us */

/* Where the fields of a management message are. */
#define LENGTH_AT     2u
#define SEQUENCE_AT   30u
#define CONTROL_AT    32u
#define INTERVAL_AT   33u
#define TARGET_AT     34u
#define TARGET_BYTES  10u
#define ACTION_AT     46u
#define TLV_AT	      48u
#define TLV_LENGTH_AT 50u
#define ID_AT	      52u

#define TYPE_MANAGEMENT	   0x0d
#define VERSION		   2
#define CONTROL_MANAGEMENT 4
#define INTERVAL_NONE	   0x7f
#define ACTION_RESPONSE	   2
#define TLV_MANAGEMENT	   1

#define ID_PORT_DATA_SET  0x2004
#define PORT_BYTES	  26u
#define PORT_STATE_AT	  10u
#define ID_TIME_STATUS	  0xc000
#define TIME_STATUS_BYTES 50u
#define GM_PRESENT_AT	  38u
#define GM_IDENTITY_AT	  42u

#define STATE_UNCALIBRATED 8
#define STATE_SLAVE	   9

static const char *const state_names[FT_PTP_STATES] = {
	"UNKNOWN", "INITIALIZING", "FAULTY",	   "DISABLED", "LISTENING",    "PRE_MASTER",
	"MASTER",  "PASSIVE",	   "UNCALIBRATED", "SLAVE",    "GRAND_MASTER",
};

/* Where linuxptp 4, 3 and its development put their sockets; the first is for everybody. */
static const char *const default_paths[] = {
	"/var/run/ptp4lro",
	"/var/run/ptp4l",
	"/var/run/ptp/ptp4lro",
	"/var/run/ptp/ptp4l",
};

static uint16_t get_be16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return be16toh(value);
}

static void put_be16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof(value));
}

static int64_t get_be64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return (int64_t)be64toh(value);
}

/* A slave receives time, an uncalibrated port is about to; of other ports the last counts. */
static bool outranks(uint8_t state, const struct ft_ptp_answers *answers)
{
	if (!answers->has_state || state == STATE_SLAVE)
		return true;
	return answers->state != STATE_SLAVE &&
	       (state == STATE_UNCALIBRATED || answers->state != STATE_UNCALIBRATED);
}

static bool parse_port(const uint8_t *data, size_t bytes, struct ft_ptp_answers *answers)
{
	if (bytes < PORT_BYTES)
		return false;
	if (outranks(data[PORT_STATE_AT], answers))
		answers->state = data[PORT_STATE_AT] < FT_PTP_STATES ? data[PORT_STATE_AT] : 0;
	answers->has_state = true;
	return true;
}

static bool parse_time_status(const uint8_t *data, size_t bytes, struct ft_ptp_answers *answers)
{
	static const uint8_t absent[4];

	if (bytes < TIME_STATUS_BYTES)
		return false;
	answers->offset_ns = get_be64(data);
	answers->present = memcmp(data + GM_PRESENT_AT, absent, sizeof(absent)) != 0;
	memcpy(answers->grandmaster, data + GM_IDENTITY_AT, FT_PTP_IDENTITY_BYTES);
	answers->has_offset = true;
	return true;
}

bool ft_ptp_answer_parse(const uint8_t *message, size_t bytes, uint16_t sequence,
			 struct ft_ptp_answers *answers)
{
	size_t tlv_bytes, data_bytes;

	if (bytes < GET_BYTES || bytes < get_be16(message + LENGTH_AT) ||
	    (message[0] & 0x0f) != TYPE_MANAGEMENT || (message[1] & 0x0f) != VERSION ||
	    (message[ACTION_AT] & 0x0f) != ACTION_RESPONSE ||
	    get_be16(message + SEQUENCE_AT) != sequence ||
	    get_be16(message + TLV_AT) != TLV_MANAGEMENT)
		return false;
	tlv_bytes = get_be16(message + TLV_LENGTH_AT); /* the id's two and the data's */
	if (tlv_bytes < 2 || tlv_bytes > bytes - ID_AT)
		return false;
	data_bytes = tlv_bytes - 2;
	switch (get_be16(message + ID_AT)) {
	case ID_PORT_DATA_SET:
		return parse_port(message + GET_BYTES, data_bytes, answers);
	case ID_TIME_STATUS:
		return parse_time_status(message + GET_BYTES, data_bytes, answers);
	default:
		return false;
	}
}

/* Bound to a name that the kernel chooses, for an answer needs an address. */
static void open_socket(struct ft_ptp_history *history)
{
	const struct sockaddr_un any = {.sun_family = AF_UNIX};

	history->opened = true;
	history->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (history->fd >= 0 &&
	    bind(history->fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) != 0) {
		close(history->fd);
		history->fd = -1;
	}
}

/* Whether there is a daemon at `path`; one whose queue is full is, though it does not answer. */
static bool send_get(const struct ft_ptp_history *history, const char *path, uint16_t id)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	uint8_t get[GET_BYTES] = {TYPE_MANAGEMENT, VERSION};

	if (strlen(path) >= sizeof(to.sun_path))
		return false;
	memcpy(to.sun_path, path, strlen(path));
	put_be16(get + LENGTH_AT, GET_BYTES);
	put_be16(get + SEQUENCE_AT, history->sequence);
	get[CONTROL_AT] = CONTROL_MANAGEMENT;
	get[INTERVAL_AT] = INTERVAL_NONE;
	memset(get + TARGET_AT, 0xff, TARGET_BYTES); /* every port; no hops, so none elsewhere */
	put_be16(get + TLV_AT, TLV_MANAGEMENT);
	put_be16(get + TLV_LENGTH_AT, 2);
	put_be16(get + ID_AT, id);
	return sendto(history->fd, get, sizeof(get), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (const struct sockaddr *)&to, sizeof(to)) == (ssize_t)sizeof(get) ||
	       errno == EAGAIN;
}

/* The port's state first, since an offset counts by it. */
static bool ask(const struct ft_ptp_history *history, const char *path)
{
	return send_get(history, path, ID_PORT_DATA_SET) && send_get(history, path, ID_TIME_STATUS);
}

static void ask_any(struct ft_ptp_history *history)
{
	const char *given = getenv(FT_PTP_SOCKET_VARIABLE);

	history->sequence++;
	if (given != NULL && given[0] != '\0') {
		if (ask(history, given)) {
			history->path = given;
			history->asked++;
		}
		return;
	}
	for (size_t i = 0; i < sizeof(default_paths) / sizeof(default_paths[0]); i++) {
		if (!ask(history, default_paths[i]))
			continue;
		history->path = default_paths[i];
		history->asked++;
		return;
	}
}

static void take_answers(struct ft_ptp_history *history)
{
	uint8_t message[ANSWER_BYTES];

	for (unsigned i = 0; i < MAX_ANSWERS; i++) {
		ssize_t got = recv(history->fd, message, sizeof(message), MSG_DONTWAIT);

		if (got < 0)
			return;
		ft_ptp_answer_parse(message, (size_t)got, history->sequence, &history->answers);
	}
}

static void count_offset(struct ft_ptp_history *history, int64_t offset_ns)
{
	if (history->offsets == 0 || offset_ns < history->offset_min_ns)
		history->offset_min_ns = offset_ns;
	if (history->offsets == 0 || offset_ns > history->offset_max_ns)
		history->offset_max_ns = offset_ns;
	history->offsets++;
}

static void count_grandmaster(struct ft_ptp_history *history, const uint8_t *identity)
{
	if (!history->followed)
		memcpy(history->first, identity, FT_PTP_IDENTITY_BYTES);
	else if (memcmp(history->last, identity, FT_PTP_IDENTITY_BYTES) != 0)
		history->grandmaster_changes++;
	memcpy(history->last, identity, FT_PTP_IDENTITY_BYTES);
	history->followed = true;
}

static void count_answers(struct ft_ptp_history *history)
{
	const struct ft_ptp_answers *answers = &history->answers;

	if (answers->has_state) {
		history->answered++;
		history->states[answers->state]++;
	}
	if (answers->has_offset && answers->present)
		count_grandmaster(history, answers->grandmaster);
	if (answers->has_offset && answers->has_state && answers->state == STATE_SLAVE)
		count_offset(history, answers->offset_ns);
	history->answers = (struct ft_ptp_answers){0};
}

void ft_ptp_history_sample(struct ft_ptp_history *history)
{
	uint64_t now_ns = ft_clock_monotonic_ns();

	if (history->sampled_ns != 0 && now_ns - history->sampled_ns < SAMPLE_EACH_NS)
		return;
	history->sampled_ns = now_ns;
	if (!history->opened)
		open_socket(history);
	if (history->fd < 0)
		return;
	take_answers(history);
	count_answers(history);
	ask_any(history);
}

static json_t *describe_states(const struct ft_ptp_history *history)
{
	json_t *states = json_object();

	for (size_t i = 0; i < FT_PTP_STATES; i++)
		if (history->states[i] != 0)
			json_object_set_new(states, state_names[i],
					    json_integer((json_int_t)history->states[i]));
	return states;
}

/* As pmc prints it. */
static json_t *describe_identity(const struct ft_ptp_history *history, const uint8_t *id)
{
	if (!history->followed)
		return json_null();
	return json_sprintf("%02x%02x%02x.%02x%02x.%02x%02x%02x", id[0], id[1], id[2], id[3], id[4],
			    id[5], id[6], id[7]);
}

static json_t *describe_offset(const struct ft_ptp_history *history, int64_t offset_ns)
{
	return history->offsets != 0 ? json_integer(offset_ns) : json_null();
}

json_t *ft_ptp_history_report(const struct ft_ptp_history *history)
{
	if (history->path == NULL)
		return json_null();
	return json_pack("{s:s, s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:I}", "socket",
			 history->path, "asked", (json_int_t)history->asked, "answered",
			 (json_int_t)history->answered, "states", describe_states(history),
			 "offset_samples", (json_int_t)history->offsets, "offset_min_ns",
			 describe_offset(history, history->offset_min_ns), "offset_max_ns",
			 describe_offset(history, history->offset_max_ns), "grandmaster_first",
			 describe_identity(history, history->first), "grandmaster_last",
			 describe_identity(history, history->last), "grandmaster_changes",
			 (json_int_t)history->grandmaster_changes);
}

void ft_ptp_history_free(struct ft_ptp_history *history)
{
	if (history->opened && history->fd >= 0)
		close(history->fd);
	history->opened = false;
}
