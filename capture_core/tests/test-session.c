/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and their signed receipts, with a real ssh-keygen and a key of the test's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "ctl/device_key.h"
#include "ctl/session.h"
#include "folder.h"

static const uint8_t id[FT_SESSION_BYTES] = {0xab, 0xcd};
static struct ft_error error;

static int enter_with_key_folder(void **state)
{
	if (enter_folder(state) != 0)
		return -1;
	setenv("FIELDTAP_RUN_DIR", *state, 1);
	return setenv("FIELDTAP_KEY_DIR", "keys", 1);
}

static struct ft_session *open_session(const char *path)
{
	struct ft_session *session;

	if (ft_session_open(path, &session, &error) != 0)
		fail_msg("%s", error.text);
	return session;
}

static struct ft_session *begin_session(const char *path)
{
	struct ft_session *session = open_session(path);
	const struct ft_session_facts facts = {.program = "ft-capture", .name = "tap", .id = id};

	if (ft_session_begin(session, &facts, &error) != 0)
		fail_msg("%s", error.text);
	return session;
}

static json_t *read_json(const char *path)
{
	json_t *object = json_load_file(path, 0, NULL);

	assert_non_null(object);
	return object;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void a_directory_and_a_path_that_ends_in_a_slash_ask_for_a_session(void **state)
{
	(void)state;
	assert_int_equal(mkdir("there", 0700), 0);
	assert_true(ft_session_wanted("there"));
	assert_true(ft_session_wanted("not-yet/"));
	assert_false(ft_session_wanted("not-yet"));
	assert_false(ft_session_wanted("file.pcapng"));
	assert_false(ft_session_wanted("-"));
}

static void a_session_says_what_is_recorded_with_what_and_by_which_clock(void **state)
{
	struct ft_session *session = begin_session("first/");
	json_t *object = read_json("first/session.json");

	(void)state;
	assert_string_equal(ft_session_directory(session), "first");
	assert_string_equal(text_of(object, "schema"), "fieldtap.session/1");
	assert_string_equal(text_of(object, "session"), "abcd0000000000000000000000000000");
	assert_string_equal(text_of(object, "name"), "tap");
	assert_true(json_array_size(json_object_get(object, "options")) >= 1);
	assert_non_null(text_of(json_object_get(object, "host"), "kernel"));
	assert_true(
		json_is_boolean(json_object_get(json_object_get(object, "clock"), "synchronised")));
	json_decref(object);
	ft_session_free(session);
}

static void a_directory_that_holds_a_session_gets_a_folder_for_each_further_one(void **state)
{
	struct ft_session *first = begin_session("many"), *second, *third;

	(void)state;
	second = begin_session("many");
	third = begin_session("many");
	assert_false(ft_session_is_nested(first));
	assert_true(ft_session_is_nested(second));
	assert_int_equal(strncmp(ft_session_directory(second), "many/20", 7), 0);
	assert_string_not_equal(ft_session_directory(second), ft_session_directory(third));
	ft_session_free(first);
	ft_session_free(second);
	ft_session_free(third);
}

static void a_session_that_never_began_leaves_nothing(void **state)
{
	(void)state;
	ft_session_free(open_session("given-up/"));
	assert_false(exists("given-up"));
	assert_int_equal(mkdir("kept", 0700), 0);
	ft_session_free(open_session("kept"));
	assert_true(exists("kept"));
	assert_false(exists("kept/session.json"));
}

static void a_directory_that_cannot_be_made_is_an_error_with_its_name(void **state)
{
	struct ft_session *session;

	(void)state;
	assert_int_equal(ft_session_open("no/such/place/", &session, &error), -ENOENT);
	assert_string_equal(error.text, "-w no/such/place/: No such file or directory");
}

static struct ft_guardian *start_guardian(bool signs)
{
	struct ft_guardian *guardian;

	if (ft_guardian_start(signs, &guardian, &error) != 0)
		fail_msg("%s", error.text);
	return guardian;
}

static json_t *report_of_one_file(void)
{
	return json_pack("{s:s, s:[{s:s, s:i}]}", "schema", "fieldtap.capture-report/1", "files",
			 "path", "/some/where/capture_00001.pcapng", "packets", 7);
}

static void need_ssh_keygen(void)
{
	if (system("command -v ssh-keygen >/dev/null") == 0)
		return;
	print_message("needs ssh-keygen\n");
	skip();
}

static void a_receipt_names_its_files_by_relative_names_and_is_signed(void **state)
{
	struct ft_guardian *guardian = start_guardian(true);
	struct ft_session *session = begin_session("signed/");
	json_t *report = report_of_one_file(), *receipt, *file;

	(void)state;
	need_ssh_keygen();
	if (ft_session_end(session, report, guardian, &error) != 0)
		fail_msg("%s", error.text);
	receipt = read_json("signed/receipt.json");
	file = json_array_get(json_object_get(json_object_get(receipt, "report"), "files"), 0);
	assert_string_equal(text_of(receipt, "schema"), "fieldtap.receipt/1");
	assert_string_equal(text_of(receipt, "session"), "abcd0000000000000000000000000000");
	assert_string_equal(text_of(file, "path"), "capture_00001.pcapng");
	assert_true(json_integer_value(
			    json_object_get(json_object_get(receipt, "clock"), "samples")) >= 2);
	assert_int_equal(system("ssh-keygen -Y check-novalidate -n fieldtap "
				"-s signed/receipt.json.sig <signed/receipt.json >/dev/null"),
			 0);
	/* What the caller gave stays as it was. */
	file = json_array_get(json_object_get(report, "files"), 0);
	assert_string_equal(text_of(file, "path"), "/some/where/capture_00001.pcapng");
	json_decref(receipt);
	json_decref(report);
	ft_session_free(session);
	ft_guardian_free(guardian);
}

static void without_ssh_keygen_a_receipt_is_written_and_said_to_be_unsigned(void **state)
{
	char *path = strdup(getenv("PATH"));
	struct ft_guardian *guardian;
	struct ft_session *session = begin_session("unsigned/");
	json_t *report = report_of_one_file();

	(void)state;
	setenv("PATH", "/nowhere", 1);
	guardian = start_guardian(true);
	setenv("PATH", path, 1);
	setenv("FIELDTAP_KEY_DIR", "other-keys", 1);
	assert_int_equal(ft_session_end(session, report, guardian, &error), -EPROTO);
	assert_non_null(strstr(error.text, "unsigned/receipt.json: the receipt is not signed: "
					   "ssh-keygen cannot be run"));
	assert_true(exists("unsigned/receipt.json"));
	assert_false(exists("unsigned/receipt.json.sig"));
	setenv("FIELDTAP_KEY_DIR", "keys", 1);
	free(path);
	json_decref(report);
	ft_session_free(session);
	ft_guardian_free(guardian);
}

static void engines_that_start_at_once_make_one_key_for_their_user_alone(void **state)
{
	pid_t engines[4];
	struct stat status;

	(void)state;
	need_ssh_keygen();
	setenv("FIELDTAP_KEY_DIR", "new/deep/keys", 1);
	for (unsigned i = 0; i < 4; i++) {
		engines[i] = fork();
		if (engines[i] == 0) {
			char path[4096];

			_exit(ft_device_key_prepare(path, sizeof(path), &error) != 0);
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		int result;

		assert_int_equal(waitpid(engines[i], &result, 0), engines[i]);
		assert_int_equal(result, 0);
	}
	assert_int_equal(stat("new/deep/keys/receipt_ed25519", &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(system("test $(ls -A new/deep/keys | wc -l) = 2 && "
				"test \"$(ssh-keygen -y -f new/deep/keys/receipt_ed25519 | cut "
				"-d' ' -f2)\" = \"$(cut -d' ' -f2 "
				"new/deep/keys/receipt_ed25519.pub)\""),
			 0);
	setenv("FIELDTAP_KEY_DIR", "keys", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_and_a_path_that_ends_in_a_slash_ask_for_a_session),
		cmocka_unit_test(a_session_says_what_is_recorded_with_what_and_by_which_clock),
		cmocka_unit_test(
			a_directory_that_holds_a_session_gets_a_folder_for_each_further_one),
		cmocka_unit_test(a_session_that_never_began_leaves_nothing),
		cmocka_unit_test(a_directory_that_cannot_be_made_is_an_error_with_its_name),
		cmocka_unit_test(a_receipt_names_its_files_by_relative_names_and_is_signed),
		cmocka_unit_test(without_ssh_keygen_a_receipt_is_written_and_said_to_be_unsigned),
		cmocka_unit_test(engines_that_start_at_once_make_one_key_for_their_user_alone),
	};

	return cmocka_run_group_tests(tests, enter_with_key_folder, leave_folder);
}
