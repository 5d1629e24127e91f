/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The job log. Tasks that have ended wait in a queue until their rows have come, a page at a time; lines
 * are written as rows come, and are in the file before the loop goes on. Owned by the verb. */

#include "client/joblog.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "client/task-list.h"
#include "client/text.h"
#include "util/parse-util.h"

#define HEADER "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"

struct Joblog {
    Client *client;
    int fd;
    char *host;
    GHashTable *waiting; /* task → seq, both uint64_t */
    GArray *queue;       /* uint64_t: tasks to be asked for */
    guint asked;         /* of the queue's first, in the call on its way */
    sd_bus_slot *slot;   /* NULL: no call on its way */
    bool broken;         /* nothing is written any more; was reported */
    void (*idle)(void *userdata);
    void *userdata;
};

static void ask(Joblog *log);

Joblog *joblog_free(Joblog *log)
{
    if (!log)
        return NULL;
    log->slot = sd_bus_slot_unref(log->slot);
    close_fd(log->fd);
    g_free(log->host);
    g_hash_table_unref(log->waiting);
    g_array_unref(log->queue);
    g_free(log);
    return NULL;
}

bool joblog_is_idle(const Joblog *log)
{
    return log->broken || log->queue->len == 0;
}

char *joblog_line(uint64_t seq, const char *host, const TaskInfo *info)
{
    g_autofree char *command = text_command_line(info->argv);
    uint64_t runtime =
        info->finished_usec > info->started_usec ? info->finished_usec - info->started_usec : 0;
    bool signalled = info->outcome == OUTCOME_SIGNALLED || info->outcome == OUTCOME_OOM;
    int code = signalled ? 0 : task_info_exit_code(info);
    int signal = info->outcome == OUTCOME_OOM ? 9 : signalled ? info->signal : 0;

    if (info->started_usec == 0)
        return NULL;
    return g_strdup_printf("%" PRIu64 "\t%s\t%.3f\t%10.3f\t0\t0\t%d\t%d\t%s\n", seq, host,
                           (double) info->started_usec / USEC_PER_SEC, (double) runtime / USEC_PER_SEC, code,
                           signal, command);
}

static void write_row(Joblog *log, const TaskInfo *info)
{
    const uint64_t *seq = g_hash_table_lookup(log->waiting, &info->id);
    g_autofree char *line = seq ? joblog_line(*seq, log->host, info) : NULL;
    int r = line && !log->broken ? output_write_all(log->fd, line, strlen(line)) : 0;

    if (r >= 0)
        return;
    log->broken = true;
    output_error(_("cannot write the job log: %s"), g_strerror(-r));
}

static int on_rows(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    g_autoptr(GPtrArray) rows = task_rows_new();
    Joblog *log = userdata;
    uint64_t cursor;

    log->slot = sd_bus_slot_unref(log->slot);
    if (sd_bus_message_is_method_error(m, NULL) && error_is_transient(sd_bus_message_get_error(m)))
        return 0; /* joblog_retry() */
    int r = sd_bus_message_is_method_error(m, NULL)
                ? error_report(log->client, sd_bus_message_get_error(m), -EIO)
                : task_list_read(m, rows, &cursor);
    log->broken = log->broken || r < 0;
    for (guint i = 0; i < rows->len; i++)
        write_row(log, rows->pdata[i]);
    for (guint i = 0; i < log->asked; i++)
        g_hash_table_remove(log->waiting, &g_array_index(log->queue, uint64_t, i));
    g_array_remove_range(log->queue, 0, log->asked);
    ask(log);
    if (joblog_is_idle(log) && log->idle)
        log->idle(log->userdata);
    return 0;
}

static void ask(Joblog *log)
{
    g_autoptr(TaskFilter) filter = task_filter_new();
    g_autoptr(sd_bus_message) call = NULL;

    if (log->slot || joblog_is_idle(log))
        return;
    log->asked = MIN(log->queue->len, TASK_PAGE_MAX);
    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_array_append_vals(filter->ids, log->queue->data, log->asked);
    if (task_list_new_call(log->client, filter, &call) < 0 ||
        connection_call_async(log->client, call, on_rows, log, &log->slot) < 0)
        log->broken = true;
}

void joblog_retry(Joblog *log)
{
    log->slot = sd_bus_slot_unref(log->slot);
    ask(log);
}

void joblog_add(Joblog *log, uint64_t seq, uint64_t task)
{
    g_hash_table_replace(log->waiting, g_memdup2(&task, sizeof task), g_memdup2(&seq, sizeof seq));
    g_array_append_val(log->queue, task);
    ask(log);
}

int joblog_open(Client *client, const char *path, bool append, void (*idle)(void *userdata), void *userdata,
                Joblog **ret)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_APPEND | (append ? 0 : O_TRUNC);
    _cleanup_close_ int fd = open(path, flags, 0666);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return output_failure(client, errno, _("cannot open %s: %s"), path, g_strerror(errno));
    int r = st.st_size == 0 ? output_write_all(fd, HEADER, strlen(HEADER)) : 0;
    if (r < 0)
        return output_failure(client, r, _("cannot write %s: %s"), path, g_strerror(-r));
    Joblog *log = g_new(Joblog, 1);
    *log = (Joblog){
        .client = client,
        .fd = steal_fd(&fd),
        .host = g_strdup(g_get_host_name()),
        .waiting = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free),
        .queue = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
        .idle = idle,
        .userdata = userdata,
    };
    *ret = log;
    return 0;
}

/* ---- reading */

/* Seq and whether it failed; -EBADMSG: no such line. */
static int read_line(const char *line, uint64_t *ret_seq, bool *ret_failed)
{
    g_auto(GStrv) fields = g_strsplit(line, "\t", 9);

    if (g_strv_length(fields) < 9 || parse_uint64(fields[0], ret_seq) < 0)
        return -EBADMSG;
    *ret_failed = strcmp(fields[6], "0") != 0 || strcmp(fields[7], "0") != 0;
    return 0;
}

int joblog_read(const char *path, bool failed_too, GHashTable *seqs)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    if (!g_file_get_contents(path, &text, NULL, &error))
        return g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT) ? -ENOENT : -EIO;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i]; i++) {
        uint64_t seq;
        bool failed;
        if (!*lines[i] || g_str_has_prefix(lines[i], "Seq\t"))
            continue;
        if (read_line(lines[i], &seq, &failed) < 0)
            return -EBADMSG;
        if (!failed || failed_too)
            g_hash_table_add(seqs, g_memdup2(&seq, sizeof seq));
        else
            g_hash_table_remove(seqs, &seq);
    }
    return 0;
}
