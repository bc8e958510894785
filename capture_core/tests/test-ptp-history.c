/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/ptp_history.h"

#define UNCALIBRATED	  8
#define SLAVE		  9
#define PORT_DATA_SET	  0x2004
#define TIME_STATUS	  0xc000
#define PORT_BYTES	  26u
#define TIME_STATUS_BYTES 50u
#define HEADER_BYTES	  54u

struct answer {
	uint8_t bytes[HEADER_BYTES + TIME_STATUS_BYTES];
	size_t length;
};

/* What the clock answers: a data set of zeros but for what matters here. */
static struct answer answer(uint16_t id, uint16_t sequence, uint8_t port_state, int8_t offset_ns)
{
	size_t data = id == PORT_DATA_SET ? PORT_BYTES : TIME_STATUS_BYTES;
	struct answer made = {.length = HEADER_BYTES + data};
	uint8_t *at = made.bytes;

	at[0] = 0x0d;
	at[1] = 2;
	at[3] = (uint8_t)made.length;
	at[30] = (uint8_t)(sequence >> 8);
	at[31] = (uint8_t)sequence;
	at[46] = 2;
	at[49] = 1;
	at[51] = (uint8_t)(2 + data);
	at[52] = (uint8_t)(id >> 8);
	at[53] = (uint8_t)id;
	at += HEADER_BYTES;
	if (id == PORT_DATA_SET) {
		at[10] = port_state;
	} else {
		memset(at, offset_ns < 0 ? 0xff : 0, 8);
		at[7] = (uint8_t)offset_ns;
		at[41] = 1;
		memset(at + 42, port_state, 8); /* so that identities differ as states do */
	}
	return made;
}

static bool parse(const struct answer *made, uint16_t sequence, struct ft_ptp_answers *answers)
{
	return ft_ptp_answer_parse(made->bytes, made->length, sequence, answers);
}

static void of_several_ports_the_slave_counts_in_any_order(void **state)
{
	static const uint8_t orders[][2] = {{6, SLAVE}, {SLAVE, 6}, {UNCALIBRATED, SLAVE}};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct ft_ptp_answers answers = {0};

		for (size_t j = 0; j < 2; j++) {
			struct answer made = answer(PORT_DATA_SET, 7, orders[i][j], 0);

			assert_true(parse(&made, 7, &answers));
		}
		assert_int_equal(answers.state, SLAVE);
	}
}

static void an_offset_has_a_sign_and_its_grandmaster(void **state)
{
	struct answer made = answer(TIME_STATUS, 7, SLAVE, -20);
	struct ft_ptp_answers answers = {0};

	(void)state;
	assert_true(parse(&made, 7, &answers));
	assert_int_equal(answers.offset_ns, -20);
	assert_true(answers.present);
	assert_int_equal(answers.grandmaster[7], SLAVE);
}

static void an_answer_that_is_cut_off_or_to_another_question_is_none(void **state)
{
	struct ft_ptp_answers answers = {0};

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct answer made = answer(i == 0 ? PORT_DATA_SET : TIME_STATUS, 7, SLAVE, 1);
		size_t whole = made.length;

		assert_false(parse(&made, 8, &answers));
		for (made.length = 0; made.length < whole; made.length++) {
			/* Memory of its own, so that a sanitizer sees a read past the end. */
			uint8_t *copy = malloc(made.length + 1);

			assert_non_null(copy);
			memcpy(copy, made.bytes, made.length);
			assert_false(ft_ptp_answer_parse(copy, made.length, 7, &answers));
			free(copy);
		}
	}
	assert_false(answers.has_state || answers.has_offset);
}

/* Answer what a history asked with these; the questions' sequence is taken over. */
static void serve(int fd, uint8_t port_state, int8_t offset_ns)
{
	struct sockaddr_un from;
	uint8_t get[HEADER_BYTES];

	for (int i = 0; i < 2; i++) {
		socklen_t bytes = sizeof(from);
		ssize_t got = recvfrom(fd, get, sizeof(get), 0, (struct sockaddr *)&from, &bytes);
		struct answer made =
			answer((uint16_t)(get[52] << 8 | get[53]),
			       (uint16_t)(get[30] << 8 | get[31]), port_state, offset_ns);

		assert_int_equal(got, HEADER_BYTES);
		assert_int_equal(
			sendto(fd, made.bytes, made.length, 0, (struct sockaddr *)&from, bytes),
			made.length);
	}
}

static void sample_now(struct ft_ptp_history *history)
{
	history->sampled_ns = 0;
	ft_ptp_history_sample(history);
}

static void a_run_knows_its_states_offsets_and_grandmasters(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char folder[] = "/tmp/fieldtap-ptp-XXXXXX";
	struct ft_ptp_history history = {0};
	json_t *report;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ptp4l", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setenv(FT_PTP_SOCKET_VARIABLE, address.sun_path, 1), 0);

	sample_now(&history);
	serve(fd, UNCALIBRATED, 100); /* not locked: no offset yet */
	sample_now(&history);
	serve(fd, SLAVE, -20);
	sample_now(&history);
	serve(fd, SLAVE, 30);
	sample_now(&history);
	sample_now(&history); /* nobody answers */

	report = ft_ptp_history_report(&history);
	assert_int_equal(json_integer_value(json_object_get(report, "asked")), 5);
	assert_int_equal(json_integer_value(json_object_get(report, "answered")), 3);
	assert_int_equal(json_integer_value(json_object_get(report, "offset_samples")), 2);
	assert_int_equal(json_integer_value(json_object_get(report, "offset_min_ns")), -20);
	assert_int_equal(json_integer_value(json_object_get(report, "offset_max_ns")), 30);
	assert_int_equal(json_integer_value(json_object_get(report, "grandmaster_changes")), 1);
	assert_string_equal(json_string_value(json_object_get(report, "grandmaster_last")),
			    "090909.0909.090909");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(report, "states"), "SLAVE")), 2);
	json_decref(report);
	ft_ptp_history_free(&history);
	close(fd);
	unlink(address.sun_path);
	rmdir(folder);
}

static void without_a_daemon_there_is_nothing_to_tell(void **state)
{
	struct ft_ptp_history history = {0};
	json_t *report;

	(void)state;
	assert_int_equal(setenv(FT_PTP_SOCKET_VARIABLE, "/nonexistent/ptp4l", 1), 0);
	sample_now(&history);
	report = ft_ptp_history_report(&history);
	assert_true(json_is_null(report));
	json_decref(report);
	ft_ptp_history_free(&history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_several_ports_the_slave_counts_in_any_order),
		cmocka_unit_test(an_offset_has_a_sign_and_its_grandmaster),
		cmocka_unit_test(an_answer_that_is_cut_off_or_to_another_question_is_none),
		cmocka_unit_test(a_run_knows_its_states_offsets_and_grandmasters),
		cmocka_unit_test(without_a_daemon_there_is_nothing_to_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
