/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenOutput. An attempt's output lies in a file of its own, which is handed out as it is, or has been packed with others into
 * one file: then it is copied into memory, for nobody is to see the others'. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bus/bus-internal.h"
#include "bus/manager-methods.h"
#include "bus/options.h"
#include "model/output-path.h"

#define PACKED_BYTES_MAX (UINT64_C(64) << 10) /* larger ones are not packed; the loop reads no more at once */

typedef struct OutputRequest {
    uint64_t task;
    const char *stream;
    uint32_t attempt;
} OutputRequest;

static const Option output_options[] = {
    { "attempt", "u", offsetof(OutputRequest, attempt) },
    { NULL },
};

static int read_request(sd_bus_message *m, OutputRequest *ret, sd_bus_error *error)
{
    int r = sd_bus_message_rewind(m, true);

    if (r >= 0)
        r = sd_bus_message_read(m, "ts", &ret->task, &ret->stream);
    if (r >= 0)
        r = options_read(m, output_options, ret, error);
    if (r < 0)
        return r;
    if (strcmp(ret->stream, "stdout") != 0 && strcmp(ret->stream, "stderr") != 0)
        return options_invalid(error, "The stream is neither \"stdout\" nor \"stderr\".");
    return 0;
}

static void on_row(int r, TaskRow *row, void *userdata)
{
    Call *call = userdata;

    call->row = row;
    call->has_row = true;
    call->error = r == -ENOENT ? 0 : r;
    call_resume(call);
}

static const AttemptRow *find_attempt(const TaskRow *row, uint32_t number)
{
    for (guint i = 0; row->attempts && i < row->attempts->len; i++) {
        const AttemptRow *attempt = row->attempts->pdata[i];
        if (attempt->attempt == number)
            return attempt;
    }
    return NULL;
}

/* Why there is nothing to open. */
static const char *explain_absence(Bus *bus, const TaskRow *row, const AttemptRow *attempt, StdStream stream)
{
    uint64_t keep = manager_settings(bus->manager)->keep_output_usec;

    if (row->spec->has_fds)
        return "it went to the submitter's own file";
    if (row->attempt == 0)
        return "it has not started";
    if (row->spec->context->streams[stream])
        return "it went to a file that was named at submission";
    if (stream == STREAM_STDERR && row->spec->context->policy.merge)
        return "it went to stdout";
    if (attempt && usec_add(attempt->result.end_usec, keep) < (uint64_t) g_get_real_time())
        return "what was written is not kept that long";
    return "nothing was written";
}

/* ---- packed outputs */

/* What lies there in the file. */
static int read_packed(const char *path, const OutputPlace *place, char *ret)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    size_t done = 0;

    if (fd < 0)
        return -errno;
    while (done < place->size) {
        ssize_t n = pread(fd, ret + done, place->size - done, (off_t) (place->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        done += (size_t) n;
    }
    return 0;
}

/* A file in memory that nobody can change any more, opened for reading. */
static int memory_file(const char *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("parexec-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char path[64];

    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, data, size);
    if (n < 0 || (size_t) n != size)
        return n < 0 ? -errno : -EIO;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return -errno;
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reading = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return reading < 0 ? -errno : reading;
}

static int open_packed(const char *directory, uint64_t task, const AttemptRow *attempt, StdStream stream)
{
    const OutputPlace *place = &attempt->result.places[stream];
    g_autofree char *path = output_pack_path(directory, task, attempt->worker), *data = NULL;

    if (place->size == 0)
        return -ENOENT;
    if (place->size > PACKED_BYTES_MAX || place->offset > (uint64_t) INT64_MAX - PACKED_BYTES_MAX)
        return -EFBIG;
    data = g_malloc(place->size);
    int r = read_packed(path, place, data);
    return r < 0 ? r : memory_file(data, place->size);
}

/* ---- the method */

static int open_output(const char *directory, uint64_t task, uint32_t number, const AttemptRow *attempt,
                       StdStream stream)
{
    if (attempt && attempt->result.places[stream].packed)
        return open_packed(directory, task, attempt, stream);
    g_autofree char *path = output_path(directory, task, number, stream);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

static int reply_output(Bus *bus, sd_bus_message *m, const TaskRow *row, const OutputRequest *request,
                        sd_bus_error *error)
{
    uint32_t number = request->attempt > 0 ? request->attempt : MAX(row->attempt, 1);
    StdStream stream = (StdStream) std_stream_from_string(request->stream);
    const AttemptRow *attempt = find_attempt(row, number);
    int r = open_output(bus->output_directory, request->task, number, attempt, stream);
    _cleanup_close_ int fd = r;

    if (r < 0)
        return sd_bus_error_setf(error, PAREXEC_ERROR_NO_OUTPUT,
                                 "Attempt %u of task %" G_GUINT64_FORMAT " has no %s here: %s.", number,
                                 request->task, request->stream,
                                 r == -ENOENT ? explain_absence(bus, row, attempt, stream) : g_strerror(-r));
    return sd_bus_reply_method_return(m, "h", fd);
}

static int check_owner(Bus *bus, const Call *call, const Peer *peer, const OutputRequest *request,
                       sd_bus_error *error)
{
    if (!call->row) {
        g_autofree char *subject = g_strdup_printf("task %" G_GUINT64_FORMAT, request->task);
        return bus_error_set(error, call->error < 0 ? call->error : -ENOENT, subject);
    }
    if (peer->uid == call->row->spec->context->uid)
        return 1;
    return authorize(bus->calls, call->m, peer, PAREXEC_ACTION_MANAGE_TASKS, bus->options.user_mode, error);
}

int output_method_open(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    OutputRequest request = { 0 };
    Peer *peer;
    int r = read_request(m, &request, error);

    if (r >= 0)
        r = bus_check(bus, m, NULL, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    Call *call = call_of(bus->calls, m);
    if (!call->has_row) {
        StorePort *store = manager_store(bus->manager);
        store->get(store, request.task, on_row, call);
        return 1;
    }
    r = check_owner(bus, call, peer, &request, error);
    if (r == 0)
        return 1;
    if (r > 0)
        r = reply_output(bus, m, call->row, &request, error);
    call_done(bus->calls, m);
    return r < 0 ? r : 1;
}
