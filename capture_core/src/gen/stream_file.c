/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/stream_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/stream_layers.h"
#include "gen/toml.h"

#define MAX_FILE_BYTES (4u << 20)
#define MAX_SHARE      1000000u

struct ft_spot ft_stream_spot(const struct ft_stream_file *file, const struct ft_stream_plan *plan,
			      const char *field)
{
	struct ft_spot spot = {.file = file->name, .stream = plan != NULL ? plan->name : NULL};

	if (file->name == NULL)
		return (struct ft_spot){.file = strcmp(field, "rate") == 0 ? "--rate" : "--size"};
	snprintf(spot.field, sizeof(spot.field), "%s", field);
	return spot;
}

static int read_rate(const json_t *json, const struct ft_spot *spot, struct ft_rate *rate,
		     struct ft_error *error)
{
	struct ft_error why;

	if (!json_is_string(json))
		return ft_spot_fail(spot, error,
				    "%s where a text as in \"10kpps\" or \"40%%\" belongs",
				    ft_spot_type(json));
	if (ft_parse_rate(json_string_value(json), rate, &why) != 0)
		return ft_spot_fail(spot, error,
				    "'%s' is not a rate: a number above 0 with pps, kpps, Mpps, "
				    "bps, kbps, Mbps, Gbps, the same with L1, or %% up to 100",
				    json_string_value(json));
	return 0;
}

static int read_switch(const json_t *json, const struct ft_spot *spot, bool *value,
		       struct ft_error *error)
{
	if (!json_is_boolean(json))
		return ft_spot_fail(spot, error, "%s where true or false belongs",
				    ft_spot_type(json));
	*value = json_is_true(json);
	return 0;
}

static int read_late(const json_t *json, const struct ft_spot *spot, enum ft_late *late,
		     struct ft_error *error)
{
	struct ft_error why;

	if (!json_is_string(json))
		return ft_spot_fail(spot, error, "%s where a text belongs", ft_spot_type(json));
	if (ft_parse_late(json_string_value(json), late, &why) != 0)
		return ft_spot_fail(spot, error, "%s", why.text);
	return 0;
}

static int read_pacing(const json_t *json, const struct ft_spot *spot, bool *poisson,
		       struct ft_error *error)
{
	const char *text = json_is_string(json) ? json_string_value(json) : "";

	*poisson = strcmp(text, "poisson") == 0;
	if (!*poisson && strcmp(text, "constant") != 0)
		return ft_spot_fail(spot, error, "give \"constant\" or \"poisson\"");
	return 0;
}

/* Printable, so that it can stand in an error and a report. */
static int read_name(const json_t *json, struct ft_spot *spot, struct ft_stream_plan *plan,
		     struct ft_error *error)
{
	const char *text = json_string_value(json);

	if (text == NULL)
		return ft_spot_fail(spot, error, "%s where a text belongs", ft_spot_type(json));
	if (text[0] == '\0' || strlen(text) >= sizeof(plan->name))
		return ft_spot_fail(spot, error, "a name has 1 to %zu bytes",
				    sizeof(plan->name) - 1);
	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return ft_spot_fail(spot, error, "a name has no control characters");
	snprintf(plan->name, sizeof(plan->name), "%s", text);
	return 0;
}

/* What is read with one function each, by its key. */
static int read_key(const char *key, const json_t *json, struct ft_spot *spot,
		    struct ft_stream_plan *plan, struct ft_error *error)
{
	if (strcmp(key, "rate") == 0) {
		plan->rate_given = true;
		return read_rate(json, spot, &plan->rate, error);
	}
	if (strcmp(key, "share") == 0)
		return ft_spot_read_number(spot, json, 1, MAX_SHARE, &plan->share, error);
	if (strcmp(key, "pacing") == 0)
		return read_pacing(json, spot, &plan->poisson, error);
	if (strcmp(key, "burst") == 0)
		return ft_spot_read_number(spot, json, 1, FT_GENERATE_MAX_BURST, &plan->burst,
					   error);
	if (strcmp(key, "count") == 0)
		return ft_spot_read_number(spot, json, 1, INT64_MAX, &plan->count, error);
	if (strcmp(key, "signature") == 0)
		return read_switch(json, spot, &plan->signature, error);
	if (strcmp(key, "size") == 0)
		return ft_sizes_read(json, spot, &plan->sizes, error);
	if (strcmp(key, "payload") == 0)
		return ft_payload_read(json, spot, &plan->payload, error);
	return 0; /* the name, which was read first, and headers */
}

