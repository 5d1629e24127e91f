/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Printing the outputs of a map. Tasks wait in a queue in the order of printing; those at its head are
 * fetched, up to FETCHES_MAX at a time, and printed when the one at the very head has both its streams. Owned
 * by the verb.
 *
 *   queue:  printed … | fetches (in flight) | ended or not yet
 *                     ^ first               ^ next */

#include "client/map-output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "client/sparse-read.h"
#include "dbus/parexec-dbus.h"

#define FETCHES_MAX 32U /* two calls each: the system bus allows 128 unanswered ones */
#define COPY_BYTES 65536U

/* The two streams of one task. */
typedef struct Fetch Fetch;
typedef struct Stream {
    Fetch *fetch;
    const char *name;
    int target;          /* our own descriptor */
    int fd;              /* -EBADF: no output, or not answered */
    bool answered, lost; /* lost: the daemon went away meanwhile */
    sd_bus_slot *slot;
} Stream;

struct Fetch {
    MapOutput *output;
    uint64_t task;
    char *tag;           /* in front of each line; NULL: none */
    unsigned generation; /* of the daemon that was asked */
    Stream streams[2];
};

struct MapOutput {
    Client *client;
    const Watch *watch;
    Progress *progress;
    const TaskPrinterHandler *handler;
    void *userdata;
    bool ordered, stopped;
    GArray *queue;    /* uint64_t: tasks in the order of printing; 0: has not ended yet */
    GHashTable *tags; /* task (uint64_t) → tag, of those whose printing has not begun */
    guint first, next;
    GQueue fetches; /* of the tasks between first and next */
    uint64_t unread;
    char *buffer;
};

static void pump(MapOutput *output);

static void fetch_free(void *data)
{
    Fetch *fetch = data;

    for (size_t i = 0; i < G_N_ELEMENTS(fetch->streams); i++) {
        close_fd(fetch->streams[i].fd);
        sd_bus_slot_unref(fetch->streams[i].slot);
    }
    g_free(fetch->tag);
    g_free(fetch);
}

MapOutput *map_output_new(Client *client, bool ordered, const TaskPrinterHandler *handler, void *userdata)
{
    MapOutput *output = g_new(MapOutput, 1);

    *output = (MapOutput){ .client = client, .ordered = ordered, .handler = handler, .userdata = userdata };
    output->queue = g_array_new(FALSE, /* clear= */ TRUE, sizeof(uint64_t));
    output->tags = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    output->buffer = g_malloc(COPY_BYTES);
    g_queue_init(&output->fetches);
    return output;
}

MapOutput *map_output_free(MapOutput *output)
{
    if (!output)
        return NULL;
    g_queue_clear_full(&output->fetches, fetch_free);
    g_array_unref(output->queue);
    g_hash_table_unref(output->tags);
    g_free(output->buffer);
    g_free(output);
    return NULL;
}

void map_output_set_watch(MapOutput *output, const Watch *watch)
{
    output->watch = watch;
}

void map_output_set_progress(MapOutput *output, Progress *progress)
{
    output->progress = progress;
}

bool map_output_is_idle(const MapOutput *output)
{
    return output->stopped || output->first == output->queue->len;
}

uint64_t map_output_unread(const MapOutput *output)
{
    return output->unread;
}

void map_output_stop(MapOutput *output)
{
    output->stopped = true;
}

/* Whole lines that begin with the item's tag; a last line without its end gets one. */
static int put(MapOutput *output, const Stream *stream, const char *data, size_t size, bool *within_line)
{
    const char *tag = stream->fetch->tag;

    while (tag && size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t n = end ? (size_t) (end - data) + 1 : size;
        int r = *within_line ? 0 : output_write_all(stream->target, tag, strlen(tag));
        if (r >= 0)
            r = output_write_all(stream->target, data, n);
        if (r < 0)
            return r;
        *within_line = !end;
        data += n;
        size -= n;
    }
    if (size > 0)
        *within_line = data[size - 1] != '\n';
    return size > 0 ? output_write_all(stream->target, data, size) : 0;
}

static int put_note(MapOutput *output, const Stream *stream, uint64_t dropped, bool *within_line)
{
    g_autofree char *note = sparse_note(dropped);
    int r = *within_line ? put(output, stream, "\n", 1, within_line) : 0;

    return r < 0 ? r : put(output, stream, note, strlen(note), within_line);
}

static int copy(MapOutput *output, const Stream *stream)
{
    bool within_line = false;
    uint64_t dropped;

    for (;;) {
        ssize_t n = sparse_read(stream->fd, output->buffer, COPY_BYTES, &dropped);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        int r = dropped > 0 ? put_note(output, stream, dropped, &within_line) : 0;
        if (r >= 0 && n == 0)
            return stream->fetch->tag && within_line ? put(output, stream, "\n", 1, &within_line) : 0;
        if (r >= 0)
            r = put(output, stream, output->buffer, (size_t) n, &within_line);
        if (r < 0)
            return r;
    }
}

