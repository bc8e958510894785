/* SPDX-License-Identifier: Apache-2.0 */
/* An extraction from first to last: inputs, merge, report. */
#include "ft/extract.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ft/report.h"
#include "ft/walk.h"
#include "store/extract_input.h"
#include "store/extract_run.h"

#define EXIT_INTERRUPTED 130

/* Chunks in memory at once, one a cursor. */
#define MAX_CURSORS 256u

/*
 * Cursors as a heap, the one with the earliest frame first, and inputs that begin later than that
 * waiting in order.
 */
struct merge {
	struct ft_extract_input *inputs;
	size_t input_count, next_input;
	const struct ft_match *match;
	struct ft_extract_output *output;
	struct ft_extract_cursor *cursors[MAX_CURSORS];
	size_t cursor_count;
	uint64_t highest_ns, packets, bytes, late;
	bool is_damaged;
};

static bool is_before(const struct merge *merge, size_t a, size_t b)
{
	return ft_extract_cursor_stamp_ns(merge->cursors[a]) <
	       ft_extract_cursor_stamp_ns(merge->cursors[b]);
}

static void swap(struct merge *merge, size_t a, size_t b)
{
	struct ft_extract_cursor *cursor = merge->cursors[a];

	merge->cursors[a] = merge->cursors[b];
	merge->cursors[b] = cursor;
}

static void sink(struct merge *merge)
{
	size_t at = 0;

	for (;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < merge->cursor_count && is_before(merge, child, least))
				least = child;
		if (least == at)
			return;
		swap(merge, at, least);
		at = least;
	}
}

static void rise(struct merge *merge)
{
	for (size_t at = merge->cursor_count - 1; at > 0; at = (at - 1) / 2) {
		if (!is_before(merge, at, (at - 1) / 2))
			return;
		swap(merge, at, (at - 1) / 2);
	}
}

/* A damaged input ends where the damage is; the others go on. 1: the cursor has a frame. */
static int advance(struct merge *merge, struct ft_extract_cursor *cursor, struct ft_error *error)
{
	int rc = ft_extract_cursor_next(cursor, error);

	if (rc != -EBADMSG)
		return rc;
	fprintf(stderr, "ft-extract: %s\n", error->text);
	merge->is_damaged = true;
	return 0;
}

static int begin_cursor(struct merge *merge, struct ft_extract_input *input, uint32_t source,
			struct ft_error *error)
{
	struct ft_extract_cursor *cursor;
	int rc;

	if (merge->cursor_count == MAX_CURSORS)
		return ft_fail(error, -EMFILE,
			       "more than %u inputs overlap in time; extract them in several steps",
			       MAX_CURSORS);
	rc = ft_extract_cursor_open(input, source, merge->match, &cursor, error);
	if (rc != 0)
		return rc;
	rc = advance(merge, cursor, error);
	if (rc <= 0) {
		ft_extract_cursor_close(cursor);
		return rc;
	}
	merge->cursors[merge->cursor_count++] = cursor;
	rise(merge);
	return 0;
}

/* Open every input that may have a frame before the earliest one at hand. */
static int begin_inputs(struct merge *merge, struct ft_error *error)
{
	int rc = 0;

	while (rc == 0 && merge->next_input < merge->input_count) {
		struct ft_extract_input *input = &merge->inputs[merge->next_input];
		uint32_t sources = input->ours ? input->source_count : input->has_frames;

		if (merge->cursor_count > 0 &&
		    input->first_ns > ft_extract_cursor_stamp_ns(merge->cursors[0]))
			break;
		for (uint32_t i = 0; rc == 0 && i < sources; i++)
			rc = begin_cursor(merge, input, i, error);
		merge->next_input++;
	}
	return rc;
}

static int take_first(struct merge *merge, struct ft_error *error)
{
	struct ft_extract_cursor *cursor = merge->cursors[0];
	uint64_t stamp_ns = ft_extract_cursor_stamp_ns(cursor);
	int rc = ft_extract_cursor_write(cursor, merge->output, error);

	if (stamp_ns < merge->highest_ns)
		merge->late++;
	else
		merge->highest_ns = stamp_ns;
	if (rc == 0)
		rc = advance(merge, cursor, error);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		ft_extract_cursor_close(cursor);
		merge->cursors[0] = merge->cursors[--merge->cursor_count];
	}
	sink(merge);
	return 0;
}

static int run_merge(struct merge *merge, struct ft_error *error)
{
	int rc = begin_inputs(merge, error);

	while (rc == 0 && merge->cursor_count > 0) {
		rc = take_first(merge, error);
		if (rc == 0)
			rc = begin_inputs(merge, error);
	}
	while (merge->cursor_count > 0)
		ft_extract_cursor_close(merge->cursors[--merge->cursor_count]);
	return rc;
}

static int compare_inputs(const void *a, const void *b)
{
	const struct ft_extract_input *one = a, *other = b;

	return (one->first_ns > other->first_ns) - (one->first_ns < other->first_ns);
}

