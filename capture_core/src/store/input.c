/* SPDX-License-Identifier: Apache-2.0 */
#include "store/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#define PACKED_BYTES (64u * 1024u)

/* RFC 1952: ID1 and ID2. */
static const uint8_t gzip_magic[2] = {0x1f, 0x8b};

struct ft_input {
	char *path; /* for sentences */
	int fd;
	struct ft_reader_wait wait; /* may_read NULL: reads block */
	uint64_t skip_bytes;	    /* to pass over before anything is available again */
	size_t begin;		    /* the unread bytes are buffer[begin .. end) */
	size_t end;
	uint64_t offset; /* of buffer[begin] in the stream */
	bool packed;	 /* the file is gzip: `stream` refills the buffer from `packed_bytes` */
	bool in_member;	 /* a gzip member has begun and not ended */
	z_stream stream;
	uint8_t packed_bytes[PACKED_BYTES];
	uint8_t buffer[FT_INPUT_MAX_BYTES];
};

/* Bytes read, 0 at the end, -EAGAIN when the one who waits had enough. */
static ssize_t read_some(struct ft_input *input, void *to, size_t bytes, struct ft_error *error)
{
	ssize_t got;

	do {
		if (input->wait.may_read != NULL &&
		    !input->wait.may_read(input->wait.context, input->fd))
			return ft_fail(error, -EAGAIN, "%s: no more for now", input->path);
		got = read(input->fd, to, bytes);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	if (got < 0)
		return ft_fail(error, -errno, "%s: cannot read: %s", input->path, strerror(errno));
	return got;
}

static int damaged_gzip(struct ft_input *input, struct ft_error *error)
{
	return ft_fail(error, -EBADMSG,
		       "%s: damaged at byte %llu of its decompressed data: not valid gzip",
		       input->path,
		       (unsigned long long)(input->offset + input->end - input->begin));
}

static ssize_t refill_packed(struct ft_input *input, struct ft_error *error)
{
	z_stream *stream = &input->stream;
	ssize_t got;

	if (stream->avail_in > 0)
		return 1;
	got = read_some(input, input->packed_bytes, PACKED_BYTES, error);
	if (got > 0) {
		stream->next_in = input->packed_bytes;
		stream->avail_in = (uInt)got;
	}
	return got;
}

/* As read_some, through inflate. Members follow each other as if they were one (RFC 1952 2.2). */
static ssize_t inflate_some(struct ft_input *input, void *to, size_t bytes, struct ft_error *error)
{
	z_stream *stream = &input->stream;
	ssize_t got;
	int code;

	stream->next_out = to;
	stream->avail_out = (uInt)bytes;
	while (stream->avail_out == bytes) {
		got = refill_packed(input, error);
		if (got < 0)
			return got;
		if (got == 0)
			return input->in_member ? damaged_gzip(input, error) : 0;
		/* Like gzip(1), take what follows a member and is none as the end. */
		if (!input->in_member && stream->next_in[0] != gzip_magic[0])
			return 0;
		if (!input->in_member && inflateReset(stream) != Z_OK)
			return damaged_gzip(input, error);
		input->in_member = true;
		code = inflate(stream, Z_NO_FLUSH);
		if (code == Z_STREAM_END)
			input->in_member = false;
		else if (code != Z_OK)
			return damaged_gzip(input, error);
	}
	return (ssize_t)(bytes - stream->avail_out);
}

/* If the first bytes are gzip's, hand them to inflate and begin again. */
static int begin_gzip(struct ft_input *input, struct ft_error *error)
{
	int code = ft_input_need(input, sizeof(gzip_magic), error);

	if (code <= 0)
		return code;
	if (memcmp(ft_input_data(input), gzip_magic, sizeof(gzip_magic)) != 0)
		return 0;
	/* 15: the largest window; +16: gzip framing (zlib.h). */
	if (inflateInit2(&input->stream, 15 + 16) != Z_OK)
		return ft_fail(error, -ENOMEM, "%s: no memory to decompress it", input->path);
	input->packed = true;
	input->stream.next_in = input->packed_bytes;
	input->stream.avail_in = (uInt)ft_input_available(input);
	memcpy(input->packed_bytes, ft_input_data(input), ft_input_available(input));
	input->end = 0;
	return 0;
}

int ft_input_open(const char *path, const struct ft_reader_wait *wait, struct ft_input **opened,
		  struct ft_error *error)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct ft_input *input = calloc(1, sizeof(*input));
	int code;

	if (!input)
		return ft_fail(error, -ENOMEM, "%s: no memory to read it", path);
	input->fd = -1;
	input->path = strdup(is_stdin ? "stdin" : path);
	if (!input->path) {
		code = ft_fail(error, -ENOMEM, "%s: no memory to read it", path);
		goto fail;
	}
	if (wait != NULL)
		input->wait = *wait;
	/* Opening a FIFO would otherwise wait for its writer, and reading for all that was asked.
	 */
	input->fd = is_stdin ? STDIN_FILENO
			     : open(path, O_RDONLY | O_CLOEXEC | (wait != NULL ? O_NONBLOCK : 0));
	if (input->fd < 0) {
		code = ft_fail(error, -errno, "%s: cannot open: %s", path, strerror(errno));
		goto fail;
	}
	code = begin_gzip(input, error);
	if (code < 0)
		goto fail;
	*opened = input;
	return 0;
fail:
	ft_input_close(input);
	return code;
}