static int print_fetch(MapOutput *output, Fetch *fetch)
{
    for (size_t i = 0; i < G_N_ELEMENTS(fetch->streams); i++) {
        Stream *stream = &fetch->streams[i];
        if (stream->fd < 0)
            continue;
        if (output_is_terminal(stream->target))
            progress_clear(output->progress);
        int r = copy(output, stream);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool fetch_is_complete(const Fetch *fetch)
{
    return fetch->streams[0].answered && fetch->streams[1].answered;
}

static void print_complete(MapOutput *output)
{
    Fetch *fetch;

    while (!output->stopped && (fetch = g_queue_peek_head(&output->fetches)) && fetch_is_complete(fetch)) {
        int r = print_fetch(output, fetch);
        fetch_free(g_queue_pop_head(&output->fetches));
        output->first++;
        if (r < 0 && r != -EPIPE)
            (void) output_failure(output->client, r, _("cannot write the output: %s"), g_strerror(-r));
        if (r < 0) {
            map_output_stop(output);
            output->handler->broken(r, output->userdata);
        }
    }
}

static void report_unread(MapOutput *output, const Stream *stream, const sd_bus_error *error)
{
    progress_clear(output->progress);
    if (output->unread++ == 0)
        (void) error_report(output->client, error, -EIO);
    output_error(_("the %s of task %" PRIu64 " is missing here"), stream->name, stream->fetch->task);
}

static int request_stream(Stream *stream);

/* An answer that is no answer: the daemon went away. */
static int stream_lost(Stream *stream)
{
    MapOutput *output = stream->fetch->output;

    if (watch_is_connected(output->watch) && watch_generation(output->watch) != stream->fetch->generation)
        return request_stream(stream);
    stream->lost = true;
    return 0;
}

static int on_opened(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Stream *stream = userdata;
    MapOutput *output = stream->fetch->output;
    const sd_bus_error *error = sd_bus_message_get_error(m);
    int fd;

    stream->slot = sd_bus_slot_unref(stream->slot);
    if (error && error_is_transient(error))
        return stream_lost(stream);
    stream->answered = true;
    if (!error && sd_bus_message_read_basic(m, 'h', &fd) > 0)
        stream->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    else if (error && strcmp(error->name, PAREXEC_ERROR_NO_OUTPUT) != 0)
        report_unread(output, stream, error);
    print_complete(output);
    pump(output);
    if (map_output_is_idle(output))
        output->handler->idle(output->userdata);
    return 0;
}

static int request_stream(Stream *stream)
{
    MapOutput *output = stream->fetch->output;
    g_autoptr(sd_bus_message) call = NULL;
    int r = connection_new_call(output->client, "OpenOutput", &call);

    if (r < 0)
        return r;
    stream->lost = false;
    stream->fetch->generation = watch_generation(output->watch);
    r = sd_bus_message_append(call, "tsa{sv}", stream->fetch->task, stream->name, 0);
    return r < 0 ? connection_report_message(output->client, r)
                 : connection_call_async(output->client, call, on_opened, stream, &stream->slot);
}

static int fetch_begin(MapOutput *output, uint64_t task)
{
    static const char *const names[] = { "stdout", "stderr" };
    Fetch *fetch = g_new0(Fetch, 1);
    int r = 0;

    fetch->output = output;
    fetch->task = task;
    fetch->tag = g_strdup(g_hash_table_lookup(output->tags, &task));
    g_hash_table_remove(output->tags, &task);
    g_queue_push_tail(&output->fetches, fetch);
    for (size_t i = 0; i < G_N_ELEMENTS(fetch->streams); i++)
        fetch->streams[i] = (Stream){
            .fetch = fetch, .name = names[i], .target = i == 0 ? STDOUT_FILENO : STDERR_FILENO, .fd = -EBADF
        };
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(fetch->streams); i++)
        r = request_stream(&fetch->streams[i]);
    return r;
}

static void pump(MapOutput *output)
{
    while (!output->stopped && output->fetches.length < FETCHES_MAX && output->next < output->queue->len) {
        uint64_t task = g_array_index(output->queue, uint64_t, output->next);
        if (task == 0) /* the next in order still runs */
            return;
        output->next++;
        if (fetch_begin(output, task) < 0) {
            map_output_stop(output);
            output->handler->broken(-EIO, output->userdata);
        }
    }
}

void map_output_add(MapOutput *output, uint64_t item, uint64_t task, const char *tag)
{
    if (tag)
        g_hash_table_insert(output->tags, g_memdup2(&task, sizeof task), g_strdup(tag));
    if (!output->ordered)
        g_array_append_val(output->queue, task);
    else {
        if (item >= output->queue->len)
            g_array_set_size(output->queue, (guint) item + 1);
        g_array_index(output->queue, uint64_t, item) = task;
    }
    pump(output);
}

void map_output_retry(MapOutput *output)
{
    for (GList *link = output->fetches.head; link; link = link->next) {
        Fetch *fetch = link->data;
        for (size_t i = 0; i < G_N_ELEMENTS(fetch->streams); i++)
            if (fetch->streams[i].lost)
                (void) request_stream(&fetch->streams[i]);
    }
}
