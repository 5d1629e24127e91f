/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines out of files and pipes, as bytes. The reader holds the unfinished line between two reads, nothing
 * else. */

#include "client/line-reader.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "client/output.h"

#define READ_BYTES 65536U

void line_reader_init(LineReader *reader)
{
    *reader = (LineReader){ .rest = g_string_new(NULL) };
}

void line_reader_done(LineReader *reader)
{
    if (reader->rest)
        g_string_free(g_steal_pointer(&reader->rest), TRUE);
}

static int hand_out(LineReader *reader, LineHandler handler, void *userdata)
{
    int r = 0;

    reader->number++;
    if (memchr(reader->rest->str, '\0', reader->rest->len))
        return -EILSEQ;
    if (reader->rest->len > 0)
        r = handler(reader->rest->str, userdata);
    g_string_truncate(reader->rest, 0);
    return r;
}

int line_reader_feed(LineReader *reader, const char *data, size_t size, LineHandler handler, void *userdata)
{
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t n = end ? (size_t) (end - data) : size;
        g_string_append_len(reader->rest, data, (gssize) n);
        if (!end)
            return 0;
        int r = hand_out(reader, handler, userdata);
        if (r < 0)
            return r;
        data += n + 1;
        size -= n + 1;
    }
    return 0;
}

int line_reader_end(LineReader *reader, LineHandler handler, void *userdata)
{
    return reader->rest->len > 0 ? hand_out(reader, handler, userdata) : 0;
}

int line_reader_report_nul(Client *client, const LineReader *reader, const char *name)
{
    return output_failure(client, EILSEQ, _("line %" PRIu64 " of %s holds a NUL byte, which no argument can"),
                          reader->number, name);
}

int line_reader_read_file(Client *client, const char *path, LineHandler handler, void *userdata)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "stdin" : path;
    _cleanup_close_ int opened = standard ? -EBADF : open(path, O_RDONLY | O_CLOEXEC);
    int fd = standard ? STDIN_FILENO : opened, r = 0;
    g_autofree char *buffer = g_malloc(READ_BYTES);
    g_auto(LineReader) reader;

    line_reader_init(&reader);
    if (fd < 0)
        return output_failure(client, errno, _("cannot read %s: %s"), name, g_strerror(errno));
    for (;;) {
        ssize_t n = read(fd, buffer, READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return output_failure(client, errno, _("cannot read %s: %s"), name, g_strerror(errno));
        r = n > 0 ? line_reader_feed(&reader, buffer, (size_t) n, handler, userdata)
                  : line_reader_end(&reader, handler, userdata);
        if (r == -EILSEQ)
            return line_reader_report_nul(client, &reader, name);
        if (r < 0 || n == 0)
            return r;
    }
}
