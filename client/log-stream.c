/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Output of a task, copied as it grows. The descriptor keeps the place; nothing is read twice. */

#include "client/log-stream.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "client/sparse-read.h"
#include "dbus/parexec-dbus.h"

#define COPY_BYTES 65536U
#define LINE_BYTES_MAX (1U << 20) /* a longer "line" is printed in pieces */

void log_stream_init(LogStream *stream, Client *client, uint64_t task, bool standard_error, const char *tag,
                     bool lines)
{
    *stream = (LogStream){
        .client = client,
        .task = task,
        .name = standard_error ? "stderr" : "stdout",
        .target = standard_error ? STDERR_FILENO : STDOUT_FILENO,
        .fd = -EBADF,
        .tag = g_strdup(tag),
        .lines = lines || tag,
        .line = g_string_new(NULL),
    };
}

void log_stream_done(LogStream *stream)
{
    stream->fd = close_fd(stream->fd);
    g_clear_pointer(&stream->tag, g_free);
    if (stream->line)
        g_string_free(g_steal_pointer(&stream->line), TRUE);
}

int log_stream_new_call(LogStream *stream, uint32_t attempt, sd_bus_message **ret)
{
    g_autoptr(sd_bus_message) call = NULL;
    int r = connection_new_call(stream->client, "OpenOutput", &call);

    if (r < 0)
        return r;
    r = sd_bus_message_append(call, "ts", stream->task, stream->name);
    if (r >= 0)
        r = sd_bus_message_open_container(call, 'a', "{sv}");
    if (r >= 0 && attempt > 0)
        r = dict_append(call, "attempt", "u", attempt);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    if (r < 0)
        return connection_report_message(stream->client, r);
    *ret = g_steal_pointer(&call);
    return 0;
}

int log_stream_take(LogStream *stream, sd_bus_message *reply)
{
    int fd, r = sd_bus_message_read_basic(reply, 'h', &fd);

    if (r < 0)
        return connection_report_message(stream->client, r);
    stream->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return stream->fd < 0
               ? output_failure(stream->client, errno, _("cannot read the output: %s"), g_strerror(errno))
               : 1;
}

int log_stream_open(LogStream *stream, uint32_t attempt)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    int r = log_stream_new_call(stream, attempt, &call);

    if (r < 0)
        return r;
    r = connection_try_call(stream->client, call, &error, &reply);
    if (sd_bus_error_has_name(&error, PAREXEC_ERROR_NO_OUTPUT))
        return 0;
    return r < 0 ? error_report(stream->client, &error, r) : log_stream_take(stream, reply);
}

static int write_out(LogStream *stream, const void *data, size_t size)
{
    if (stream->progress && output_is_terminal(stream->target))
        progress_clear(stream->progress);
    int r = output_write_all(stream->target, data, size);

    if (r == -EPIPE) /* whoever read it has seen enough */
        return r;
    return r < 0 ? output_failure(stream->client, r, _("cannot write the output: %s"), g_strerror(-r)) : 0;
}

static int write_line(LogStream *stream)
{
    if (stream->tag)
        g_string_prepend(stream->line, stream->tag);
    int r = write_out(stream, stream->line->str, stream->line->len);

    g_string_truncate(stream->line, 0);
    return r;
}

static int write_tagged(LogStream *stream, const char *data, size_t size)
{
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t n = end ? (size_t) (end - data) + 1 : size;
        g_string_append_len(stream->line, data, (gssize) n);
        data += n;
        size -= n;
        if (!end && stream->line->len < LINE_BYTES_MAX)
            return 0;
        if (!end)
            g_string_append_c(stream->line, '\n');
        int r = write_line(stream);
        if (r < 0)
            return r;
    }
    return 0;
}

/* All lines that are complete at once; what is left waits for its end. */
static int write_lines(LogStream *stream, const char *data, size_t size)
{
    const char *end = memrchr(data, '\n', size);
    size_t n = end ? (size_t) (end - data) + 1 : 0;
    int r = end && stream->line->len > 0 ? write_line(stream) : 0;

    if (r >= 0 && n > 0)
        r = write_out(stream, data, n);
    if (r < 0)
        return r;
    g_string_append_len(stream->line, data + n, (gssize) (size - n));
    return stream->line->len >= LINE_BYTES_MAX ? write_line(stream) : 0;
}

static int put(LogStream *stream, const char *data, size_t size)
{
    if (size == 0)
        return 0;
    stream->within_line = data[size - 1] != '\n';
    if (stream->tag)
        return write_tagged(stream, data, size);
    return stream->lines ? write_lines(stream, data, size) : write_out(stream, data, size);
}

/* On a line of its own. */
static int put_note(LogStream *stream, uint64_t dropped)
{
    g_autofree char *note = sparse_note(dropped);
    int r = stream->within_line ? put(stream, "\n", 1) : 0;

    return r < 0 ? r : put(stream, note, strlen(note));
}

int log_stream_copy(LogStream *stream)
{
    char buffer[COPY_BYTES];
    uint64_t dropped;

    while (stream->fd >= 0) {
        ssize_t n = sparse_read(stream->fd, buffer, sizeof buffer, &dropped);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return output_failure(stream->client, errno, _("cannot read the output: %s"), g_strerror(errno));
        int r = dropped > 0 ? put_note(stream, dropped) : 0;
        if (r < 0 || n == 0)
            return r;
        r = put(stream, buffer, (size_t) n);
        if (r < 0)
            return r;
    }
    return 0;
}

int log_stream_end(LogStream *stream)
{
    int r = 0;

    stream->fd = close_fd(stream->fd);
    stream->within_line = false;
    if (stream->line->len > 0) {
        if (stream->tag)
            g_string_append_c(stream->line, '\n');
        r = write_line(stream);
    }
    return r;
}