static int read_stream(const json_t *json, struct ft_stream_file *file, struct ft_error *error)
{
	static const char *const keys[] = {"name",  "rate", "share",	 "pacing",  "burst",
					   "count", "size", "signature", "payload", "ethernet",
					   "vlan",  "mpls", "ipv4",	 "ipv6",    "udp",
					   "tcp",   "icmp", NULL};
	struct ft_stream_plan *plan = &file->streams[file->count];
	struct ft_spot spot = ft_stream_spot(file, plan, "");
	const json_t *name = json_object_get(json, "name");
	const char *key;
	json_t *value;
	int rc = 0;

	*plan = (struct ft_stream_plan){.share = 1, .signature = true, .udp_checksum = true};
	snprintf(plan->name, sizeof(plan->name), "stream-%u", file->count);
	file->count++;
	if (!json_is_object(json))
		return ft_spot_fail(&spot, error, "%s where a table belongs", ft_spot_type(json));
	if (name != NULL) {
		struct ft_spot at = ft_spot_at(&spot, "name");

		rc = read_name(name, &at, plan, error);
	}
	if (rc == 0)
		rc = ft_spot_check_keys(&spot, json, keys, error);
	json_object_foreach((json_t *)json, key, value)
	{
		struct ft_spot at = ft_spot_at(&spot, "%s", key);

		if (rc == 0)
			rc = read_key(key, value, &at, plan, error);
	}
	if (rc == 0 && plan->rate_given && json_object_get(json, "share") != NULL) {
		struct ft_spot at = ft_spot_at(&spot, "share");

		rc = ft_spot_fail(&at, error, "the stream has a rate of its own; give one of them");
	}
	return rc == 0 ? ft_stream_read_layers(json, &spot, plan, error) : rc;
}

static int check_names(const struct ft_stream_file *file, struct ft_error *error)
{
	for (unsigned i = 1; i < file->count; i++)
		for (unsigned j = 0; j < i; j++)
			if (strcmp(file->streams[i].name, file->streams[j].name) == 0) {
				struct ft_spot spot =
					ft_stream_spot(file, &file->streams[i], "name");

				return ft_spot_fail(&spot, error,
						    "streams %u and %u of the file have the same; "
						    "change one",
						    j + 1, i + 1);
			}
	return 0;
}

static int read_streams(const json_t *list, struct ft_stream_file *file, struct ft_error *error)
{
	struct ft_spot spot = ft_stream_spot(file, NULL, "stream");
	size_t count = json_array_size(list);
	int rc = 0;

	if (count == 0 || count > FT_STREAM_MAX_STREAMS)
		return ft_spot_fail(&spot, error,
				    "begin each of the 1 to %u streams with a line [[stream]]",
				    FT_STREAM_MAX_STREAMS);
	file->streams = calloc(count, sizeof(*file->streams));
	if (file->streams == NULL)
		return ft_fail(error, -ENOMEM, "%s: out of memory", file->name);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = read_stream(json_array_get(list, i), file, error);
	return rc == 0 ? check_names(file, error) : rc;
}