static int refill(struct ft_input *input, size_t bytes, struct ft_error *error)
{
	while (input->end - input->begin < bytes) {
		ssize_t got;
		size_t room;

		if (input->begin + bytes > sizeof(input->buffer)) {
			memmove(input->buffer, input->buffer + input->begin,
				input->end - input->begin);
			input->end -= input->begin;
			input->begin = 0;
		}
		room = sizeof(input->buffer) - input->end;
		/* The first read must fit `packed_bytes`, in case it is gzip. */
		if (input->offset == 0 && input->end == 0 && room > PACKED_BYTES)
			room = PACKED_BYTES;
		got = (input->packed ? inflate_some : read_some)(input, input->buffer + input->end,
								 room, error);
		if (got <= 0)
			return (int)got;
		input->end += (size_t)got;
	}
	return 1;
}

const uint8_t *ft_input_data(const struct ft_input *input)
{
	return input->buffer + input->begin;
}

size_t ft_input_available(const struct ft_input *input)
{
	return input->end - input->begin;
}

void ft_input_take(struct ft_input *input, size_t bytes)
{
	input->begin += bytes;
	input->offset += bytes;
	if (input->begin == input->end)
		input->begin = input->end = 0;
}

void ft_input_skip(struct ft_input *input, uint64_t bytes)
{
	input->skip_bytes += bytes;
}

int ft_input_need(struct ft_input *input, size_t bytes, struct ft_error *error)
{
	while (input->skip_bytes > 0) {
		size_t step;
		int code = refill(input, 1, error);

		if (code < 0)
			return code;
		if (code == 0)
			return ft_fail(error, -EBADMSG, "%s: damaged at byte %llu: cut short",
				       input->path, (unsigned long long)input->offset);
		step = ft_input_available(input);
		if (step > input->skip_bytes)
			step = (size_t)input->skip_bytes;
		ft_input_take(input, step);
		input->skip_bytes -= step;
	}
	return refill(input, bytes, error);
}

int ft_input_seek(struct ft_input *input, uint64_t offset, struct ft_error *error)
{
	if (lseek(input->fd, (off_t)offset, SEEK_SET) < 0)
		return ft_fail(error, -errno, "%s: cannot seek: %s", input->path, strerror(errno));
	input->begin = input->end = 0;
	input->skip_bytes = 0;
	input->offset = offset;
	return 0;
}

int ft_input_rewind(struct ft_input *input, struct ft_error *error)
{
	int code = ft_input_seek(input, 0, error);

	if (code < 0)
		return code;
	if (input->packed)
		inflateEnd(&input->stream);
	input->packed = input->in_member = false;
	return begin_gzip(input, error);
}

uint64_t ft_input_offset(const struct ft_input *input)
{
	return input->offset;
}

bool ft_input_is_packed(const struct ft_input *input)
{
	return input->packed;
}

const char *ft_input_path(const struct ft_input *input)
{
	return input->path;
}

void ft_input_close(struct ft_input *input)
{
	if (!input)
		return;
	if (input->packed)
		inflateEnd(&input->stream);
	if (input->fd > STDIN_FILENO)
		close(input->fd);
	free(input->path);
	free(input);
}
