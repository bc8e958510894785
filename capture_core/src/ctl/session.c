/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "ctl/clock_quality.h"
#include "ctl/ptp_history.h"
#include "ft/clock.h"
#include "ft/report.h"
#include "port/ethtool.h"

#define MAX_NESTED	 1000u
#define MAX_OPTION_BYTES 65536u
#define SHA256_BYTES	 32u

struct ft_session {
	char directory[PATH_MAX - 64];
	bool made; /* the directory, by us */
	bool nested;
	bool begun;
	char id[2 * FT_SESSION_BYTES + 1];
	char sha256[2 * SHA256_BYTES + 1]; /* of session.json */
	struct ft_clock_quality clock;
	struct ft_ptp_history ptp;
};

bool ft_session_wanted(const char *path)
{
	size_t length = strlen(path);
	struct stat status;

	return (length > 0 && path[length - 1] == '/') ||
	       (stat(path, &status) == 0 && S_ISDIR(status.st_mode));
}

static void path_in(const struct ft_session *session, const char *name, char *path, size_t bytes)
{
	snprintf(path, bytes, "%s/%s", session->directory, name);
}

/* Two that start at once cannot both have it. */
static int claim(const struct ft_session *session)
{
	char path[PATH_MAX];
	int fd;

	path_in(session, FT_SESSION_FILE, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* DIR/YYYYMMDDThhmmssZ, or the first of DIR/YYYYMMDDThhmmssZ-1, -2, ... that is not there. */
static int make_nested(struct ft_session *session)
{
	size_t length = strlen(session->directory);
	char *end = session->directory + length;
	size_t room = sizeof(session->directory) - length;
	time_t now = time(NULL);
	char stamp[32];

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime(&now));
	session->nested = true;
	for (unsigned i = 0; i < MAX_NESTED; i++) {
		int written = i == 0 ? snprintf(end, room, "/%s", stamp)
				     : snprintf(end, room, "/%s-%u", stamp, i);

		if ((size_t)written >= room)
			return -ENAMETOOLONG;
		if (mkdir(session->directory, 0775) == 0) {
			session->made = true;
			return claim(session);
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int make(struct ft_session *session, const char *path)
{
	size_t length = strlen(path);
	int rc;

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length >= sizeof(session->directory))
		return -ENAMETOOLONG;
	memcpy(session->directory, path, length);
	session->made = mkdir(session->directory, 0775) == 0;
	if (!session->made && errno != EEXIST)
		return -errno;
	rc = claim(session);
	return rc == -EEXIST ? make_nested(session) : rc;
}

int ft_session_open(const char *path, struct ft_session **session, struct ft_error *error)
{
	struct ft_session *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	rc = make(s, path);
	if (rc != 0) {
		if (s->made)
			rmdir(s->directory);
		rc = ft_fail(error, rc, "-w %s: %s", path, strerror(-rc));
		free(s);
		return rc;
	}
	*session = s;
	return 0;
}

const char *ft_session_directory(const struct ft_session *session)
{
	return session->directory;
}

bool ft_session_is_nested(const struct ft_session *session)
{
	return session->nested;
}

/* The command line as it was given, program first. */
static json_t *describe_options(void)
{
	char *text = malloc(MAX_OPTION_BYTES + 1);
	json_t *options = json_array();
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t bytes = 0;

	if (text != NULL && file != NULL)
		bytes = fread(text, 1, MAX_OPTION_BYTES, file);
	for (char *at = text; bytes > 0 && at < text + bytes; at += strlen(at) + 1) {
		text[bytes] = '\0';
		json_array_append_new(options, ft_report_text(at));
	}
	if (file != NULL)
		fclose(file);
	free(text);
	return options;
}

static json_t *describe_host(void)
{
	struct utsname host;

	uname(&host);
	return json_pack("{s:o, s:s, s:s}", "name", ft_report_text(host.nodename), "kernel",
			 host.release, "machine", host.machine);
}

static json_t *describe_port(const struct ft_port *port)
{
	const struct ft_port_interface *interface = ft_port_interface(port, 0);

	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "port",
			 ft_report_text(ft_port_name(port)), "backend", ft_port_backend(port),
			 "mode", ft_port_mode(port), "timestamps", interface->timestamps, "clock",
			 interface->clock[0] != '\0' ? ft_report_text(interface->clock)
						     : json_null(),
			 "adapter", ft_ethtool_identify(ft_port_name(port)), "settings",
			 ft_port_describe(port));
}

static json_t *describe(const struct ft_session *session, const struct ft_session_facts *facts)
{
	json_t *ports = json_array();

	for (unsigned i = 0; i < facts->port_count; i++)
		json_array_append_new(ports, describe_port(facts->ports[i]));
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "schema",
			 FT_SESSION_SCHEMA, "session", session->id, "name",
			 ft_report_text(facts->name), "program", facts->program, "version",
			 FT_VERSION, "started_ns", (json_int_t)ft_clock_utc_ns(), "options",
			 describe_options(), "host", describe_host(), "ports", ports, "clock",
			 ft_clock_quality_now());
}

/* A new name in a directory is lasting once the directory is synced. */
static int sync_directory(const struct ft_session *session)
{
	int fd = open(session->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;

	if (fd >= 0)
		close(fd);
	return rc;
}

/* `-w` is what the user gave; ft_report_write speaks of --report. */
static int write_json(const struct ft_session *session, const char *name, json_t *object,
		      struct ft_error *error)
{
	struct ft_error unused;
	char path[PATH_MAX];
	int rc = object != NULL ? 0 : -ENOMEM;

	path_in(session, name, path, sizeof(path));
	if (rc == 0)
		rc = ft_report_write(path, object, &unused);
	if (rc == 0)
		rc = sync_directory(session);
	json_decref(object);
	return rc == 0 ? 0 : ft_fail(error, rc, "%s: %s", path, strerror(-rc));
}

static void write_hex(const uint8_t *bytes, size_t count, char *text)
{
	for (size_t i = 0; i < count; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* The receipt names it, so that its signature covers session.json too. */
static int hash_description(struct ft_session *session, struct ft_error *error)
{
	unsigned char buffer[4096], digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	char path[PATH_MAX];
	FILE *file;
	bool done;

	path_in(session, FT_SESSION_FILE, path, sizeof(path));
	file = fopen(path, "re");
	done = file != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
	for (size_t got; done && (got = fread(buffer, 1, sizeof(buffer), file)) > 0;)
		done = EVP_DigestUpdate(hash, buffer, got) == 1;
	done = done && !ferror(file) && EVP_DigestFinal_ex(hash, digest, NULL) == 1;
	if (file != NULL)
		fclose(file);
	EVP_MD_CTX_free(hash);
	if (!done)
		return ft_fail(error, -EIO, "%s: cannot be read back", path);
	write_hex(digest, SHA256_BYTES, session->sha256);
	return 0;
}

int ft_session_begin(struct ft_session *session, const struct ft_session_facts *facts,
		     struct ft_error *error)
{
	int rc;

	write_hex(facts->id, FT_SESSION_BYTES, session->id);
	rc = write_json(session, FT_SESSION_FILE, describe(session, facts), error);
	if (rc == 0)
		rc = hash_description(session, error);
	if (rc != 0)
		return rc;
	session->begun = true;
	ft_session_sample_clock(session);
	return 0;
}

void ft_session_sample_clock(struct ft_session *session)
{
	ft_clock_quality_sample(&session->clock);
	ft_ptp_history_sample(&session->ptp);
}

/* All files of a session lie in its directory. */
static void make_names_relative(json_t *report)
{
	json_t *file;
	size_t index;

	json_array_foreach(json_object_get(report, "files"), index, file)
	{
		const char *path = json_string_value(json_object_get(file, "path"));
		const char *slash = path != NULL ? strrchr(path, '/') : NULL;

		if (slash != NULL)
			json_object_set_new(file, "path", json_string(slash + 1));
	}
}

int ft_session_end(struct ft_session *session, const json_t *report, struct ft_guardian *guardian,
		   struct ft_error *error)
{
	json_t *copy = json_deep_copy(report);
	struct ft_error why;
	char path[PATH_MAX];
	int rc;

	make_names_relative(copy);
	rc = write_json(session, FT_RECEIPT_FILE,
			json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "schema", FT_RECEIPT_SCHEMA,
				  "session", session->id, "session_sha256", session->sha256,
				  "clock", ft_clock_quality_report(&session->clock), "ptp",
				  ft_ptp_history_report(&session->ptp), "report", copy),
			error);
	if (rc != 0)
		return rc;
	path_in(session, FT_RECEIPT_FILE, path, sizeof(path));
	rc = guardian != NULL ? ft_guardian_sign(guardian, path, &why)
			      : ft_fail(&why, -EINVAL, "no guardian runs");
	if (rc == 0)
		rc = sync_directory(session);
	return rc == 0 ? 0
		       : ft_fail(error, -EPROTO, "%s: the receipt is not signed: %.400s", path,
				 why.text);
}

void ft_session_free(struct ft_session *session)
{
	char path[PATH_MAX];

	if (session == NULL)
		return;
	if (!session->begun) {
		path_in(session, FT_SESSION_FILE, path, sizeof(path));
		unlink(path);
		if (session->made)
			rmdir(session->directory);
	}
	ft_clock_quality_free(&session->clock);
	ft_ptp_history_free(&session->ptp);
	free(session);
}