static int read_root(const json_t *root, struct ft_stream_file *file, struct ft_error *error)
{
	static const char *const keys[] = {"seed", "rate", "late", "stream", NULL};
	const json_t *seed = json_object_get(root, "seed"), *rate = json_object_get(root, "rate");
	const json_t *late = json_object_get(root, "late");
	struct ft_spot whole = ft_stream_spot(file, NULL, "");
	int rc = ft_spot_check_keys(&whole, root, keys, error);

	if (rc == 0 && seed != NULL) {
		struct ft_spot spot = ft_stream_spot(file, NULL, "seed");

		rc = ft_spot_read_number(&spot, seed, 0, INT64_MAX, &file->seed, error);
	}
	if (rc == 0 && rate != NULL) {
		struct ft_spot spot = ft_stream_spot(file, NULL, "rate");

		file->rate_given = true;
		rc = read_rate(rate, &spot, &file->rate, error);
	}
	if (rc == 0 && late != NULL) {
		struct ft_spot spot = ft_stream_spot(file, NULL, "late");

		file->late_given = true;
		rc = read_late(late, &spot, &file->late, error);
	}
	return rc == 0 ? read_streams(json_object_get(root, "stream"), file, error) : rc;
}

int ft_stream_file_parse(const char *text, size_t bytes, const char *name,
			 struct ft_stream_file *file, struct ft_error *error)
{
	json_t *root = NULL;
	int rc = ft_toml_parse(text, bytes, name, &root, error);

	*file = (struct ft_stream_file){.name = name};
	if (rc == 0)
		rc = read_root(root, file, error);
	json_decref(root);
	return rc;
}

/* The whole file, in memory of its own. */
static int read_text(const char *path, char **text, size_t *bytes, struct ft_error *error)
{
	FILE *stream = fopen(path, "re");
	int cause = 0;

	*text = malloc(MAX_FILE_BYTES);
	if (stream == NULL)
		cause = errno;
	else if (*text == NULL)
		cause = ENOMEM;
	if (cause == 0) {
		*bytes = fread(*text, 1, MAX_FILE_BYTES, stream);
		cause = ferror(stream) ? EIO : *bytes == MAX_FILE_BYTES ? EFBIG : 0;
	}
	if (stream != NULL)
		fclose(stream);
	return cause != 0 ? ft_fail(error, -EINVAL, "--streams %s: %s", path, strerror(cause)) : 0;
}

int ft_stream_file_read(const char *path, struct ft_stream_file *file, struct ft_error *error)
{
	size_t bytes = 0;
	char *text;
	int rc = read_text(path, &text, &bytes, error);

	if (rc == 0)
		rc = ft_stream_file_parse(text, bytes, path, file, error);
	free(text);
	return rc;
}

int ft_stream_file_default(const uint32_t *sizes, unsigned count, struct ft_stream_file *file,
			   struct ft_error *error)
{
	struct ft_spot spot = {.file = "--size"};
	struct ft_stream_plan *plan = calloc(1, sizeof(*plan));
	int rc;

	*file = (struct ft_stream_file){.streams = plan, .count = plan != NULL};
	if (plan == NULL)
		return ft_fail(error, -ENOMEM, "--size: out of memory");
	*plan = (struct ft_stream_plan){
		.name = "default", .share = 1, .signature = true, .udp_checksum = true};
	rc = ft_sizes_list(sizes, count, &plan->sizes, error);
	return rc == 0 ? ft_stream_read_layers(NULL, &spot, plan, error) : rc;
}

static void free_plan(struct ft_stream_plan *plan)
{
	for (unsigned i = 0; i < plan->layer_count; i++)
		for (unsigned j = 0; j < FT_LAYER_MAX_FIELDS; j++)
			ft_value_free(&plan->layers[i].values[j]);
	ft_sizes_free(&plan->sizes);
	free(plan->payload.bytes);
}

void ft_stream_file_free(struct ft_stream_file *file)
{
	for (unsigned i = 0; i < file->count; i++)
		free_plan(&file->streams[i]);
	free(file->streams);
	*file = (struct ft_stream_file){0};
}