static json_t *report_of(const struct merge *merge)
{
	uint64_t packets = 0, bytes = 0, read = 0, skipped = 0;
	json_t *files = json_array();

	for (size_t i = 0; i < merge->input_count; i++) {
		const struct ft_extract_input *input = &merge->inputs[i];

		packets += input->packets;
		bytes += input->bytes;
		read += input->chunks_read;
		skipped += input->chunks_skipped;
		json_array_append_new(files,
				      json_pack("{s:o, s:I, s:I, s:I, s:I, s:b}", "path",
						ft_report_path(input->path), "packets",
						(json_int_t)input->packets, "bytes",
						(json_int_t)input->bytes, "chunks_read",
						(json_int_t)input->chunks_read, "chunks_skipped",
						(json_int_t)input->chunks_skipped, "indexed",
						(int)input->indexed));
	}
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "schema",
			 "fieldtap.extract-report/1", "packets", (json_int_t)packets, "bytes",
			 (json_int_t)bytes, "chunks_read", (json_int_t)read, "chunks_skipped",
			 (json_int_t)skipped, "late", (json_int_t)merge->late, "files", files);
}

/* The lowest priority there is for processor and disk; where that is refused, as it is. */
static void step_back(void)
{
	setpriority(PRIO_PROCESS, 0, 19);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static int prepare(struct merge *merge, struct ft_match *match, const struct ft_names *names,
		   struct ft_error *error)
{
	for (size_t i = 0; i < names->count; i++) {
		struct ft_extract_input *input = &merge->inputs[merge->input_count++];
		int rc;

		input->path = names->at[i];
		rc = ft_extract_input_prepare(input, match, merge->output, error);
		/* What a capture has just begun, or a crash left, may hold nothing yet. */
		if (rc == -EBADMSG && input->is_partial)
			continue;
		if (rc != 0)
			return rc;
		merge->is_damaged |= input->is_damaged;
	}
	return match->link_type == UINT16_MAX
		       ? ft_match_set_link_type(match, FT_LINKTYPE_ETHERNET, error)
		       : 0;
}

int ft_extract_frames(const struct ft_extract_settings *settings, const struct ft_names *names,
		      bool *is_damaged, struct ft_error *error)
{
	struct merge *merge = calloc(1, sizeof(*merge));
	struct ft_match match;
	int rc = ft_match_begin(&match, settings, error);

	if (merge != NULL)
		merge->inputs = calloc(names->count + 1, sizeof(*merge->inputs));
	if (rc == 0 && (merge == NULL || merge->inputs == NULL))
		rc = ft_fail(error, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = ft_extract_output_open(settings->output, &merge->output, error);
	if (rc == 0 && ft_extract_output_is_file(merge->output))
		ft_interruption_hold();
	if (rc == 0)
		rc = prepare(merge, &match, names, error);
	if (rc == 0) {
		merge->match = &match;
		qsort(merge->inputs, merge->input_count, sizeof(*merge->inputs), compare_inputs);
		rc = run_merge(merge, error);
	}
	if (rc == 0)
		rc = ft_extract_output_finish(merge->output, error);
	if (rc == 0 && settings->report != NULL) {
		json_t *report = report_of(merge);

		rc = ft_report_write(settings->report, report, error);
		json_decref(report);
	}
	*is_damaged = merge != NULL && merge->is_damaged;
	for (size_t i = 0; merge != NULL && i < merge->input_count; i++)
		ft_extract_input_free(&merge->inputs[i]);
	ft_match_end(&match);
	if (merge != NULL) {
		ft_extract_output_free(merge->output);
		free(merge->inputs);
	}
	free(merge);
	return rc;
}

static int verify(const struct ft_extract_settings *settings, const struct ft_names *names,
		  bool *is_damaged, struct ft_error *error)
{
	json_t *files = json_array(), *report;
	int rc;

	for (size_t i = 0; i < names->count; i++) {
		json_t *walked = ft_walk_file(names->at[i]);

		*is_damaged |= walked == NULL || !json_is_null(json_object_get(walked, "error"));
		json_array_append_new(files, walked);
	}
	report = json_pack("{s:s, s:o}", "schema", FT_WALK_SCHEMA, "files", files);
	rc = ft_report_write(settings->report != NULL ? settings->report : "-", report, error);
	json_decref(report);
	return rc;
}

static int run(const struct ft_extract_settings *settings, bool *is_damaged, struct ft_error *error)
{
	struct ft_names names = {0};
	int rc = 0;

	if (settings->report != NULL)
		rc = ft_report_check(settings->report, error);
	if (rc == 0)
		rc = ft_names_find(&names, settings, error);
	for (size_t i = 0; rc == 0 && settings->repair && i < names.count; i++)
		rc = ft_names_repair(&names, i, error);
	for (size_t i = 0; rc == 0 && settings->reindex && i < names.count; i++)
		rc = ft_reindex_file(names.at[i], error);
	if (rc == 0 && settings->verify)
		rc = verify(settings, &names, is_damaged, error);
	if (rc == 0 && settings->output != NULL)
		rc = ft_extract_frames(settings, &names, is_damaged, error);
	ft_names_free(&names);
	return rc;
}

int ft_extract_run(const struct ft_extract_settings *settings)
{
	bool is_damaged = false;
	struct ft_error error;
	int rc;

	step_back();
	rc = run(settings, &is_damaged, &error);
	if (rc != 0)
		fprintf(stderr, "ft-extract: %s\n", error.text);
	if (rc == -EINTR)
		return EXIT_INTERRUPTED;
	return rc != 0 ? ft_exit_code(rc) : is_damaged;
}
